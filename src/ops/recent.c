#include "ops/recent.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "wire/json.h"

/* [id, [field, text, ...]] */
static void give(const struct redis_value *entry, recent_fn *fn, void *arg)
{
    if (entry->count < 2) {
        return;
    }
    const struct redis_value *fields = &entry->items[1];
    for (size_t i = 0; i + 1 < fields->count; i += 2) {
        const struct redis_value *name = &fields->items[i];
        const struct redis_value *text = &fields->items[i + 1];
        struct json_object *doc;
        if (!name->text || !text->text || json_parse(text->text, text->len, &doc, NULL)) {
            continue;
        }
        if (json_object_is_type(doc, json_type_object)) {
            fn(arg, strcmp(name->text, "n") == 0, doc);
        }
        json_free(doc);
    }
}

static void remember(struct recent *recent, const struct redis_value *entry)
{
    if (entry->count > 0 && entry->items[0].text) {
        snprintf(recent->last_id, sizeof recent->last_id, "%s", entry->items[0].text);
    }
}

int recent_read(struct ops_place *place, struct recent *recent, int64_t until_ms,
                recent_fn *fn, void *arg, struct err *err)
{
    bool first = recent->last_id[0] == '\0';
    char count[16];
    char after[RECENT_ID_MAX + 1];
    snprintf(count, sizeof count, "%d", first ? RECENT_FIRST : RECENT_READ_MAX);
    snprintf(after, sizeof after, "(%s", recent->last_id);
    struct str key;
    str_init(&key);
    ops_key(place->config, "recent", &key);
    struct redis_command command =
        first ? redis_words(until_ms, true, "XREVRANGE", key.data, "+", "-", "COUNT",
                            count, NULL)
              : redis_words(until_ms, true, "XRANGE", key.data, after, "+", "COUNT",
                            count, NULL);
    struct redis_value value;
    int rc = redis_ask(place->redis, &command, 1, &value, err);
    for (size_t i = 0; rc == 0 && i < value.count; i++) {
        give(&value.items[first ? value.count - 1 - i : i], fn, arg);
    }
    if (rc == 0 && value.count > 0) {
        remember(recent, &value.items[first ? 0 : value.count - 1]);
    } else if (rc == 0 && first) {
        snprintf(recent->last_id, sizeof recent->last_id, "0-0"); /* it was empty */
    }
    redis_values_release(&value, 1);
    str_release(&key);
    return rc;
}
