#include "ops/apps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/json.h"

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct app_seen *)a)->name, ((const struct app_seen *)b)->name);
}

int apps_list(struct ops_place *place, int64_t until_ms, struct apps *apps,
              struct err *err)
{
    struct str key;
    struct redis_value value;
    *apps = (struct apps){0};
    str_init(&key);
    ops_key(place->config, "apps", &key);
    struct redis_command command =
        redis_words(until_ms, true, "ZRANGE", key.data, "0", "-1", "WITHSCORES", NULL);
    int rc = redis_ask(place->redis, &command, 1, &value, err);
    apps->items = mem_array(value.count / 2 + 1, sizeof apps->items[0]);
    for (size_t i = 0; i + 1 < value.count; i += 2) {
        apps->items[apps->count++] =
            (struct app_seen){mem_strndup(value.items[i].text, value.items[i].len),
                              strtoll(value.items[i + 1].text, NULL, 10)};
    }
    qsort(apps->items, apps->count, sizeof apps->items[0], by_name);
    redis_values_release(&value, 1);
    str_release(&key);
    return rc;
}

void apps_release(struct apps *apps)
{
    for (size_t i = 0; i < apps->count; i++) {
        free(apps->items[i].name);
    }
    free(apps->items);
    *apps = (struct apps){0};
}

static int unknown(const struct ops_place *place, const char *app, struct err *err)
{
    if (place->config->history.events == 0) {
        return err_set(err, -ENOENT,
                       "nothing is known of application %s: history.events is 0, so no "
                       "story is kept",
                       app);
    }
    return err_set(err, -ENOENT,
                   "nothing is known of application %s: no event of it came within "
                   "history.ttl",
                   app);
}

int apps_last(struct ops_place *place, const char *app, int64_t until_ms,
              struct json_object **ids, struct err *err)
{
    struct str key;
    struct redis_value value;
    *ids = NULL;
    str_init(&key);
    ops_key(place->config, "apps:", &key);
    str_add(&key, app);
    struct redis_command command =
        redis_words(until_ms, true, "ZREVRANGE", key.data, "0", "-1", NULL);
    int rc = redis_ask(place->redis, &command, 1, &value, err);
    if (rc == 0 && value.count == 0) {
        rc = unknown(place, app, err);
    }
    if (rc == 0) {
        *ids = json_object_new_array();
        for (size_t i = 0; i < value.count; i++) {
            json_object_array_add(*ids,
                                  json_object_new_string_len(value.items[i].text,
                                                             (int)value.items[i].len));
        }
    }
    redis_values_release(&value, 1);
    str_release(&key);
    return rc;
}
