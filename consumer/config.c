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
    {"target", 0, "KIND",
     "What its target is, http or another of those that `help targets.*.kind` lists"},
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

/* Each consumer that is there, and whether it runs this configuration. Returns owned.
 * differ  out: how many do not. */
static struct json_object *compare(struct json_object *consumers, const char *hash,
                                   size_t *differ)
{
    struct json_object *list = json_object_new_array();
    *differ = 0;
    for (size_t i = 0; consumers && i < json_object_array_length(consumers); i++) {
        struct json_object *consumer = json_object_array_get_idx(consumers, i);
        if (strcmp(json_text_or(consumer, "/state", ""), "gone") == 0) {
            continue;
        }
        const char *theirs = json_text_or(consumer, "/config_hash", "");
        bool same = strcmp(theirs, hash) == 0;
        struct json_object *o = json_object_new_object();
        json_object_object_add(o, "id",
                               json_object_new_string(
                                   json_text_or(consumer, "/id", "?")));
        json_object_object_add(o, "config_hash", json_object_new_string(theirs));
        json_object_object_add(o, "same", json_object_new_boolean(same));
        json_object_array_add(list, o);
        *differ += !same;
    }
    return list;
}

static void print_differences(struct json_object *list, const char *hash, size_t differ)
{
    size_t n = json_object_array_length(list);
    struct str id;
    str_init(&id);
    printf("this configuration: %s\n", hash);
    for (size_t i = 0; i < n; i++) {
        struct json_object *o = json_object_array_get_idx(list, i);
        const char *theirs = json_text_or(o, "/config_hash", "");
        str_clear(&id);
        str_add_plain(&id, json_text_or(o, "/id", "?"));
        printf("%s %s  %s\n", strcmp(theirs, hash) == 0 ? "=" : "≠", id.data,
               theirs[0] ? theirs : "unknown");
    }
    if (n == 0) {
        printf("no consumer runs\n");
    }
    if (differ > 0) {
        printf("%zu differ%s  → sluice-consumer reload --wait\n", differ,
               differ == 1 ? "s" : "");
    }
    str_release(&id);
}

static void print_differences_json(struct json_object *list, const char *hash)
{
    struct json_object *root = json_object_new_object();
    json_object_object_add(root, "schema",
                           json_object_new_string("sluice.config-diff/1"));
    json_object_object_add(root, "config_hash", json_object_new_string(hash));
    json_object_object_add(root, "consumers", json_object_get(list));
    command_print_json(root);
    json_free(root);
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
        size_t differ;
        struct json_object *list = compare(json_at(frame, "/consumers"), hash, &differ);
        if (flag_is_set(line, "json")) {
            print_differences_json(list, hash);
        } else {
            print_differences(list, hash, differ);
        }
        json_free(list);
        code = differ > 0 ? EXIT_NO : 0;
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
