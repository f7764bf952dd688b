/* A growing byte string, and text helpers.
 *
 * `data` always ends with NUL and is never NULL after init; it moves when the string
 * grows, so what is added must not point into it. Plain data: the owner's thread only. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
    char *data;
    size_t len;
    size_t cap;
};

void str_init(struct str *s);
void str_release(struct str *s);
void str_clear(struct str *s); /* empty, memory kept */
char *str_take(struct str *s); /* returns owned; s is empty again */

/* Make room for n more bytes, for what would else grow step by step. */
void str_reserve(struct str *s, size_t n);
void str_put(struct str *s, const void *bytes, size_t n);
void str_add(struct str *s, const char *text);
void str_addc(struct str *s, char c);
void str_addf(struct str *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* RFC 3986: everything but unreserved characters as %XX. */
void str_add_percent(struct str *s, const char *bytes, size_t n);

/* As the inside of a JSON string: quotes, backslashes and control characters (also DEL
 * and U+0080 to U+009F, which terminals obey) escaped, each byte that is not UTF-8
 * replaced by U+FFFD. */
void str_add_json(struct str *s, const char *bytes, size_t n);

/* As a terminal may show it: each control character (also DEL and U+0080 to U+009F)
 * becomes '?', each byte that is not UTF-8 U+FFFD. For text that others wrote. */
void str_add_plain(struct str *s, const char *text);

/* Is this well-formed UTF-8 (no surrogates, no overlong forms, at most U+10FFFF)? */
bool text_is_utf8(const char *bytes, size_t n);

/* Shell globs `*` `?` `[a-z]` `[!a]` and `\` over the whole text, byte by byte; `*` also
 * crosses '/'. Linear in practice, at worst the product of the lengths: only the last
 * star is retried. */
bool text_glob(const char *pattern, const char *text);

bool text_starts(const char *text, const char *prefix);

/* The candidate nearest to `word`, or NULL when none is near (edit distance over a third
 * of its length). For "did you mean". */
const char *text_nearest(const char *word, const char *const *candidates, size_t n);

/* "512", "64KiB", "32MiB", "1GB" (kB to TB are powers of 1000). Returns 0 or -EINVAL. */
int text_parse_bytes(const char *text, uint64_t *bytes);

/* A whole decimal number within [min, max]. Returns 0 or -EINVAL. */
int text_parse_int(const char *text, int64_t min, int64_t max, int64_t *value);

#endif
