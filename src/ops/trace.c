#include "ops/trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "trace_letters.h"

static struct json_object *list(struct json_object *doc, const char *name)
{
    struct json_object *value = NULL;
    bool there = json_object_object_get_ex(doc, name, &value) &&
                 json_object_is_type(value, json_type_array);
    return there ? value : NULL;
}

static size_t length(struct json_object *array)
{
    return array ? json_object_array_length(array) : 0;
}

/* --- steps --- */

static struct json_object *add_step(struct json_object *steps, int64_t at_ms,
                                    const char *what, const char *target,
                                    const char *words)
{
    struct json_object *step = json_object_new_object();
    json_put_number(step, "at_ms", at_ms);
    json_put_text(step, "what", what);
    json_put_text(step, "target", target);
    json_put_text(step, "text", words);
    json_object_array_add(steps, step);
    return step;
}

static void add_tries(struct json_object *steps, struct json_object *unit,
                      const char *consumer)
{
    struct json_object *tries = list(unit, "tries");
    int64_t before = json_number_or(unit, "/attempts", 0) - (int64_t)length(tries);
    for (size_t i = 0; i < length(tries); i++) {
        struct json_object *one = json_object_array_get_idx(tries, i);
        int64_t took_ms = json_number_or(one, "/took_ms", 0);
        struct json_object *step =
            add_step(steps, json_number_or(one, "/at_ms", 0) + took_ms, "try",
                     json_text_or(unit, "/target", ""), json_text_or(one, "/reason", ""));
        json_put_number(step, "try", before + (int64_t)i + 1);
        json_put_number(step, "status", json_number_or(one, "/status", 0));
        json_put_number(step, "took_ms", took_ms);
        json_put_text(step, "consumer", json_text_or(one, "/consumer", consumer));
    }
}

/* It waits, and not for a failure. */
static bool is_held(struct json_object *unit)
{
    struct json_object *held = json_at(unit, "/held");
    return held && json_object_get_boolean(held);
}

static void add_verdict(struct json_object *steps, struct json_object *unit,
                        int64_t ended_ms)
{
    struct str words;
    str_init(&words);
    str_add(&words, json_text_or(unit, "/reason", ""));
    if (json_text_or(unit, "/detail", "")[0]) {
        str_addf(&words, "%s%s", words.len > 0 ? ": " : "",
                 json_text_or(unit, "/detail", ""));
    }
    add_step(steps, ended_ms, is_held(unit) ? "held" : json_text_or(unit, "/verdict", ""),
             json_text_or(unit, "/target", ""), words.data);
    str_release(&words);
}

/* How it came to its batch. */
static void add_arrival(struct json_object *steps, struct json_object *chapter,
                        const char *place)
{
    struct json_object *first = json_at(chapter, "/units/0");
    bool waited = first && json_number_or(first, "/round", 0) > 0;
    int64_t published_ms = json_number_or(chapter, "/published_ms", 0);
    int64_t taken_ms = json_number_or(chapter, "/opened_ms", 0);
    struct str words;
    str_init(&words);
    add_step(steps, published_ms, waited ? "waiting" : "published", "", place);
    /* the batch may have been open before this event came */
    add_step(steps, taken_ms > published_ms ? taken_ms : published_ms, "taken", "",
             json_text_or(chapter, "/consumer", ""));
    str_addf(&words, "batch of %lld, closed by %s",
             (long long)json_number_or(chapter, "/events", 0),
             json_text_or(chapter, "/closed_by", ""));
    add_step(steps, json_number_or(chapter, "/began_ms", 0), "batched", "", words.data);
    str_release(&words);
}

static void add_chapter(struct json_object *steps, struct json_object *chapter)
{
    struct json_object *units = list(chapter, "units");
    int64_t seen_ms = json_number_or(chapter, "/seen_ms", 0); /* of a dead letter */
    struct str place;
    str_init(&place);
    str_addf(&place, "%s[%lld]@%lld", json_text_or(chapter, "/topic", ""),
             (long long)json_number_or(chapter, "/partition", 0),
             (long long)json_number_or(chapter, "/offset", 0));
    if (seen_ms) {
        add_step(steps, seen_ms, "taken", "", place.data);
    } else {
        add_arrival(steps, chapter, place.data);
    }
    for (size_t i = 0; i < length(units); i++) {
        struct json_object *unit = json_object_array_get_idx(units, i);
        add_tries(steps, unit, json_text_or(chapter, "/consumer", ""));
        add_verdict(steps, unit, json_number_or(chapter, "/ended_ms", 0));
    }
    str_release(&place);
}

/* By time; what happened in one millisecond stays in its order. */
static void sort_steps(struct json_object *steps)
{
    size_t n = json_object_array_length(steps);
    for (size_t i = 1; i < n; i++) {
        for (size_t k = i; k > 0; k--) {
            struct json_object *a = json_object_array_get_idx(steps, k - 1);
            struct json_object *b = json_object_array_get_idx(steps, k);
            if (json_number_or(a, "/at_ms", 0) <= json_number_or(b, "/at_ms", 0)) {
                break;
            }
            json_object_get(a);
            json_object_get(b);
            json_object_array_put_idx(steps, k - 1, b);
            json_object_array_put_idx(steps, k, a);
        }
    }
}

