/* Reads what a frame is made of: everything of Redis in one round trip; of Kafka the
 * topics of the fleet with their ends and the group's offsets. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "ops/key.h"
#include "ops/snapshot.h"
#include "wire/kafka_groups.h"

enum { KEYS = 4, BEATS = 0, TIMES, CONTROL, DEAD, CLOCK, COMMANDS };

struct take {
    struct ops_place *place;
    struct snapshot_input in;
    struct redis_value values[COMMANDS];
    struct snapshot_beat *beats;
    struct snapshot_pair *control;
    struct snapshot_pair *dead;
    struct kafka_topic *topics;
    struct snapshot_offset *offsets;
    struct err redis_err;
    struct err kafka_err;
};

/* --- Redis --- */

static int64_t clock_ms(const struct redis_value *time)
{
    int64_t s = 0;
    int64_t us = 0;
    if (time->count != 2 || !time->items[0].text || !time->items[1].text ||
        text_parse_int(time->items[0].text, 0, INT64_MAX / 1000, &s) ||
        text_parse_int(time->items[1].text, 0, 999999, &us)) {
        return now_wall_ms();
    }
    return s * 1000 + us / 1000;
}

static struct snapshot_pair *pairs_of(const struct redis_value *hash, size_t *n)
{
    struct snapshot_pair *pairs = mem_array(hash->count / 2, sizeof *pairs);
    *n = 0;
    for (size_t i = 0; i + 1 < hash->count; i += 2) {
        if (hash->items[i].text && hash->items[i + 1].text) {
            pairs[(*n)++] =
                (struct snapshot_pair){hash->items[i].text, hash->items[i + 1].text};
        }
    }
    return pairs;
}

/* The beats that have a time. */
static void join_beats(struct take *t)
{
    const struct redis_value *times = &t->values[TIMES];
    size_t n = 0;
    t->beats = mem_array(times->count / 2, sizeof *t->beats);
    for (size_t i = 0; i + 1 < times->count; i += 2) {
        const char *id = times->items[i].text;
        const struct redis_value *json =
            id ? redis_value_field(&t->values[BEATS], id) : NULL;
        const char *score = times->items[i + 1].text;
        if (json && json->text && score) {
            t->beats[n++] = (struct snapshot_beat){.id = id,
                                                   .json = json->text,
                                                   .len = json->len,
                                                   .at_ms = strtoll(score, NULL, 10)};
        }
    }
    t->in.beats = t->beats;
    t->in.beat_count = n;
}

static void ask_redis(struct take *t, int64_t until_ms)
{
    static const char *const names[KEYS] = {"beats", "beat-times", "control", "dead"};
    struct str keys[KEYS];
    for (size_t i = 0; i < KEYS; i++) {
        str_init(&keys[i]);
        ops_key(t->place->config, names[i], &keys[i]);
    }
    struct redis_command commands[COMMANDS] =
        {[BEATS] = redis_words(until_ms, true, "HGETALL", keys[BEATS].data, NULL),
         [TIMES] = redis_words(until_ms, true, "ZRANGE", keys[TIMES].data, "0", "-1",
                               "WITHSCORES", NULL),
         [CONTROL] = redis_words(until_ms, true, "HGETALL", keys[CONTROL].data, NULL),
         [DEAD] = redis_words(until_ms, true, "HGETALL", keys[DEAD].data, NULL),
         [CLOCK] = redis_words(until_ms, true, "TIME", NULL)};
    int rc = redis_ask(t->place->redis, commands, COMMANDS, t->values, &t->redis_err);
    for (size_t i = 0; i < KEYS; i++) {
        str_release(&keys[i]);
    }
    t->in.redis_known = rc == 0;
    if (rc) {
        t->in.redis_why = t->redis_err.text;
        return;
    }
    t->in.now_ms = clock_ms(&t->values[CLOCK]);
    join_beats(t);
    t->control = pairs_of(&t->values[CONTROL], &t->in.control_count);
    t->dead = pairs_of(&t->values[DEAD], &t->in.dead_count);
    t->in.control = t->control;
    t->in.dead = t->dead;
}

/* --- Kafka --- */

/* The source topic and its retry topics, in front. Returns how many. */
static size_t ours(struct take *t, struct kafka_topic *topics, size_t count)
{
    struct str prefix;
    size_t n = 0;
    str_init(&prefix);
    str_addf(&prefix, "%s.%s.retry.", t->in.topic, t->in.group);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(topics[i].name, t->in.topic) == 0 ||
            text_starts(topics[i].name, prefix.data)) {
            struct kafka_topic other = topics[n];
            topics[n++] = topics[i];
            topics[i] = other;
        }
    }
    str_release(&prefix);
    return n;
}

static int ask_topic(struct take *t, const struct kafka_topic *topic, int64_t until_ms)
{
    int n = topic->partitions;
    int64_t *first = mem_array((size_t)n * 3, sizeof *first);
    int64_t *end = first + n;
    int64_t *committed = end + n;
    struct kafka_admin *admin = t->place->admin;
    int rc =
        kafka_topic_ranges(admin, topic->name, n, until_ms, first, end, &t->kafka_err);
    if (rc == 0) {
        rc = kafka_group_offsets(admin, t->in.group, topic->name, n, until_ms, committed,
                                 &t->kafka_err);
    }
    for (int i = 0; i < n && rc == 0; i++) {
        bool empty = committed[i] < 0 && first[i] == end[i];
        t->offsets[t->in.offset_count++] =
            (struct snapshot_offset){.topic = topic->name,
                                     .partition = i,
                                     .committed = empty ? end[i] : committed[i],
                                     .end = end[i]};
    }
    free(first);
    return rc;
}

static void ask_kafka(struct take *t, int64_t until_ms)
{
    size_t count = 0;
    size_t partitions = 0;
    t->in.kafka_asked = true;
    int rc = ops_place_kafka(t->place, &t->kafka_err);
    if (rc == 0) {
        rc = kafka_topics_list(t->place->admin, until_ms, &t->topics, &count,
                               &t->kafka_err);
    }
    count = rc == 0 ? ours(t, t->topics, count) : 0;
    if (rc == 0 && count == 0) {
        rc = err_set(&t->kafka_err, -ENOENT, "topic %s does not exist", t->in.topic);
    }
    for (size_t i = 0; i < count; i++) {
        partitions += (size_t)t->topics[i].partitions;
    }
    t->offsets = mem_array(partitions, sizeof *t->offsets);
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = ask_topic(t, &t->topics[i], until_ms);
    }
    t->in.offsets = t->offsets;
    t->in.kafka_why = rc ? t->kafka_err.text : NULL;
}

/* --- both --- */

struct json_object *snapshot_take(struct ops_place *place, enum snapshot_ask ask,
                                  int64_t until_ms)
{
    struct take t = {.place = place,
                     .in = {.topic = place->config->kafka.topic,
                            .group = place->config->kafka.group,
                            .now_ms = now_wall_ms()}};
    int64_t now = now_ms();
    bool never = ask == SNAPSHOT_REDIS_ALONE;
    ask_redis(&t, never ? until_ms : now + (until_ms - now) / 2);
    if (ask == SNAPSHOT_WITH_OFFSETS || (!never && !t.in.redis_known)) {
        ask_kafka(&t, until_ms);
    }
    struct json_object *frame = snapshot_make(&t.in);
    redis_values_release(t.values, COMMANDS);
    free(t.beats);
    free(t.control);
    free(t.dead);
    free(t.topics);
    free(t.offsets);
    return frame;
}
