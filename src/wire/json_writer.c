#include "wire/json_writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void put_escaped(struct str *out, unsigned char c)
{
    static const char from[] = "\b\t\n\f\r\"\\";
    static const char to[] = "btnfr\"\\";
    static const char hex[] = "0123456789abcdef";
    const char *at = c != '\0' ? strchr(from, c) : NULL;
    if (at != NULL) {
        const char pair[] = {'\\', to[at - from]};
        str_put(out, pair, sizeof(pair));
    } else {
        const char code[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        str_put(out, code, sizeof(code));
    }
}

static void put_string(struct str *out, const char *text, size_t len)
{
    const char *end = text + len;
    str_addc(out, '"');
    while (text < end) {
        const char *run = text;
        while (text < end && (unsigned char)*text >= 0x20 && *text != '"' &&
               *text != '\\') {
            text++;
        }
        str_put(out, run, (size_t)(text - run));
        if (text < end) {
            put_escaped(out, (unsigned char)*text++);
        }
    }
    str_addc(out, '"');
}

static void put_object(struct str *out, struct json_object *object)
{
    char before = '{';
    json_object_object_foreach(object, name, value)
    {
        str_addc(out, before);
        put_string(out, name, strlen(name));
        str_addc(out, ':');
        json_writer_print(value, out);
        before = ',';
    }
    str_add(out, before == '{' ? "{}" : "}");
}

static void put_array(struct str *out, struct json_object *array)
{
    size_t n = json_object_array_length(array);
    str_addc(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0) {
            str_addc(out, ',');
        }
        json_writer_print(json_object_array_get_idx(array, i), out);
    }
    str_addc(out, ']');
}

/* json-c knows how the number was written, and numbers beyond 64 signed bits. */
static void put_number(struct str *out, struct json_object *number)
{
    char text[24];
    int64_t whole = json_object_get_int64(number);
    if (json_object_is_type(number, json_type_int) && whole != INT64_MAX) {
        int len = snprintf(text, sizeof(text), "%" PRId64, whole);
        str_put(out, text, (size_t)len);
    } else {
        str_add(out, json_object_to_json_string_ext(number, JSON_C_TO_STRING_PLAIN));
    }
}

void json_writer_print(struct json_object *doc, struct str *out)
{
    switch (json_object_get_type(doc)) {
    case json_type_object:
        put_object(out, doc);
        break;
    case json_type_array:
        put_array(out, doc);
        break;
    case json_type_string:
        put_string(out, json_object_get_string(doc),
                   (size_t)json_object_get_string_len(doc));
        break;
    case json_type_int:
    case json_type_double:
        put_number(out, doc);
        break;
    case json_type_boolean:
        str_add(out, json_object_get_boolean(doc) ? "true" : "false");
        break;
    case json_type_null:
        str_add(out, "null");
        break;
    }
}
