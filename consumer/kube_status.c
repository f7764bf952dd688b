/* kube status: does an application sleep? What a gate would find, said to people. */
#include "commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "cluster_set.h"
#include "kube/workloads.h"
#include "table.h"
#include "wire/json.h"

enum { TIMEOUT_MS = 5000, TIMEOUT_MAX_MS = 60 * 1000 };

/* As targets.*.gate.kinds, when it is left out. */
static const char usual_kinds[] =
    "apps/v1/Deployment,apps/v1/StatefulSet,apps/v1/ReplicaSet,"
    "argoproj.io/v1alpha1/Rollout";

const struct flag kube_status_flags[] = {
    {"cluster", 0, "NAME", "The cluster of `clusters` (else the only one there is)"},
    {"namespace", 'n', "NS", "The application's namespace (else the context's)"},
    {"selector", 'l', "LABELS", "Its labels: app.kubernetes.io/instance=api"},
    {"kinds", 0, "LIST", "With commas: apps/v1/Deployment,... (those of a gate)"},
    {"timeout", 0, "TIME", "How long all of it may take (5s)"},
    {.name = NULL},
};

struct question {
    const char *cluster;
    const char *ns;
    const char *selector;
    char *kinds[WORKLOADS_KINDS_MAX]; /* owned */
    size_t kind_count;
    int64_t timeout_ms;
};

static int read_kinds(const struct command_line *line, struct question *q)
{
    const char *at = flag_value(line, "kinds");
    at = at != NULL ? at : usual_kinds;
    while (*at != '\0') {
        size_t len = strcspn(at, ",");
        const char *slash = memchr(at, '/', len);
        if (slash == NULL || slash == at || at[len - 1] == '/') {
            return command_misused(line, "--kinds: \"%.*s\" is not group/version/Kind",
                                   (int)len, at);
        }
        if (q->kind_count == WORKLOADS_KINDS_MAX) {
            return command_misused(line, "--kinds: more than %d", WORKLOADS_KINDS_MAX);
        }
        q->kinds[q->kind_count++] = mem_strndup(at, len);
        at += len;
        at += *at == ',';
    }
    return q->kind_count > 0 ? 0 : command_misused(line, "--kinds: none");
}

static int read_flags(const struct command_line *line, struct question *q)
{
    const char *timeout = flag_value(line, "timeout");
    *q = (struct question){.cluster = flag_value(line, "cluster"),
                           .ns = flag_value(line, "namespace"),
                           .selector = flag_value(line, "selector"),
                           .timeout_ms = TIMEOUT_MS};
    if (timeout != NULL && (now_parse_duration(timeout, &q->timeout_ms) != 0 ||
                            q->timeout_ms < 1 || q->timeout_ms > TIMEOUT_MAX_MS)) {
        return command_misused(line, "--timeout %s: expected 1ms to 60s", timeout);
    }
    if (q->selector == NULL || q->selector[0] == '\0') {
        return command_misused(line, "which application? Give --selector "
                                     "app.kubernetes.io/instance=NAME");
    }
    return read_kinds(line, q);
}

/* --- telling --- */

static const char *part_word(enum hibernation_part part)
{
    static const char *const words[] = {"unreadable", "not scalable", "owned",
                                        "hibernated", "at zero",      "running"};
    return words[part];
}

static struct json_object *item_json(const struct workload *item)
{
    struct json_object *doc = json_object_new_object();
    struct str ref;
    str_init(&ref);
    kube_ref_print(&item->ref, &ref);
    json_put_text(doc, "ref", ref.data);
    json_put_text(doc, "part", part_word(item->look.part));
    if (item->look.replicas >= 0) {
        json_put_number(doc, "replicas", item->look.replicas);
    }
    if (item->look.remembered >= 0) {
        json_put_number(doc, "remembered", item->look.remembered);
    }
    json_put_text(doc, "health", health_word(item->look.health));
    json_put_text(doc, "why", item->look.why);
    str_release(&ref);
    return doc;
}

static void print_json(const struct question *q, const struct workloads *read,
                       const char *text)
{
    const struct hibernation *h = &read->judged;
    struct json_object *doc = json_object_new_object();
    struct json_object *counts = json_object_new_object();
    struct json_object *items = json_object_new_array();
    json_put_text(doc, "schema", "sluice.hibernation/1");
    json_put_text(doc, "cluster", q->cluster);
    json_put_text(doc, "namespace", q->ns);
    json_put_text(doc, "selector", q->selector);
    json_put_text(doc, "state", hibernation_word(h->state));
    json_put_text(doc, "health", health_word(h->health));
    json_object_object_add(doc, "sleeps", json_object_new_boolean(hibernation_sleeps(h)));
    json_put_text(doc, "text", text);
    json_put_text(doc, "why", read->rc != 0 ? read->err.text : NULL);
    json_put_number(counts, "hibernated", h->asleep);
    json_put_number(counts, "running", h->running);
    json_put_number(counts, "at_zero", h->zero);
    json_put_number(counts, "not_scalable", h->not_scalable);
    json_put_number(counts, "unreadable", h->unreadable);
    json_object_object_add(doc, "counts", counts);
    for (size_t i = 0; i < read->count; i++) {
        json_object_array_add(items, item_json(&read->items[i]));
    }
    json_object_object_add(doc, "items", items);
    command_print_json(doc);
    json_free(doc);
}

