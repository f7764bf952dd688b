#include "base/option.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"

/* --- one text --- */

static int wrong(const struct option *option, const char *text, int rc, struct err *err)
{
    struct str expected;
    str_init(&expected);
    option_describe(option, &expected);
    if (text[0] == '\0') {
        err_set(err, rc, "empty; expected %s", expected.data);
    } else {
        err_set(err, rc, "\"%.80s\" is %s; expected %s", option->secret ? "..." : text,
                rc == -EINVAL ? "out of range" : "something else", expected.data);
    }
    str_release(&expected);
    return rc;
}

/* Digits with at most one point: no sign, no exponent, no inf. */
static int read_number(const char *text, double *value)
{
    size_t len = strspn(text, "0123456789.");
    if (len == 0 || len > 18 || text[len] != '\0' || !isdigit((unsigned char)text[0]) ||
        !isdigit((unsigned char)text[len - 1]) ||
        strchr(text, '.') != strrchr(text, '.')) {
        return -EBADMSG;
    }
    *value = strtod(text, NULL);
    return 0;
}

static int read_rate(const char *text, double *per_second)
{
    const char *slash = strchr(text, '/');
    char number[24];
    if (slash == NULL || slash - text >= (ptrdiff_t)sizeof number) {
        return -EBADMSG;
    }
    snprintf(number, sizeof number, "%.*s", (int)(slash - text), text);
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"s", 1}, {"m", 60}, {"h", 3600}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(slash + 1, units[i].unit) == 0) {
            int rc = read_number(number, per_second);
            *per_second /= units[i].seconds;
            return rc;
        }
    }
    return -EBADMSG;
}

static int read_span(const char *text, int64_t *from, int64_t *to)
{
    const char *dots = strstr(text, "..");
    char lower[32];
    if (dots == NULL || dots - text >= (ptrdiff_t)sizeof lower) {
        return -EBADMSG;
    }
    snprintf(lower, sizeof lower, "%.*s", (int)(dots - text), text);
    if (now_parse_duration(lower, from) != 0 || now_parse_duration(dots + 2, to) != 0) {
        return -EBADMSG;
    }
    return *from <= *to ? 0 : -EINVAL;
}

static int read_choice(const struct option *option, const char *text, int64_t *index)
{
    *index = 0;
    for (const char *c = option->choices; *c != '\0'; (*index)++) {
        size_t len = strcspn(c, "|");
        if (strlen(text) == len && memcmp(c, text, len) == 0) {
            return 0;
        }
        c += len + (c[len] == '|');
    }
    return -EBADMSG;
}

static int read_bool(const char *text, int64_t *value)
{
    *value = strcmp(text, "true") == 0;
    return *value || strcmp(text, "false") == 0 ? 0 : -EBADMSG;
}

static int read_bytes(const char *text, int64_t *value)
{
    uint64_t bytes;
    if (text_parse_bytes(text, &bytes) != 0) {
        return -EBADMSG;
    }
    *value = bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
    return 0;
}

static bool in_range(const struct option *option, double value)
{
    if (option->min == 0 && option->max == 0) {
        return true;
    }
    return value >= (double)option->min && value <= (double)option->max;
}

int option_read(const struct option *option, const char *text, struct option_value *value,
                struct err *err)
{
    int rc = 0;
    memset(value, 0, sizeof *value);
    switch (option->type) {
    case OPTION_BOOL:
        rc = read_bool(text, &value->number);
        break;
    case OPTION_INT:
        rc = text_parse_int(text, INT64_MIN, INT64_MAX, &value->number) ? -EBADMSG : 0;
        value->real = (double)value->number;
        break;
    case OPTION_NUMBER:
        rc = read_number(text, &value->real);
        break;
    case OPTION_BYTES:
        rc = read_bytes(text, &value->number);
        value->real = (double)value->number;
        break;
    case OPTION_DURATION:
        rc = now_parse_duration(text, &value->number) ? -EBADMSG : 0;
        value->real = (double)value->number;
        break;
    case OPTION_SPAN:
        rc = read_span(text, &value->number, &value->upper);
        value->real = (double)value->number;
        if (rc == 0 && !in_range(option, (double)value->upper)) {
            rc = -EINVAL;
        }
        break;
    case OPTION_RATE:
        rc = read_rate(text, &value->real);
        if (rc == 0 && !(value->real > 0)) {
            rc = -EINVAL;
        }
        break;
    case OPTION_CHOICE:
        rc = read_choice(option, text, &value->number);
        break;
    case OPTION_TEXT:
        rc = text[0] == '\0' && option->initial != NULL ? -EBADMSG : 0;
        break;
    case OPTION_MAP:
    case OPTION_GLOBS:
    case OPTION_TREE:
        return 0;
    }
    bool bounded = option->type != OPTION_RATE && option->type != OPTION_TEXT &&
                   option->type != OPTION_BOOL && option->type != OPTION_CHOICE;
    if (rc == 0 && bounded && !in_range(option, value->real)) {
        rc = -EINVAL;
    }
    return rc == 0 ? 0 : wrong(option, text, rc, err);
}

/* --- keys --- */

