#include "trace_letters.h"

#include <errno.h>

#include "base/now.h"
#include "fleet/intake.h"
#include "fleet/tries.h"
#include "ops/deadletters.h"
#include "wire/json.h"

static struct json_object *tries_of(const struct letter *letter)
{
    struct json_object *tries = json_object_new_array();
    const char *text = letter_header(letter->record, PARK_TRIES);
    struct try_kept one;
    char consumer[TRY_CONSUMER_MAX];
    while (text && tries_next(&text, &one, consumer)) {
        struct json_object *try = json_object_new_object();
        json_put_number(try, "at_ms", one.at_wall_ms);
        json_put_number(try, "took_ms", one.took_ms);
        json_put_number(try, "status", one.status);
        json_put_text(try, "reason", one.reason);
        json_put_text(try, "consumer", consumer);
        json_object_array_add(tries, try);
    }
    return tries;
}

static struct json_object *unit_of(const struct letter *letter)
{
    struct json_object *unit = json_object_new_object();
    json_put_text(unit, "target", letter->target[0] ? letter->target : "none");
    json_put_text(unit, "verdict", "dead");
    json_put_text(unit, "reason", letter->reason);
    json_put_text(unit, "detail", letter->detail);
    json_put_number(unit, "attempts", letter->attempts);
    json_object_object_add(unit, "tries", tries_of(letter));
    return unit;
}

static bool add_letter(void *arg, struct letter *letter, const char *handled)
{
    (void)handled;
    struct json_object *chapter = json_object_new_object();
    struct json_object *units = json_object_new_array();
    json_put_text(chapter, "topic", letter->origin_topic);
    json_put_number(chapter, "partition", letter->origin_partition);
    json_put_number(chapter, "offset", letter->origin_offset);
    json_put_number(chapter, "seen_ms", letter->first_seen_ms);
    json_put_number(chapter, "ended_ms", letter->at_ms);
    json_put_text(chapter, "repo", letter->event.fields[EVENT_REPO]);
    json_put_text(chapter, "app", letter->event.fields[EVENT_APP]);
    json_put_text(chapter, "commit", letter->event.fields[EVENT_COMMIT]);
    json_object_array_add(units, unit_of(letter));
    json_object_object_add(chapter, "units", units);
    json_object_array_add(arg, chapter);
    return true;
}

int trace_letters(struct ops_place *place, const char *event_id, int64_t until_ms,
                  struct json_object *chapters, struct err *err)
{
    struct deadletters_range range;
    const struct letter_filter filter = {.event = event_id, .handled = true};
    int rc = ops_place_kafka(place, err);
    rc = rc ? rc : deadletters_range(place, until_ms, &range, err);
    if (rc) {
        return rc == -ENOENT ? 0 : rc; /* there never was a dead letter */
    }
    return deadletters_walk(place, &range, &filter, until_ms - now_ms(), add_letter,
                            chapters, err);
}
