#include "yaml_text.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "wire/yaml.h"

static void add_indent(struct str *out, int depth)
{
    for (int i = 0; i < depth; i++) {
        str_add(out, "  ");
    }
}

static bool is_filled(struct json_object *doc)
{
    return (json_object_is_type(doc, json_type_object) &&
            json_object_object_length(doc) > 0) ||
           (json_object_is_type(doc, json_type_array) &&
            json_object_array_length(doc) > 0);
}

/* A text stays a text: what YAML would take for a number, a flag or nothing is quoted. */
static void add_text(struct str *out, const char *text)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no",
                                        "on",   "off",   "y",    "n"};
    bool plain = isalpha((unsigned char)text[0]) != 0;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        plain = plain && strcasecmp(text, words[i]) != 0;
    }
    char *quoted = yaml_quote(text);
    if (plain || quoted[0] == '"') {
        str_add(out, quoted);
    } else {
        str_addf(out, "\"%s\"", quoted);
    }
    free(quoted);
}

static void add_scalar(struct str *out, struct json_object *doc)
{
    if (json_object_is_type(doc, json_type_string)) {
        add_text(out, json_object_get_string(doc));
    } else {
        json_print(doc, out); /* numbers, true, null, {} and [] are YAML too */
    }
}

static void add_node(struct str *out, struct json_object *doc, int depth, bool in_list);

static void add_map(struct str *out, struct json_object *map, int depth, bool in_list)
{
    bool first = in_list; /* the first member stands behind the dash */
    json_object_object_foreach(map, name, value)
    {
        add_indent(out, first ? 0 : depth);
        add_text(out, name);
        str_addc(out, ':');
        first = false;
        if (is_filled(value)) {
            bool list = json_object_is_type(value, json_type_array);
            str_addc(out, '\n');
            add_node(out, value, list ? depth : depth + 1, false);
        } else {
            str_addc(out, ' ');
            add_scalar(out, value);
            str_addc(out, '\n');
        }
    }
}

static void add_list(struct str *out, struct json_object *list, int depth)
{
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        add_indent(out, depth);
        str_add(out, "- ");
        if (json_object_is_type(item, json_type_object) && is_filled(item)) {
            add_map(out, item, depth + 1, true);
        } else { /* a list in a list is rare: in flow style */
            add_scalar(out, item);
            str_addc(out, '\n');
        }
    }
}

static void add_node(struct str *out, struct json_object *doc, int depth, bool in_list)
{
    if (json_object_is_type(doc, json_type_array)) {
        add_list(out, doc, depth);
    } else {
        add_map(out, doc, depth, in_list);
    }
}

void yaml_add_json(struct json_object *doc, struct str *out)
{
    if (is_filled(doc)) {
        add_node(out, doc, 0, false);
    } else {
        add_scalar(out, doc);
        str_addc(out, '\n');
    }
}
