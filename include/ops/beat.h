/* What a worker says of itself every two seconds, as one JSON document of bounded size.
 *
 * Its members are those of a consumer in the fleet's frame (ops/snapshot), and what a
 * reader needs to add consumers up: counts by bucket instead of quantiles. Rates are
 * taken over BEAT_RATE_MS, counts and spreads over BEAT_SPAN_MS. One thread. */
#ifndef OPS_BEAT_H
#define OPS_BEAT_H

#include "fleet/worker.h"
#include "wire/json.h"

enum {
    BEAT_EVERY_MS = 2000,
    BEAT_RATE_MS = 10000,
    BEAT_SPAN_MS = 60000,
    BEAT_PARTITIONS_MAX = 512, /* listed; the totals count all */
    BEAT_TARGETS_MAX = 64,
    BEAT_LIMITS_MAX = 64,
    BEAT_BOOT_LEN = 9,
};

/* Who it is. */
struct beat_self {
    const char *id;
    const char *host;
    const char *version;
    const char *revision;
    char boot[BEAT_BOOT_LEN];
    char config_hash[CONFIG_HASH_LEN];
    int64_t started_ms; /* monotonic */
};

struct beat_memory; /* of the beats before */
struct beat_memory *beat_memory_new(void);
void beat_memory_free(struct beat_memory *memory);

/* state  what operators asked for ("draining", "drained"), or NULL: as the view says.
 * Returns owned. */
struct json_object *beat_make(struct beat_memory *memory, const struct beat_self *self,
                              const char *state, const struct worker_view *view,
                              int64_t now);

#endif
