/* JSON with limits: the one place that parses, prints and bounds documents.
 *
 * json-c's value type is our document type and may be passed around and read with
 * json-c's accessors, which is why this header includes them; parsing and printing happen
 * only here. json-c's own parser in its strict mode still takes duplicate keys, NaN and
 * single quotes (measured, 0.16), so the bytes are read here, once and without recursion,
 * and only the tree is json-c's. What is accepted is RFC 8259 with unique names per
 * object (compared after unescaping), without U+0000 in names, without lone surrogates,
 * without numbers beyond a double's range. Numbers print as they were written. Plain
 * data: one thread at a time; printing writes into the document too. */
#ifndef WIRE_JSON_H
#define WIRE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json_c_version.h>
#include <json-c/json_object.h>
#include <json-c/linkhash.h>

#include "base/err.h"
#include "base/str.h"

enum {
    JSON_DEPTH_MAX = 32,
    JSON_BYTES_MAX = 8 * 1024 * 1024,
    JSON_NUMBER_MAX = 64,
    JSON_EXPONENT_MAX = 3, /* digits; nobody computes 1e999999 */
    /* The tree may take this much, about: "{}," costs three bytes of text and 900 of
     * memory. */
    JSON_MEMORY_BASE = 1024 * 1024,
    JSON_MEMORY_FACTOR = 24, /* times the text's length, on top */
};

/* Parse one whole document.
 *
 * doc  out: returns owned (json_free).
 * Returns 0, or -EBADMSG with a sentence that names the JSON pointer and the byte offset
 * of the fault: bad UTF-8, duplicate name, too deep, too large, trailing bytes, NaN, a
 * number too long. */
int json_parse(const char *bytes, size_t len, struct json_object **doc, struct err *err)
    __attribute__((warn_unused_result));

/* The same for documents of which more is known. */
struct json_how {
    size_t memory_max; /* what the tree may take, about, whatever the text's length */
    /* A member that is read and checked like the rest and then forgotten: an object or
     * array, of an object that is itself the member `inside` of another; NULL: none. */
    const char *inside;
    const char *leave_out;
};
int json_parse_with(const struct json_how *how, const char *bytes, size_t len,
                    struct json_object **doc, struct err *err)
    __attribute__((warn_unused_result));

void json_free(struct json_object *doc); /* NULL allowed */

/* Append the document, compact, slashes not escaped. */
void json_print(struct json_object *doc, struct str *out);
void json_print_pretty(struct json_object *doc, struct str *out);

/* RFC 6901 look-up. Returns borrowed, or NULL when absent (or JSON null). pointer: "" or
 * "/a/b/0". */
struct json_object *json_at(struct json_object *doc, const char *pointer);

/* Is this a pointer that json_at could find something with (its escapes are right, no
 * name in it is longer than 255 bytes)? */
bool json_pointer_is_valid(const char *pointer);

/* The string member at a pointer. Returns borrowed, NULL when absent, null or not a
 * string; len may be NULL. A string with an embedded NUL counts as not a string. */
const char *json_string_at(struct json_object *doc, const char *pointer, size_t *len);

/* A scalar at a pointer as text (numbers and booleans as JSON prints them). Returns owned
 * or NULL. */
char *json_text_at(struct json_object *doc, const char *pointer);

/* Add a member: a number, or a text unless it is NULL or empty. */
void json_put_number(struct json_object *doc, const char *name, int64_t number);
void json_put_text(struct json_object *doc, const char *name, const char *text);

/* What stands at a pointer, or this when there is no such number or text there. The text
 * is borrowed. */
int64_t json_number_or(struct json_object *doc, const char *pointer, int64_t otherwise);
const char *json_text_or(struct json_object *doc, const char *pointer,
                         const char *otherwise);

const char *json_library_version(void);

#endif
