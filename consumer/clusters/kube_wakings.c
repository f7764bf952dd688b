/* kube wakings: what was woken or put to sleep, by the fleet's gates or by people. */
#include "../commands.h"

#include <string.h>

#include "../table.h"
#include "base/now.h"
#include "ops/wakings.h"
#include "wire/json.h"

enum { PATIENCE_MS = 4000 };

/* What was not woken, one a line below the table. */
static void add_trouble(struct json_object *waking, struct str *out)
{
    struct json_object *items = json_at(waking, "/items");
    size_t n =
        json_object_is_type(items, json_type_array) ? json_object_array_length(items) : 0;
    for (size_t i = 0; i < n; i++) {
        struct json_object *item = json_object_array_get_idx(items, i);
        const char *end = json_text_or(item, "/end", "");
        if (strcmp(end, "failed") == 0 || strcmp(end, "uncertain") == 0 ||
            strcmp(end, "not-begun") == 0) {
            str_addf(out, "  %s: ", json_text_or(item, "/ref", "?"));
            str_add_plain(out, end);
            const char *why = json_text_or(item, "/why", "");
            str_add(out, why[0] != '\0' ? ": " : "");
            str_add_plain(out, why);
            str_addc(out, '\n');
        }
    }
}

static void print_table(const struct command_line *line, struct json_object *list)
{
    struct paint paint = paint_for(line, stdout);
    struct table *table = table_new("WHEN|BY|CLUSTER|NAMESPACE|LABELS|WHAT");
    struct str out;
    struct str trouble;
    str_init(&out);
    str_init(&trouble);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        char at[NOW_TEXT_MAX];
        now_rfc3339(json_number_or(one, "/at_ms", 0), at);
        table_cell(table, at, "");
        table_cell(table, json_text_or(one, "/who", ""), "");
        table_cell(table, json_text_or(one, "/cluster", ""), "");
        table_cell(table, json_text_or(one, "/namespace", ""), "");
        table_cell(table, json_text_or(one, "/selector", ""), "");
        table_cell(table, json_text_or(one, "/text", ""), "");
        add_trouble(one, &trouble);
    }
    table_print(table, paint.bold, paint.off, 0, &out);
    str_put(&out, trouble.data, trouble.len);
    fputs(out.data, stdout);
    str_release(&trouble);
    str_release(&out);
    table_free(table);
}

static void print_json(struct json_object *list)
{
    struct json_object *doc = json_object_new_object();
    json_put_text(doc, "schema", "sluice.wakings/1");
    json_object_object_add(doc, "wakings", json_object_get(list));
    command_print_json(doc);
    json_free(doc);
}

int kube_wakings_run(const struct command_line *line)
{
    struct config *config;
    struct ops_place place;
    struct err err = ERR_INIT;
    struct json_object *list = NULL;
    int code = command_open(line, &config, &place);
    if (code != 0) {
        return code;
    }
    int rc = wakings_read(&place, now_ms() + PATIENCE_MS, &list, &err);
    if (rc != 0) {
        code = command_failed(line, rc, &err);
    } else if (flag_is_set(line, "json")) {
        print_json(list);
    } else if (json_object_array_length(list) == 0) {
        puts("nothing was woken or put to sleep");
    } else {
        print_table(line, list);
    }
    json_free(list);
    command_close(config, &place);
    return code;
}
