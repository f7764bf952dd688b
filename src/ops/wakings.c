#include "ops/wakings.h"

#include <stdio.h>

#include "base/log.h"
#include "base/now.h"
#include "wire/json.h"

void wakings_note(struct ops_place *place, struct json_object *doc)
{
    struct str key;
    struct str json;
    char last[16];
    int64_t until_ms = now_ms() + place->config->redis.timeout_ms;
    str_init(&key);
    str_init(&json);
    ops_key(place->config, "wakings", &key);
    json_print(doc, &json);
    snprintf(last, sizeof last, "%d", WAKINGS_MAX - 1);
    if (json.len <= WAKINGS_BYTES_MAX) {
        struct redis_command commands[] = {redis_words(until_ms, false, "LPUSH", key.data,
                                                       json.data, NULL),
                                           redis_words(until_ms, true, "LTRIM", key.data,
                                                       "0", last, NULL)};
        redis_send(place->redis, commands, 2);
    } else {
        LOG(LOG_WARN, "a waking is not kept, for it is too long", LI("bytes", json.len),
            LEND);
    }
    str_release(&json);
    str_release(&key);
}

int wakings_read(struct ops_place *place, int64_t until_ms, struct json_object **list,
                 struct err *err)
{
    struct str key;
    struct redis_value value;
    str_init(&key);
    ops_key(place->config, "wakings", &key);
    struct redis_command command =
        redis_words(until_ms, true, "LRANGE", key.data, "0", "-1", NULL);
    int rc = redis_ask(place->redis, &command, 1, &value, err);
    *list = rc == 0 ? json_object_new_array() : NULL;
    for (size_t i = 0; rc == 0 && i < value.count; i++) {
        struct json_object *doc = NULL;
        if (value.items[i].text &&
            json_parse(value.items[i].text, value.items[i].len, &doc, NULL) == 0) {
            json_object_array_add(*list, doc);
        }
    }
    redis_values_release(&value, 1);
    str_release(&key);
    return rc;
}