/* Does `key` fit a pattern with at most one '*'? name: what stands for it. */
static bool fits(const char *pattern, const char *key, char name[OPTION_NAME_MAX])
{
    name[0] = '\0';
    const char *star = strchr(pattern, '*');
    if (star == NULL) {
        return strcmp(pattern, key) == 0;
    }
    size_t before = (size_t)(star - pattern);
    size_t after = strlen(star + 1);
    size_t len = strlen(key);
    if (len <= before + after || len - before - after >= OPTION_NAME_MAX ||
        memcmp(pattern, key, before) != 0 || strcmp(star + 1, key + len - after) != 0) {
        return false;
    }
    memcpy(name, key + before, len - before - after);
    name[len - before - after] = '\0';
    return true;
}

const struct option *option_find(const struct option *table, size_t n, const char *key,
                                 char name[OPTION_NAME_MAX])
{
    /* names may hold dots, so of two patterns that fit, the one with the longer tail is
     * meant: targets.x.retry.hold is not target "x.retry" with the key "hold" */
    const struct option *best = NULL;
    char candidate[OPTION_NAME_MAX];
    for (size_t i = 0; i < n; i++) {
        bool fit = fits(table[i].key, key, candidate);
        if (fit && (best == NULL || strlen(table[i].key) > strlen(best->key))) {
            best = &table[i];
            memcpy(name, candidate, sizeof candidate);
        }
    }
    return best;
}

void option_key(const struct option *option, const char *name, char key[OPTION_KEY_MAX])
{
    const char *star = strchr(option->key, '*');
    if (star == NULL) {
        snprintf(key, OPTION_KEY_MAX, "%s", option->key);
    } else {
        snprintf(key, OPTION_KEY_MAX, "%.*s%s%s", (int)(star - option->key), option->key,
                 name, star + 1);
    }
}

void option_env_name(const char *key, char text[OPTION_KEY_MAX])
{
    int len = snprintf(text, OPTION_KEY_MAX, "SLUICE_%s", key);
    for (int i = 0; i < len && i < OPTION_KEY_MAX - 1; i++) {
        unsigned char c = (unsigned char)text[i];
        text[i] = isalnum(c) || c == '*' ? (char)toupper(c) : '_';
    }
}

/* --- words about an option --- */

void option_add_duration(struct str *out, int64_t ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    size_t before = out->len;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (ms >= units[i].ms) {
            str_addf(out, "%" PRId64 "%s", ms / units[i].ms, units[i].unit);
            ms %= units[i].ms;
        }
    }
    if (out->len == before) {
        str_add(out, "0ms");
    }
}

static void add_bytes(struct str *out, int64_t bytes)
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB"};
    size_t i = 0;
    while (i < 3 && bytes >= 1024 && bytes % 1024 == 0) {
        bytes /= 1024;
        i++;
    }
    str_addf(out, "%" PRId64 "%s", bytes, units[i]);
}

static void add_bound(const struct option *option, int64_t bound, struct str *out)
{
    if (option->type == OPTION_DURATION || option->type == OPTION_SPAN) {
        option_add_duration(out, bound);
    } else if (option->type == OPTION_BYTES) {
        add_bytes(out, bound);
    } else {
        str_addf(out, "%" PRId64, bound);
    }
}

static void add_choices(const char *choices, struct str *out)
{
    str_add(out, "one of ");
    for (const char *c = choices; *c != '\0'; c++) {
        if (*c == '|') {
            str_add(out, ", ");
        } else {
            str_addc(out, *c);
        }
    }
}

void option_describe(const struct option *option, struct str *out)
{
    static const char *const kinds[] = {
        [OPTION_TEXT] = "a text",
        [OPTION_BOOL] = "true or false",
        [OPTION_INT] = "a whole number",
        [OPTION_NUMBER] = "a number",
        [OPTION_BYTES] = "a size such as 32MiB",
        [OPTION_DURATION] = "a duration such as 200ms, 5s or 1h30m",
        [OPTION_SPAN] = "two durations such as 200ms..5s, the shorter one first",
        [OPTION_RATE] = "a rate such as 50/s, 600/m or 1000/h, above 0",
        [OPTION_MAP] = "names with texts",
        [OPTION_GLOBS] = "names with a glob or a list of globs",
        [OPTION_TREE] = "anything",
    };
    if (option->type == OPTION_CHOICE) {
        add_choices(option->choices, out);
    } else {
        str_add(out, kinds[option->type]);
    }
    if (option->min != 0 || option->max != 0) {
        str_add(out, ", ");
        add_bound(option, option->min, out);
        str_add(out, " to ");
        add_bound(option, option->max, out);
    }
}

void option_help(const struct option *option, struct str *out)
{
    char env[OPTION_KEY_MAX];
    option_env_name(option->key, env);
    str_addf(out, "%s", option->key);
    if (option->initial != NULL) {
        str_addf(out, "  (%s)", option->initial);
    }
    str_addf(out, "\n    %s.\n    %s", option->help, option->list ? "a list; each " : "");
    option_describe(option, out);
    str_addf(out, "%s%s. %s\n", option->required ? "; required" : "",
             option->hot ? "; a reload changes it" : "", env);
}
