#include "wire/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/json_reader.h"
#include "wire/json_writer.h"

enum { TOKEN_MAX = 256 };

int json_parse(const char *bytes, size_t len, struct json_object **doc, struct err *err)
{
    const struct json_how how = {.memory_max =
                                     JSON_MEMORY_BASE + JSON_MEMORY_FACTOR * len};
    return json_parse_with(&how, bytes, len, doc, err);
}

int json_parse_with(const struct json_how *how, const char *bytes, size_t len,
                    struct json_object **doc, struct err *err)
{
    if (len > JSON_BYTES_MAX) {
        return err_set(err, -EBADMSG, "too large at \"\", byte %d: %zu bytes, at most %d",
                       JSON_BYTES_MAX, len, JSON_BYTES_MAX);
    }
    return json_reader_read(how, bytes, len, doc, err);
}

void json_free(struct json_object *doc)
{
    json_object_put(doc);
}

/* ---- printing ---- */

void json_print(struct json_object *doc, struct str *out)
{
    json_writer_print(doc, out);
}

void json_print_pretty(struct json_object *doc, struct str *out)
{
    if (doc == NULL) {
        str_add(out, "null");
        return;
    }
    size_t len;
    const char *text =
        json_object_to_json_string_length(doc,
                                          JSON_C_TO_STRING_PRETTY |
                                              JSON_C_TO_STRING_SPACED |
                                              JSON_C_TO_STRING_NOSLASHESCAPE,
                                          &len);
    str_put(out, text, len);
}

/* ---- looking things up ---- */

/* Unescape one reference token into a buffer. Returns 0, or -EINVAL when it is malformed
 * or longer than any name we look for. */
static int read_token(const char *token, size_t len, char out[TOKEN_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = token[i];
        if (c == '~') {
            i++;
            if (i == len || (token[i] != '0' && token[i] != '1')) {
                return -EINVAL;
            }
            c = token[i] == '0' ? '~' : '/';
        }
        if (n == TOKEN_MAX - 1) {
            return -EINVAL;
        }
        out[n++] = c;
    }
    out[n] = '\0';
    return 0;
}

static struct json_object *array_at(struct json_object *array, const char *token)
{
    size_t digits = strspn(token, "0123456789");
    if (digits == 0 || digits > 9 || token[digits] != '\0' ||
        (token[0] == '0' && digits > 1)) {
        return NULL;
    }
    size_t index = strtoul(token, NULL, 10);
    return index < json_object_array_length(array)
               ? json_object_array_get_idx(array, index)
               : NULL;
}

/* "/app": the pointer's own text is the name. Most look-ups are of this kind. */
static bool is_plain_member(struct json_object *doc, const char *pointer)
{
    return *pointer == '/' && json_object_is_type(doc, json_type_object) &&
           pointer[1 + strcspn(pointer + 1, "/~")] == '\0' &&
           strlen(pointer) <= TOKEN_MAX - 1;
}

struct json_object *json_at(struct json_object *doc, const char *pointer)
{
    char token[TOKEN_MAX];
    if (is_plain_member(doc, pointer)) {
        struct json_object *member = NULL;
        json_object_object_get_ex(doc, pointer + 1, &member);
        return member;
    }
    if (*pointer != '\0' && *pointer != '/') {
        return NULL;
    }
    while (*pointer == '/' && doc != NULL) {
        pointer++;
        size_t len = strcspn(pointer, "/");
        if (read_token(pointer, len, token) != 0) {
            return NULL;
        }
        struct json_object *next = NULL;
        if (json_object_is_type(doc, json_type_object)) {
            json_object_object_get_ex(doc, token, &next);
        } else if (json_object_is_type(doc, json_type_array)) {
            next = array_at(doc, token);
        }
        doc = next;
        pointer += len;
    }
    return doc;
}

bool json_pointer_is_valid(const char *pointer)
{
    char token[TOKEN_MAX];
    while (*pointer == '/') {
        size_t len = strcspn(pointer + 1, "/");
        if (read_token(pointer + 1, len, token) != 0) {
            return false;
        }
        pointer += 1 + len;
    }
    return *pointer == '\0';
}

const char *json_string_at(struct json_object *doc, const char *pointer, size_t *len)
{
    struct json_object *at = json_at(doc, pointer);
    if (!json_object_is_type(at, json_type_string)) {
        return NULL;
    }
    const char *text = json_object_get_string(at);
    size_t n = (size_t)json_object_get_string_len(at);
    if (memchr(text, '\0', n) != NULL) {
        return NULL;
    }
    if (len != NULL) {
        *len = n;
    }
    return text;
}

char *json_text_at(struct json_object *doc, const char *pointer)
{
    struct json_object *at = json_at(doc, pointer);
    if (at == NULL || json_object_is_type(at, json_type_object) ||
        json_object_is_type(at, json_type_array)) {
        return NULL;
    }
    if (json_object_is_type(at, json_type_string)) {
        return mem_strdup(json_string_at(at, "", NULL));
    }
    return mem_strdup(json_object_to_json_string(at));
}

void json_put_number(struct json_object *doc, const char *name, int64_t number)
{
    json_object_object_add(doc, name, json_object_new_int64(number));
}

void json_put_text(struct json_object *doc, const char *name, const char *text)
{
    if (text && text[0]) {
        json_object_object_add(doc, name, json_object_new_string(text));
    }
}

int64_t json_number_or(struct json_object *doc, const char *pointer, int64_t otherwise)
{
    struct json_object *value = json_at(doc, pointer);
    bool number = json_object_is_type(value, json_type_int) ||
                  json_object_is_type(value, json_type_double);
    return number ? json_object_get_int64(value) : otherwise;
}

const char *json_text_or(struct json_object *doc, const char *pointer,
                         const char *otherwise)
{
    const char *text = json_string_at(doc, pointer, NULL);
    return text ? text : otherwise;
}

const char *json_library_version(void)
{
    return json_c_version();
}