static void add_row(struct table *table, const struct workload *item)
{
    char replicas[24] = "-";
    char remembered[24] = "";
    if (item->look.replicas >= 0) {
        snprintf(replicas, sizeof replicas, "%lld", (long long)item->look.replicas);
    }
    if (item->look.remembered >= 0) {
        snprintf(remembered, sizeof remembered, "%lld", (long long)item->look.remembered);
    }
    table_cell(table, item->ref.kind, "");
    table_cell(table, item->ref.name, "");
    table_cell(table, replicas, "");
    table_cell(table, remembered, "");
    table_cell(table, part_word(item->look.part), "");
    table_cell(table, health_word(item->look.health), "");
    table_cell(table, item->look.why, "");
}

static void print_text(const struct command_line *line, const struct question *q,
                       const struct workloads *read, const char *text)
{
    const struct hibernation *h = &read->judged;
    struct paint paint = paint_for(line, stdout);
    struct str out;
    str_init(&out);
    str_addf(&out, "%s%s%s: %s", paint.bold, hibernation_word(h->state), paint.off, text);
    if (h->health > HEALTH_HEALTHY && h->unreadable == 0) {
        str_addf(&out, "; %s%s%s", paint.warn, health_word(h->health), paint.off);
    }
    str_addf(&out, "\n%s/%s %s\n", q->cluster, q->ns, q->selector);
    if (read->rc != 0) {
        str_addf(&out, "%s%s%s\n", paint.bad, read->err.text, paint.off);
    }
    if (read->count > 0) {
        struct table *table =
            table_new("KIND|NAME|>REPLICAS|>REMEMBERED|STATE|HEALTH|WHY");
        for (size_t i = 0; i < read->count; i++) {
            add_row(table, &read->items[i]);
        }
        table_print(table, paint.bold, paint.off, 0, &out);
        table_free(table);
    }
    fputs(out.data, stdout);
    str_release(&out);
}

static int code_for(int rc)
{
    return rc == 0         ? 0
           : rc == -EACCES ? EXIT_REFUSED
           : rc == -EINVAL ? EXIT_CONFIG
           : rc == -ENOENT ? EXIT_CONFIG
                           : EXIT_UNAVAILABLE;
}

static int ask(const struct command_line *line, struct question *q, struct kube *kube)
{
    struct workloads read;
    struct str text;
    struct ctx *ctx = ctx_new(NULL, now_ms() + q->timeout_ms);
    q->ns = q->ns != NULL ? q->ns : kube_namespace(kube);
    q->ns = q->ns != NULL ? q->ns : "default";
    workloads_read(kube, ctx, q->ns, q->selector, q->kinds, q->kind_count, &read);
    str_init(&text);
    hibernation_say(&read.judged, &text);
    if (flag_is_set(line, "json")) {
        print_json(q, &read, text.data);
    } else {
        print_text(line, q, &read, text.data);
    }
    int code = code_for(read.rc);
    str_release(&text);
    workloads_release(&read);
    ctx_free(ctx);
    return code;
}

static int ask_cluster(const struct command_line *line, const struct config *config,
                       struct question *q)
{
    struct err err = ERR_INIT;
    const struct config_cluster *is = config_cluster_find(config, q->cluster, &err);
    if (is == NULL) {
        return command_failed(line, -EINVAL, &err);
    }
    struct cluster_set *set = cluster_set_new(NULL, false);
    cluster_set_config(set, config);
    struct kube *kube = cluster_set_take(set, is->name, &err);
    int code = 0;
    if (kube == NULL) {
        code = command_failed(line, -EINVAL, &err);
    } else {
        q->cluster = is->name;
        code = ask(line, q, kube);
        cluster_set_give(set, kube);
    }
    cluster_set_free(set);
    return code;
}

int kube_status_run(const struct command_line *line)
{
    struct question q;
    int code = read_flags(line, &q);
    struct config *config = code == 0 ? command_load_or_say(line, NULL, &code) : NULL;
    if (config != NULL) {
        log_set_level(flag_is_set(line, "verbose") ? LOG_DEBUG : LOG_ERROR);
        code = ask_cluster(line, config, &q);
        config_free(config);
    }
    for (size_t i = 0; i < q.kind_count; i++) {
        free(q.kinds[i]);
    }
    return code;
}
