#include "ops/audit.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/now.h"
#include "ops/history.h"
#include "ops/key.h"
#include "wire/json.h"

#define DAY_MS (24 * 3600 * 1000LL)

static void add_text(struct str *out, const char *name, const char *value)
{
    size_t len = value ? strlen(value) : 0;
    str_addf(out, ",\"%s\":\"", name);
    str_add_json(out, value ? value : "",
                 len < HISTORY_TEXT_MAX ? len : HISTORY_TEXT_MAX);
    str_addc(out, '"');
}

/* The list is short, so the three go out together; the last one fails alone. */
static void keep(struct ops_place *place, const struct str *notice)
{
    int64_t until_ms = now_ms() + place->config->redis.timeout_ms;
    char last[16];
    char ttl_ms[24];
    struct str key;
    str_init(&key);
    ops_key(place->config, "acts", &key);
    snprintf(last, sizeof last, "%d", AUDIT_ACTS_MAX - 1);
    snprintf(ttl_ms, sizeof ttl_ms, "%lld", AUDIT_KEPT_DAYS * DAY_MS);
    struct redis_command commands[] =
        {redis_words(until_ms, false, "LPUSH", key.data, notice->data, NULL),
         redis_words(until_ms, true, "LTRIM", key.data, "0", last, NULL),
         redis_words(until_ms, true, "PEXPIRE", key.data, ttl_ms, NULL)};
    redis_send(place->redis, commands, sizeof commands / sizeof commands[0]);
    str_release(&key);
}

void audit_write(struct ops_place *place, const struct audit *audit)
{
    struct str key;
    struct str notice;
    char most[16];
    str_init(&key);
    str_init(&notice);
    ops_key(place->config, "recent", &key);
    snprintf(most, sizeof most, "%d", HISTORY_RECENT_MAX);
    str_addf(&notice, "{\"at_ms\":%lld", (long long)now_wall_ms());
    add_text(&notice, "kind", audit->kind);
    add_text(&notice, "who", place->who);
    add_text(&notice, "what", audit->what);
    add_text(&notice, "why", audit->why);
    add_text(&notice, "text", audit->text);
    if (audit->order > 0) {
        str_addf(&notice, ",\"order\":%lld", (long long)audit->order);
    }
    str_addc(&notice, '}');
    LOG(LOG_INFO, "audit", LS("kind", audit->kind), LS("who", place->who),
        LS("what", audit->what), LS("why", audit->why ? audit->why : ""),
        LS("text", audit->text), LEND);
    struct redis_command command =
        redis_words(now_ms() + place->config->redis.timeout_ms, false, "XADD", key.data,
                    "MAXLEN", "~", most, "*", "n", notice.data, NULL);
    redis_send(place->redis, &command, 1);
    keep(place, &notice);
    str_release(&notice);
    str_release(&key);
}

int audit_read(struct ops_place *place, int64_t until_ms, struct json_object **acts,
               struct err *err)
{
    struct str key;
    struct redis_value value;
    *acts = NULL;
    str_init(&key);
    ops_key(place->config, "acts", &key);
    struct redis_command command =
        redis_words(until_ms, true, "LRANGE", key.data, "0", "-1", NULL);
    int rc = redis_ask(place->redis, &command, 1, &value, err);
    if (rc == 0) {
        *acts = json_object_new_array();
    }
    for (size_t i = 0; i < value.count; i++) {
        struct json_object *act;
        if (json_parse(value.items[i].text, value.items[i].len, &act, NULL) == 0) {
            json_object_array_add(*acts, act);
        }
    }
    redis_values_release(&value, 1);
    str_release(&key);
    return rc;
}
