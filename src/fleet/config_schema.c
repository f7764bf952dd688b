/* The option table as a JSON Schema, for editors. */
#include "fleet/config_private.h"

#include <string.h>

#include "base/mem.h"

static struct json_object *object_of_type(const char *type)
{
    struct json_object *schema = json_object_new_object();
    json_object_object_add(schema, "type", json_object_new_string(type));
    return schema;
}

static struct json_object *pattern(const char *regex)
{
    struct json_object *schema = object_of_type("string");
    json_object_object_add(schema, "pattern", json_object_new_string(regex));
    return schema;
}

static struct json_object *choice(const char *choices)
{
    struct json_object *schema = object_of_type("string");
    struct json_object *words = json_object_new_array();
    while (*choices != '\0') {
        int len = (int)strcspn(choices, "|");
        json_object_array_add(words, json_object_new_string_len(choices, len));
        choices += len + (choices[len] == '|');
    }
    json_object_object_add(schema, "enum", words);
    return schema;
}

/* A text that an editor's YAML reader may take for a number or a boolean. */
static struct json_object *any_scalar(void)
{
    static const char *const kinds[] = {"string", "number", "boolean"};
    struct json_object *schema = json_object_new_object();
    struct json_object *types = json_object_new_array();
    for (size_t i = 0; i < 3; i++) {
        json_object_array_add(types, json_object_new_string(kinds[i]));
    }
    json_object_object_add(schema, "type", types);
    return schema;
}

static struct json_object *globs(void)
{
    struct json_object *schema = json_object_new_object();
    struct json_object *either = json_object_new_array();
    struct json_object *list = object_of_type("array");
    json_object_object_add(list, "items", any_scalar());
    json_object_array_add(either, any_scalar());
    json_object_array_add(either, list);
    json_object_object_add(schema, "anyOf", either);
    return schema;
}

static struct json_object *map_of(struct json_object *values)
{
    struct json_object *schema = object_of_type("object");
    json_object_object_add(schema, "additionalProperties", values);
    return schema;
}

#define DURATION "([0-9]+(ms|s|m|h|d))+"

static struct json_object *one_value(const struct option *option)
{
    switch (option->type) {
    case OPTION_BOOL:
        return object_of_type("boolean");
    case OPTION_INT:
        return object_of_type("integer");
    case OPTION_NUMBER:
        return object_of_type("number");
    case OPTION_BYTES:
        return pattern("^[0-9]+ *([KMG]i?B|B)?$");
    case OPTION_DURATION:
        return pattern("^" DURATION "$");
    case OPTION_SPAN:
        return pattern("^" DURATION "\\.\\." DURATION "$");
    case OPTION_RATE:
        return pattern("^[0-9]+(\\.[0-9]+)?/[smh]$");
    case OPTION_CHOICE:
        return choice(option->choices);
    case OPTION_MAP:
        return map_of(any_scalar());
    case OPTION_GLOBS:
        return map_of(globs());
    case OPTION_TREE:
        return json_object_new_object();
    case OPTION_TEXT:
        break;
    }
    return object_of_type("string");
}

static struct json_object *schema_of(const struct option *option)
{
    struct json_object *schema = one_value(option);
    bool bounded = option->type == OPTION_INT || option->type == OPTION_NUMBER;
    if (bounded && (option->min != 0 || option->max != 0)) {
        json_object_object_add(schema, "minimum", json_object_new_int64(option->min));
        json_object_object_add(schema, "maximum", json_object_new_int64(option->max));
    }
    if (option->list) {
        struct json_object *list = object_of_type("array");
        json_object_object_add(list, "items", schema);
        schema = list;
    }
    struct str text;
    str_init(&text);
    str_add(&text, option->help);
    if (option->initial != NULL) {
        str_addf(&text, " (default: %s)", option->initial);
    }
    json_object_object_add(schema, "description", json_object_new_string(text.data));
    str_release(&text);
    return schema;
}

/* The schema of the section a word stands for, made when it is not there yet. word "*":
 * of anything in it. */
static struct json_object *section(struct json_object *parent, const char *word)
{
    struct json_object *holder = parent;
    struct json_object *found;
    bool any = strcmp(word, "*") == 0;
    if (!any && !json_object_object_get_ex(parent, "properties", &holder)) {
        holder = json_object_new_object();
        json_object_object_add(parent, "properties", holder);
    }
    const char *name = any ? "additionalProperties" : word;
    bool there = json_object_object_get_ex(holder, name, &found);
    if (!there || json_object_get_type(found) != json_type_object) {
        found = object_of_type("object");
        json_object_object_add(found, "additionalProperties",
                               json_object_new_boolean(false));
        json_object_object_add(holder, name, found);
    }
    return found;
}

static void hang(struct json_object *root, const struct option *option)
{
    char key[OPTION_KEY_MAX];
    struct json_object *at = root;
    char *word = key;
    struct json_object *properties;
    option_key(option, "*", key);
    for (char *dot = strchr(word, '.'); dot != NULL; dot = strchr(word, '.')) {
        *dot = '\0';
        at = section(at, word);
        word = dot + 1;
    }
    if (!json_object_object_get_ex(at, "properties", &properties)) {
        properties = json_object_new_object();
        json_object_object_add(at, "properties", properties);
    }
    json_object_object_add(properties, word, schema_of(option));
    if (option->required) {
        struct json_object *required = json_object_new_array();
        json_object_array_add(required, json_object_new_string(word));
        json_object_object_add(at, "required", required);
    }
}

void config_schema(struct str *out)
{
    struct json_object *root = object_of_type("object");
    json_object_object_add(root, "$schema",
                           json_object_new_string(
                               "https://json-schema.org/draft/2020-12/schema"));
    json_object_object_add(root, "title", json_object_new_string("sluice.yaml"));
    json_object_object_add(root, "additionalProperties", json_object_new_boolean(false));
    for (size_t i = 0; i < config_option_count; i++) {
        hang(root, &config_options[i]);
    }
    json_print_pretty(root, out);
    json_free(root);
}
