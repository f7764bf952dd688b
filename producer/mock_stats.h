/* What mock-cd saw: calls by key, by status, in any window of time. Any thread. */
#ifndef PRODUCER_MOCK_STATS_H
#define PRODUCER_MOCK_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "mock_mode.h"

struct mock_stats;

enum {
    MOCK_KEYS_MAX = 500 * 1000,   /* further keys are counted as dropped */
    MOCK_REPEATED_MAX = 10 * 1000 /* keys listed as called more than once */
};

struct mock_stats *mock_stats_new(void);
void mock_stats_free(struct mock_stats *stats);
void mock_stats_clear(struct mock_stats *stats);

/* A call has come.
 * key  NULL: it carried none.
 * Returns the number of this attempt with that key from 1 (without key: of this call
 * without key; for keys past the maximum 0). now_ns: out, the call's monotonic stamp. */
uint64_t mock_stats_begin(struct mock_stats *stats, const char *key, int64_t *now_ns);

/* Its fate is known. */
void mock_stats_decide(struct mock_stats *stats, const char *key,
                       const struct mock_fate *fate);

/* It is answered, or was given up. */
void mock_stats_end(struct mock_stats *stats);

/* A peer left before its answer. */
void mock_stats_left(struct mock_stats *stats);

/* The whole account. with_keys: also calls and accepted calls of every key. Returns
 * owned. */
struct json_object *mock_stats_json(struct mock_stats *stats, bool with_keys);

#endif
