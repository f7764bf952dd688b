/* The fleet as it is now, as one JSON frame ("sluice.fleet/1"): what `status`, `top`,
 * `wait`, the console and the live stream show.
 *
 * Joined from the consumers' heartbeats (ops/heartbeat), what operators ordered
 * (ops:{g}:control), the dead-letter counts, and, when asked for or when Redis is gone,
 * the group's offsets in Kafka. What is not known is null. A consumer whose last beat is
 * older than 10 s is late, after 30 s gone; a gone one stays in the list for 10 minutes.
 *
 * Members, beside those one can guess:
 *   totals.lag_events  of the source topic; totals.deferred: units in the retry topics
 *   totals.p95_ms      from an event's time to the accepted trigger, over a minute
 *   in_per_s           records that arrived; out_per_s: offsets committed; over 10 s
 *   consumers.p95_ms, targets.p95_ms  of calls, over a minute
 *   targets.for_ms     how long that will last: until the probe, the end of the pause
 *   targets.open_at    at how many consumers its circuit is open
 *   targets.kind       "" when no consumer says
 *   targets.held_per_min  units that began to wait without a failure, by why; {}: none
 *   limits.used        the share of the rate that was called in the last 10 s
 *   clusters           what the live consumers' own checks found; [] when none has any
 *   clusters.state     the worst that one of them sees; why: in its words
 *   clusters.consumers how many see which state
 *   clusters.checked_ms, ok_ms  when it was asked last, and was well last, by anyone:
 *                      their wall clocks */
#ifndef OPS_SNAPSHOT_H
#define OPS_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ops/place.h"
#include "wire/json.h"

enum { SNAPSHOT_LATE_MS = 10000, SNAPSHOT_GONE_MS = 30000 };

struct snapshot_beat {
    const char *id;
    const char *json;
    size_t len;
    int64_t at_ms; /* Redis' time */
};

struct snapshot_pair {
    const char *name;
    const char *value;
};

struct snapshot_offset {
    const char *topic;
    int partition;
    int64_t committed; /* -1: none */
    int64_t end;       /* -1: not known */
};

/* What was read; all borrowed. */
struct snapshot_input {
    const char *topic; /* the source topic */
    const char *group;
    int64_t now_ms; /* Redis' time, or the wall clock when it is gone */
    bool redis_known;
    const char *redis_why; /* not known: why */
    const struct snapshot_beat *beats;
    size_t beat_count;
    const struct snapshot_pair *control;
    size_t control_count;
    const struct snapshot_pair *dead; /* "<target>|<reason>" and a count */
    size_t dead_count;
    bool kafka_asked;
    const char *kafka_why; /* asked and not known: why; else NULL */
    const struct snapshot_offset *offsets;
    size_t offset_count;
};

/* Make the frame. Pure. Returns owned (json_free). */
struct json_object *snapshot_make(const struct snapshot_input *input);

enum snapshot_ask {
    SNAPSHOT_REDIS,        /* Kafka only when Redis does not answer */
    SNAPSHOT_REDIS_ALONE,  /* never Kafka: for who takes one a second */
    SNAPSHOT_WITH_OFFSETS, /* both */
};

/* Read and make it: one round trip to Redis, and one or two to Kafka where asked.
 * Always returns a frame (owned); what did not answer until until_ms is said in it.
 * place: its configuration and Redis suffice. Blocks; not on the redis thread nor a loop.
 */
struct json_object *snapshot_take(struct ops_place *place, enum snapshot_ask ask,
                                  int64_t until_ms);

#endif
