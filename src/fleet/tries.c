#include "fleet/tries.h"

#include <stdio.h>
#include <string.h>

void tries_add(struct tries *tries, const struct try_kept *one)
{
    int at = tries->count < TRIES_KEPT ? tries->count : TRIES_KEPT - 1;
    tries->kept[at] = *one;
    tries->count++;
}

size_t tries_kept(const struct tries *tries)
{
    return (size_t)(tries->count < TRIES_KEPT ? tries->count : TRIES_KEPT);
}

void tries_print(const char *before, const struct tries *tries, const char *consumer,
                 struct str *out)
{
    struct str text;
    str_init(&text);
    str_add(&text, before);
    for (size_t i = 0; i < tries_kept(tries); i++) {
        const struct try_kept *t = &tries->kept[i];
        str_addf(&text, "%s%lld+%d:%d:%s@%.*s", text.len > 0 ? " " : "",
                 (long long)t->at_wall_ms, (int)t->took_ms, t->status, t->reason,
                 TRY_CONSUMER_MAX - 1, consumer);
    }
    const char *from = text.data;
    while (text.len - (size_t)(from - text.data) > TRIES_TEXT_MAX) {
        const char *space = strchr(from, ' ');
        from = space ? space + 1 : text.data + text.len;
    }
    str_add(out, from);
    str_release(&text);
}

/* The number up to the character `end`, in [from, to). Returns what follows it, or
 * NULL. */
static const char *take_number(const char *from, const char *to, char end, int64_t *value)
{
    char digits[24];
    const char *at = memchr(from, end, (size_t)(to - from));
    if (!at || (size_t)(at - from) >= sizeof digits) {
        return NULL;
    }
    snprintf(digits, sizeof digits, "%.*s", (int)(at - from), from);
    return text_parse_int(digits, 0, INT64_MAX, value) ? NULL : at + 1;
}

static bool read_one(const char *from, const char *to, struct try_kept *one,
                     char consumer[TRY_CONSUMER_MAX])
{
    int64_t at_ms;
    int64_t took_ms;
    int64_t status;
    from = take_number(from, to, '+', &at_ms);
    from = from ? take_number(from, to, ':', &took_ms) : NULL;
    from = from ? take_number(from, to, ':', &status) : NULL;
    const char *at = from ? memchr(from, '@', (size_t)(to - from)) : NULL;
    if (!at || took_ms > INT32_MAX || status > 999) {
        return false;
    }
    *one = (struct try_kept){at_ms, (int32_t)took_ms, (int)status, ""};
    snprintf(one->reason, sizeof one->reason, "%.*s", (int)(at - from), from);
    snprintf(consumer, TRY_CONSUMER_MAX, "%.*s", (int)(to - at - 1), at + 1);
    return true;
}

bool tries_next(const char **text, struct try_kept *one, char consumer[TRY_CONSUMER_MAX])
{
    while (**text) {
        const char *from = *text;
        size_t len = strcspn(from, " ");
        *text = from + len + strspn(from + len, " ");
        if (read_one(from, from + len, one, consumer)) {
            return true;
        }
    }
    return false;
}
