#include "base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

/* --- the growing string ------------------------------------------------------------- */

/* What an empty string shows; cap 0 marks that it is not ours to write or free. */
static char nothing[1];

void str_init(struct str *s)
{
    s->data = nothing;
    s->len = 0;
    s->cap = 0;
}

void str_release(struct str *s)
{
    if (s->cap > 0) {
        free(s->data);
    }
    str_init(s);
}

void str_clear(struct str *s)
{
    s->len = 0;
    if (s->cap > 0) {
        s->data[0] = 0;
    }
}

char *str_take(struct str *s)
{
    char *data = s->cap > 0 ? s->data : mem_strdup("");
    str_init(s);
    return data;
}

/* Room for n more bytes and the NUL. */
void str_reserve(struct str *s, size_t n)
{
    enum { CAP_FIRST = 64 };
    ASSERT(n < SIZE_MAX / 2 - s->len);
    size_t need = s->len + n + 1;
    if (need <= s->cap) {
        return;
    }
    size_t cap = s->cap > 0 ? s->cap : CAP_FIRST;
    while (cap < need) {
        cap *= 2;
    }
    s->data = mem_resize(s->cap > 0 ? s->data : NULL, cap);
    s->cap = cap;
}

void str_put(struct str *s, const void *bytes, size_t n)
{
    if (n == 0) {
        return;
    }
    str_reserve(s, n);
    memcpy(s->data + s->len, bytes, n);
    s->len += n;
    s->data[s->len] = 0;
}

void str_add(struct str *s, const char *text)
{
    str_put(s, text, strlen(text));
}

void str_addc(struct str *s, char c)
{
    str_put(s, &c, 1);
}

void str_addf(struct str *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    ASSERT(n >= 0);
    str_reserve(s, (size_t)n);
    va_start(args, format);
    vsnprintf(s->data + s->len, (size_t)n + 1, format, args);
    va_end(args);
    s->len += (size_t)n;
}

void str_add_percent(struct str *s, const char *bytes, size_t n)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "abcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (size_t i = 0; i < n; i++) {
        if (memchr(unreserved, bytes[i], sizeof unreserved - 1) != NULL) {
            str_addc(s, bytes[i]);
        } else {
            str_addf(s, "%%%02X", (unsigned char)bytes[i]);
        }
    }
}

/* --- UTF-8 -------------------------------------------------------------------------- */

/* How many bytes the character at p takes, 0 when it is not well-formed (Unicode 15,
 * table 3-7): the second byte's range rules out overlong forms and surrogates. */
static size_t utf8_len(const unsigned char *p, size_t n)
{
    unsigned char first = p[0];
    if (first < 0x80) {
        return 1;
    }
    size_t len = first < 0xC2   ? 0
                 : first < 0xE0 ? 2
                 : first < 0xF0 ? 3
                 : first < 0xF5 ? 4
                                : 0;
    if (len == 0 || len > n) {
        return 0;
    }
    unsigned char low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    unsigned char high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return len;
}

bool text_is_utf8(const char *bytes, size_t n)
{
    size_t i = 0;
    while (i < n) {
        size_t len = utf8_len((const unsigned char *)bytes + i, n - i);
        if (len == 0) {
            return false;
        }
        i += len;
    }
    return true;
}

static void add_json_ascii(struct str *s, unsigned char c)
{
    switch (c) {
    case '"':
        str_add(s, "\\\"");
        break;
    case '\\':
        str_add(s, "\\\\");
        break;
    case '\n':
        str_add(s, "\\n");
        break;
    case '\r':
        str_add(s, "\\r");
        break;
    case '\t':
        str_add(s, "\\t");
        break;
    default:
        if (c < 0x20 || c == 0x7F) {
            str_addf(s, "\\u%04x", c);
        } else {
            str_addc(s, (char)c);
        }
    }
}

void str_add_json(struct str *s, const char *bytes, size_t n)
{
    const unsigned char *p = (const unsigned char *)bytes;
    for (size_t i = 0; i < n;) {
        size_t len = utf8_len(p + i, n - i);
        if (len == 0) {
            str_add(s, "\xEF\xBF\xBD"); /* U+FFFD, one for each bad byte */
            len = 1;
        } else if (len == 1) {
            add_json_ascii(s, p[i]);
        } else if (p[i] == 0xC2 && p[i + 1] < 0xA0) {
            str_addf(s, "\\u%04x", p[i + 1]); /* C1 controls move terminals too */
        } else {
            str_put(s, p + i, len);
        }
        i += len;
    }
}

void str_add_plain(struct str *s, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t n = strlen(text);
    for (size_t i = 0; i < n;) {
        size_t len = utf8_len(p + i, n - i);
        bool c0 = p[i] < 0x20 || p[i] == 0x7F;
        bool c1 = len == 2 && p[i] == 0xC2 && p[i + 1] < 0xA0;
        if (len == 0) {
            str_add(s, "\xEF\xBF\xBD");
        } else if (c0 || c1) {
            str_addc(s, '?');
        } else {
            str_put(s, p + i, len);
        }
        i += len ? len : 1;
    }
}

