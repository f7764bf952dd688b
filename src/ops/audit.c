#include "ops/audit.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/now.h"
#include "ops/history.h"
#include "ops/key.h"

static void add_text(struct str *out, const char *name, const char *value)
{
    size_t len = value ? strlen(value) : 0;
    str_addf(out, ",\"%s\":\"", name);
    str_add_json(out, value ? value : "",
                 len < HISTORY_TEXT_MAX ? len : HISTORY_TEXT_MAX);
    str_addc(out, '"');
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
    str_addc(&notice, '}');
    LOG(LOG_INFO, "audit", LS("kind", audit->kind), LS("who", place->who),
        LS("what", audit->what), LS("why", audit->why ? audit->why : ""),
        LS("text", audit->text), LEND);
    struct redis_command command =
        redis_words(now_ms() + place->config->redis.timeout_ms, false, "XADD", key.data,
                    "MAXLEN", "~", most, "*", "n", notice.data, NULL);
    redis_send(place->redis, &command, 1);
    str_release(&notice);
    str_release(&key);
}