/* Of an event that died twice, the second letter tells the first one's tries again. */
static void drop_told_twice(struct json_object *steps)
{
    for (size_t i = json_object_array_length(steps); i > 1; i--) {
        struct json_object *step = json_object_array_get_idx(steps, i - 1);
        for (size_t k = 0; k < i - 1; k++) {
            if (json_object_equal(step, json_object_array_get_idx(steps, k))) {
                json_object_array_del_idx(steps, i - 1, 1);
                break;
            }
        }
    }
}

/* --- how it stands with each target --- */

static struct json_object *unit_of(struct json_object *units, const char *target)
{
    for (size_t i = 0; i < json_object_array_length(units); i++) {
        struct json_object *unit = json_object_array_get_idx(units, i);
        if (strcmp(json_text_or(unit, "/target", ""), target) == 0) {
            return unit;
        }
    }
    struct json_object *unit = json_object_new_object();
    json_put_text(unit, "target", target);
    json_object_array_add(units, unit);
    return unit;
}

/* A duplicate does not undo the trigger it is a duplicate of. */
static void note_unit(struct json_object *units, struct json_object *from)
{
    struct json_object *unit = unit_of(units, json_text_or(from, "/target", ""));
    bool was_triggered = strcmp(json_text_or(unit, "/verdict", ""), "triggered") == 0;
    if (was_triggered && strcmp(json_text_or(from, "/verdict", ""), "duplicate") == 0) {
        return;
    }
    json_object_object_del(unit, "reason");
    json_object_object_del(unit, "held");
    if (is_held(from)) {
        json_object_object_add(unit, "held", json_object_new_boolean(true));
    }
    json_put_text(unit, "verdict", json_text_or(from, "/verdict", ""));
    json_put_text(unit, "reason", json_text_or(from, "/reason", ""));
    json_put_number(unit, "attempts", json_number_or(from, "/attempts", 0));
}

static struct json_object *empty_story(const char *event_id, const char *source)
{
    struct json_object *story = json_object_new_object();
    json_put_text(story, "schema", "sluice.trace/1");
    json_put_text(story, "event", event_id);
    json_put_text(story, "source", source);
    return story;
}

struct json_object *trace_story(const char *event_id, const char *source,
                                struct json_object *chapters)
{
    static const char *const about[] = {"/repo", "/app", "/commit"};
    struct json_object *story = empty_story(event_id, source);
    struct json_object *steps = json_object_new_array();
    struct json_object *units = json_object_new_array();
    for (size_t i = 0; i < length(chapters); i++) {
        struct json_object *chapter = json_object_array_get_idx(chapters, i);
        for (size_t k = 0; k < sizeof about / sizeof about[0]; k++) {
            json_put_text(story, about[k] + 1, json_text_or(chapter, about[k], ""));
        }
        add_chapter(steps, chapter);
        for (size_t k = 0; k < length(list(chapter, "units")); k++) {
            note_unit(units, json_object_array_get_idx(list(chapter, "units"), k));
        }
    }
    sort_steps(steps);
    drop_told_twice(steps);
    json_object_object_add(story, "steps", steps);
    json_object_object_add(story, "units", units);
    return story;
}

/* --- reading --- */

int trace_chapters(struct ops_place *place, const char *event_id, int64_t until_ms,
                   struct json_object *chapters, struct err *err)
{
    struct str key;
    struct redis_value value;
    str_init(&key);
    ops_key(place->config, "events:", &key);
    str_add(&key, event_id);
    struct redis_command command =
        redis_words(until_ms, true, "LRANGE", key.data, "0", "-1", NULL);
    int rc = redis_ask(place->redis, &command, 1, &value, err);
    for (size_t i = 0; i < value.count; i++) {
        struct json_object *chapter;
        if (json_parse(value.items[i].text, value.items[i].len, &chapter, NULL) == 0) {
            json_object_array_add(chapters, chapter);
        }
    }
    redis_values_release(&value, 1);
    str_release(&key);
    return rc;
}

int trace_read(struct ops_place *place, const char *event_id, int64_t until_ms,
               struct json_object **story, struct err *err)
{
    struct json_object *chapters = json_object_new_array();
    const char *source = "history";
    int rc = trace_chapters(place, event_id, until_ms, chapters, err);
    if (rc == 0 && json_object_array_length(chapters) == 0) {
        source = "dead-letter";
        rc = trace_letters(place, event_id, until_ms, chapters, err);
    }
    if (rc == 0 && json_object_array_length(chapters) == 0) {
        rc = err_set(err, -ENOENT, "nothing is known of event %s", event_id);
    }
    if (rc == 0) {
        *story = trace_story(event_id, source, chapters);
    }
    json_free(chapters);
    return rc;
}
