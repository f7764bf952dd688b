/* kube get: objects of clusters, read in one call. */
#include "../commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "kube_reader.h"
#include "yaml_text.h"

enum { REFS_BYTES_MAX = MANIFESTS_MAX * (KUBE_REF_MAX + 1) };

const struct flag kube_get_flags[] = {
    {"cluster", 0, "NAME", "The cluster of `clusters` (else the only one there is)"},
    {"namespace", 'n', "NS", "The namespace of names without one (else the context's)"},
    {"timeout", 0, "TIME",
     "How long all of it may take (5s); what came by then is shown"},
    {"width", 0, "N", "Requests at a time, 1 to 64 (5)"},
    {"output", 'o', "FORMAT", "yaml, json or name (yaml)"},
    {.name = NULL},
};

/* What was asked for on the command line. */
struct question {
    struct kube_question it;
    int64_t timeout_ms;
    const char *output;
    struct str input;  /* of "-": one name a line */
    const char **refs; /* owned; the texts are not */
};

static int read_flags(const struct command_line *line, struct question *q)
{
    const char *timeout = flag_value(line, "timeout");
    const char *width = flag_value(line, "width");
    const char *output = flag_value(line, "output");
    int64_t number = KUBE_READER_WIDTH;
    q->timeout_ms = KUBE_READER_TIMEOUT_MS;
    q->output = output != NULL ? output : flag_is_set(line, "json") ? "json" : "yaml";
    q->it.cluster = flag_value(line, "cluster");
    q->it.ns = flag_value(line, "namespace");
    if (timeout != NULL &&
        (now_parse_duration(timeout, &q->timeout_ms) != 0 || q->timeout_ms == 0)) {
        return command_misused(line, "--timeout: \"%s\" is no duration such as 5s",
                               timeout);
    }
    if (width != NULL && text_parse_int(width, 1, MANIFESTS_WIDTH_MAX, &number) != 0) {
        return command_misused(line, "--width: expected a number from 1 to %d",
                               MANIFESTS_WIDTH_MAX);
    }
    q->it.width = (int)number;
    if (strcmp(q->output, "yaml") != 0 && strcmp(q->output, "json") != 0 &&
        strcmp(q->output, "name") != 0) {
        return command_misused(line, "--output: expected yaml, json or name");
    }
    return 0;
}

static void add_ref(struct question *q, const char *text)
{
    if (q->it.count <= MANIFESTS_MAX) { /* one more is one too many, and said so */
        q->refs[q->it.count++] = text;
    }
}

/* Names from standard input, one a line; empty lines are let be. */
static int add_input(const struct command_line *line, struct question *q)
{
    if (q->input.len > 0) {
        return command_misused(line, "standard input (-) is there once only");
    }
    int code = command_read(line, "-", REFS_BYTES_MAX, &q->input);
    if (code != 0) {
        return code;
    }
    char *at = q->input.data;
    while (at != NULL) {
        char *end = strchr(at, '\n');
        if (end != NULL) {
            *end = '\0';
        }
        at[strcspn(at, "\r")] = '\0';
        if (at[0] != '\0') {
            add_ref(q, at);
        }
        at = end != NULL ? end + 1 : NULL;
    }
    return 0;
}

static int read_words(const struct command_line *line, struct question *q)
{
    int code = 0;
    q->refs = mem_array(MANIFESTS_MAX + 1, sizeof(const char *));
    for (size_t i = 0; i < line->word_count && code == 0; i++) {
        if (strcmp(line->words[i], "-") == 0) {
            code = add_input(line, q);
        } else {
            add_ref(q, line->words[i]);
        }
    }
    q->it.refs = q->refs;
    if (code == 0 && q->it.count == 0) {
        return command_misused(line, "name an object, as apps/v1/Deployment/shop/api");
    }
    return code;
}

/* --- the answer --- */

/* The worst of it: not reached, then refused, not configured, missing. */
static int exit_code(const struct kube_answer *answer)
{
    static const int order[] = {EXIT_UNAVAILABLE, EXIT_REFUSED, EXIT_CONFIG, EXIT_NO};
    bool seen[sizeof order / sizeof order[0]] = {false};
    for (size_t i = 0; i < answer->count; i++) {
        int rc = answer->items[i].rc;
        seen[1] |= rc == -EACCES;
        seen[2] |= rc == -EINVAL;
        seen[3] |= rc == -ENOENT;
        seen[0] |= rc != 0 && rc != -EACCES && rc != -EINVAL && rc != -ENOENT;
    }
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        if (seen[i]) {
            return order[i];
        }
    }
    return 0;
}

static void print_item(const struct question *q, const struct manifest *item)
{
    struct str text;
    str_init(&text);
    if (strcmp(q->output, "name") == 0) {
        kube_ref_print(item->ref, &text);
        str_addc(&text, '\n');
    } else {
        str_add(&text, "---\n");
        yaml_add_json(item->doc, &text);
    }
    fputs(text.data, stdout);
    str_release(&text);
}

/* The name says the cluster already. */
static void complain(const struct command_line *line, const struct manifest *item)
{
    struct str name;
    struct str front;
    const char *why = item->err.text;
    str_init(&name);
    str_init(&front);
    kube_ref_print(item->ref, &name);
    str_addf(&front, "cluster %s: ", item->ref->cluster);
    why += text_starts(why, front.data) ? front.len : 0;
    fprintf(stderr, "%s %s: %s: %s\n", line->program->name, line->command->name,
            name.data, why);
    str_release(&front);
    str_release(&name);
}

static void print_answer(const struct command_line *line, const struct question *q,
                         struct kube_answer *answer)
{
    if (strcmp(q->output, "json") == 0) {
        struct json_object *doc = kube_answer_json(answer);
        command_print_json(doc);
        json_free(doc);
        return;
    }
    for (size_t i = 0; i < answer->count; i++) {
        const struct manifest *item = &answer->items[i];
        if (item->rc == 0) {
            print_item(q, item);
            continue;
        }
        fflush(stdout);
        complain(line, item);
    }
}

static int ask(const struct command_line *line, const struct config *config,
               const struct question *q)
{
    struct err err = ERR_INIT;
    struct kube_answer answer;
    struct kube_reader *reader = kube_reader_start(config);
    int rc = kube_reader_parse(reader, &q->it, &answer, &err);
    int code = 0;
    if (rc != 0) {
        code = command_failed(line, rc, &err);
    } else {
        struct ctx *ctx = ctx_new(NULL, now_ms() + q->timeout_ms);
        kube_reader_read(reader, ctx, q->it.width, &answer);
        ctx_free(ctx);
        code = exit_code(&answer);
        print_answer(line, q, &answer);
        kube_answer_release(&answer);
    }
    kube_reader_stop(reader);
    return code;
}

int kube_get_run(const struct command_line *line)
{
    struct question q = {.timeout_ms = 0};
    str_init(&q.input);
    int code = read_flags(line, &q);
    code = code != 0 ? code : read_words(line, &q);
    struct config *config = code == 0 ? command_load_or_say(line, NULL, &code) : NULL;
    if (config != NULL) {
        log_set_level(flag_is_set(line, "verbose") ? LOG_DEBUG : LOG_ERROR);
        code = ask(line, config, &q);
        config_free(config);
    }
    free(q.refs);
    str_release(&q.input);
    return code;
}
