/* config show | diff | init | schema */
#include <string.h>

#include "base/now.h"
#include "commands.h"
#include "ops/faults.h"
#include "ops/snapshot.h"
#include "wire/json.h"

const struct flag config_show_flags[] = {
    {"origin", 0, NULL, "Say where each value comes from"},
    {.name = NULL},
};
const struct flag config_init_flags[] = {
    {"target", 0, "KIND", "http, argocd, github or devtron"},
    {.name = NULL},
};

int config_show_run(const struct command_line *line)
{
    int code;
    struct config *config = command_load_or_say(line, NULL, &code);
    if (config == NULL) {
        return code;
    }
    struct str out;
    str_init(&out);
    config_show(config, flag_is_set(line, "origin"), flag_is_set(line, "json"), &out);
    bool ended = out.len > 0 && out.data[out.len - 1] == '\n';
    printf("%s%s", out.data, ended ? "" : "\n");
    str_release(&out);
    config_free(config);
    return 0;
}

int config_init_run(const struct command_line *line)
{
    const char *kind = flag_value(line, "target");
    struct err err = ERR_INIT;
    struct str out;
    str_init(&out);
    int rc = config_scaffold(kind != NULL ? kind : "http", &out, &err);
    printf("%s", out.data);
    str_release(&out);
    return rc == 0 ? 0 : command_misused(line, "--target: %s", err.text);
}

int config_schema_run(const struct command_line *line)
{
    (void)line;
    struct str out;
    str_init(&out);
    config_schema(&out);
    printf("%s\n", out.data);
    str_release(&out);
    return 0;
}

/* --- what the fleet runs --- */

enum { DIFF_PATIENCE_MS = 3000 };

/* Say of each consumer whether it runs this configuration. Returns how many do not. */
static size_t print_differences(struct json_object *consumers, const char *hash)
{
    size_t others = 0;
    for (size_t i = 0; consumers && i < json_object_array_length(consumers); i++) {
        struct json_object *consumer = json_object_array_get_idx(consumers, i);
        const char *theirs = json_text_or(consumer, "/config_hash", "");
        bool same = strcmp(theirs, hash) == 0;
        struct str id;
        str_init(&id);
        str_add_plain(&id, json_text_or(consumer, "/id", "?"));
        printf("%s %s  %s\n", same ? "=" : "≠", id.data, theirs[0] ? theirs : "unknown");
        str_release(&id);
        others += !same;
    }
    return others;
}

int config_diff_run(const struct command_line *line)
{
    struct config *config;
    struct ops_place place;
    char hash[CONFIG_HASH_LEN];
    int code = command_open(line, &config, &place);
    if (code) {
        return code;
    }
    config_hash(config, hash);
    struct json_object *frame =
        snapshot_take(&place, SNAPSHOT_REDIS_ALONE, now_ms() + DIFF_PATIENCE_MS);
    struct json_object *known = json_at(frame, "/redis/known");
    if (!known || !json_object_get_boolean(known)) {
        fprintf(stderr, "sluice-consumer config diff: %s\n",
                json_text_or(frame, "/redis/why", "Redis does not answer"));
        code = EXIT_UNAVAILABLE;
    } else {
        printf("this configuration: %s\n", hash);
        size_t others = print_differences(json_at(frame, "/consumers"), hash);
        if (others > 0) {
            printf("%zu differ  → sluice-consumer reload --wait\n", others);
        }
        code = others > 0 ? EXIT_NO : 0;
    }
    json_free(frame);
    command_close(config, &place);
    return code;
}

/* --- help on codes and keys --- */

static void list_codes(FILE *out)
{
    char code[8];
    const char *fault;
    const char *title;
    for (size_t i = 0; config_code_at(i, code, &title); i++) {
        fprintf(out, "  %s  %s\n", code, title);
    }
    for (size_t i = 0; fault_at(i, &fault, &title); i++) {
        fprintf(out, "  %s  %s\n", fault, title);
    }
}

bool help_topic(const char *word, FILE *out)
{
    const char *paragraph = config_code_explain(word);
    paragraph = paragraph != NULL ? paragraph : fault_explain(word);
    if (paragraph != NULL) {
        fprintf(out, "%s\n", paragraph);
        return true;
    }
    if (strcmp(word, "codes") == 0) {
        list_codes(out);
        return true;
    }
    struct str text;
    str_init(&text);
    if (strcmp(word, "config") == 0) {
        str_add(&text, "\nkeys of sluice.yaml (defaults < file < environment < flags); "
                       "also --set KEY=VALUE:\n\n");
    }
    size_t n = config_help(strcmp(word, "config") == 0 ? "" : word, &text);
    fputs(n > 0 ? text.data : "", out);
    str_release(&text);
    return n > 0;
}