/* --- matching ----------------------------------------------------------------------- */

/* Match c against the set that starts at `set` (after the '['). Returns what follows the
 * ']', or NULL when there is none: then the '[' stands for itself. */
static const char *match_set(const char *set, unsigned char c, bool *matched)
{
    const unsigned char *p = (const unsigned char *)set;
    bool negated = *p == '!';
    bool found = false;
    p += negated;
    for (const unsigned char *first = p; *p != ']' || p == first; p++) {
        if (*p == '\\' && p[1] != 0) {
            p++;
        }
        if (*p == 0) {
            return NULL;
        }
        unsigned char low = *p;
        unsigned char high = low;
        if (p[1] == '-' && p[2] != ']' && p[2] != 0) {
            p += 2;
            if (*p == '\\' && p[1] != 0) {
                p++;
            }
            high = *p;
        }
        found = found || (low <= c && c <= high);
    }
    *matched = found != negated;
    return (const char *)p + 1;
}

/* Match one byte of text; returns the rest of the pattern, or NULL. No star here. */
static const char *match_one(const char *pattern, char c)
{
    bool matched = false;
    const char *rest = NULL;
    if (*pattern == '?') {
        return pattern + 1;
    }
    if (*pattern == '[') {
        rest = match_set(pattern + 1, (unsigned char)c, &matched);
        if (rest != NULL) {
            return matched ? rest : NULL;
        }
    }
    if (*pattern == '\\' && pattern[1] != 0) {
        pattern++;
    }
    return *pattern != 0 && *pattern == c ? pattern + 1 : NULL;
}

bool text_glob(const char *pattern, const char *text)
{
    const char *star = NULL;  /* the pattern after the last star */
    const char *taken = NULL; /* where the text after that star's share begins */
    while (*text != 0) {
        if (*pattern == '*') {
            star = ++pattern;
            taken = text;
            continue;
        }
        const char *rest = match_one(pattern, *text);
        if (rest != NULL) {
            pattern = rest;
            text++;
        } else if (star != NULL) {
            pattern = star;
            text = ++taken;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == 0;
}

bool text_starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

enum { NEAREST_LEN_MAX = 64 }; /* longer words are not option names */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edit distance where two neighbours swapped are one edit: it is how people mistype. The
 * three rows in use are those of i, i - 1 and i - 2. Both at most NEAREST_LEN_MAX bytes.
 */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][NEAREST_LEN_MAX + 1] = {{0}};
    for (size_t j = 0; j <= b_len; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *twice = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t replaced = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = least(replaced, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = least(row[j], twice[j - 2] + 1);
            }
        }
    }
    return rows[a_len % 3][b_len];
}

const char *text_nearest(const char *word, const char *const *candidates, size_t n)
{
    size_t word_len = strlen(word);
    if (word_len > NEAREST_LEN_MAX) {
        return NULL;
    }
    const char *nearest = NULL;
    size_t limit = word_len / 3 + 1; /* to be undercut */
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(candidates[i]);
        if (len > NEAREST_LEN_MAX) {
            continue;
        }
        size_t d = distance(word, word_len, candidates[i], len);
        if (d < limit) {
            limit = d;
            nearest = candidates[i];
        }
    }
    return nearest;
}

/* --- numbers ------------------------------------------------------------------------ */

/* Take a decimal number off *p. */
static bool read_u64(const char **p, uint64_t *value)
{
    const char *first = *p;
    *value = 0;
    for (; **p >= '0' && **p <= '9'; (*p)++) {
        uint64_t digit = (uint64_t)(**p - '0');
        if (*value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        *value = *value * 10 + digit;
    }
    return *p > first;
}

int text_parse_bytes(const char *text, uint64_t *bytes)
{
    static const struct {
        const char *name;
        uint64_t bytes;
    } units[] = {
        {"", 1},
        {"B", 1},
        {"kB", 1000},
        {"KB", 1000},
        {"MB", 1000000},
        {"GB", 1000000000},
        {"KiB", 1U << 10},
        {"MiB", 1U << 20},
        {"GiB", 1U << 30},
        {"TB", UINT64_C(1000000000000)},
        {"TiB", UINT64_C(1) << 40},
    };
    uint64_t number;
    if (!read_u64(&text, &number)) {
        return -EINVAL;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(text, units[i].name) == 0 && number <= UINT64_MAX / units[i].bytes) {
            *bytes = number * units[i].bytes;
            return 0;
        }
    }
    return -EINVAL;
}

int text_parse_int(const char *text, int64_t min, int64_t max, int64_t *value)
{
    bool negative = *text == '-';
    uint64_t number;
    text += negative;
    if (!read_u64(&text, &number) || *text != 0 ||
        number > (uint64_t)INT64_MAX + negative) {
        return -EINVAL;
    }
    int64_t parsed = (int64_t)(negative ? 0 - number : number);
    if (parsed < min || parsed > max) {
        return -EINVAL;
    }
    *value = parsed;
    return 0;
}
