/* kube status: does an application sleep? What a gate would find, said to people. */
#include "../commands.h"

#include <string.h>

#include "../table.h"
#include "kube_app.h"
#include "wire/json.h"

const struct flag kube_status_flags[] = {
    KUBE_APP_FLAGS,
    {.name = NULL},
};

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

static void print_json(const struct kube_app *app, const struct workloads *read,
                       const char *text)
{
    const struct hibernation *h = &read->judged;
    struct json_object *doc = json_object_new_object();
    struct json_object *counts = json_object_new_object();
    struct json_object *items = json_object_new_array();
    json_put_text(doc, "schema", "sluice.hibernation/1");
    json_put_text(doc, "cluster", app->cluster);
    json_put_text(doc, "namespace", app->ns);
    json_put_text(doc, "selector", app->selector);
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

static void print_text(const struct command_line *line, const struct kube_app *app,
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
    str_addf(&out, "\n%s/%s %s\n", app->cluster, app->ns, app->selector);
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

static int show(const struct command_line *line, const struct kube_app *app)
{
    struct workloads read;
    struct str text;
    kube_app_look(app, NULL, &read);
    str_init(&text);
    hibernation_say(&read.judged, &text);
    if (flag_is_set(line, "json")) {
        print_json(app, &read, text.data);
    } else {
        print_text(line, app, &read, text.data);
    }
    int code = kube_app_code(read.rc);
    str_release(&text);
    workloads_release(&read);
    return code;
}

int kube_status_run(const struct command_line *line)
{
    struct kube_app app;
    int code = kube_app_read(line, &app);
    struct config *config = code == 0 ? command_load_or_say(line, NULL, &code) : NULL;
    if (config != NULL) {
        log_set_level(flag_is_set(line, "verbose") ? LOG_DEBUG : LOG_ERROR);
        code = kube_app_open(line, config, &app);
        code = code != 0 ? code : show(line, &app);
    }
    kube_app_release(&app);
    config_free(config);
    return code;
}
