/* What all lanes of a process share: connections, plans, counters. Made by worker;
 * read-only for lanes except where a field says otherwise. */
#ifndef FLEET_FLEET_H
#define FLEET_FLEET_H

#include <pthread.h>

#include "base/metrics.h"
#include "fleet/config.h"
#include "fleet/gate.h"
#include "fleet/ledger.h"
#include "fleet/limiter.h"
#include "fleet/plan.h"
#include "wire/kafka_producer.h"

/* Who is told of each batch when its verdicts are final, on the lane's thread: the
 * history. Must not block; NULL: nobody. Set before the first lane starts. */
typedef void fleet_settled_fn(void *arg, const struct lane *lane,
                              const struct batch_of_events *batch);

struct fleet {
    struct config *config; /* held; as at the start: for what no reload changes */
    struct http *http;
    struct redis *redis;
    struct ledger *ledger;
    struct limiter *limiter;
    struct kafka_producer *producer;
    struct plans *plans;     /* what a reload may change */
    const struct gate *gate; /* who is asked before gated targets are called; NULL:
                                nobody. Set before the first lane starts */
    char **retry_topics;     /* by tier */
    char *dead_topic;
    void (*rested)(void *arg, struct lane *lane); /* a lane's thread is about to end */
    void *arg;
    fleet_settled_fn *settled;
    void *settled_arg;
    /* counters */
    struct metrics *metrics;
    struct metric_family *events_read;     /* topic, partition */
    struct metric_family *events_settled;  /* topic, partition */
    struct metric_family *events_returned; /* topic, partition */
    struct metric_family *events_invalid;  /* reason */
    struct metric_family *retries;         /* target, reason */
    struct metric_family *parked;          /* verdict, reason */
    struct metric_family *dead_letters;    /* reason */
    struct metric_family *requests;        /* target, code, error_type */
    struct metric_family *units_opened;    /* target */
    struct metric_family *units;           /* target, verdict */
    struct metric_family *durations;       /* target */
    struct metric_family *circuit_open;    /* target */
    struct metric_family *paused;          /* target */
    struct metric_family *held;            /* target, reason */
    struct metric *events_in_flight;
    struct metric *units_in_flight;
    struct metric *opened_no_target;
    struct metric *no_target[VERDICT_COUNT];
    struct metric *latency;
    struct metric *batch_events;
    struct metric *barrier_wait;
    struct metric *batches[3]; /* size (or bytes), age, stop */
};

enum {
    FLEET_PRODUCER_BYTES = 32 << 20
}; /* what may wait to be parked; counted in the memory bound */

/* How every client of ours comes into Redis: where, as whom, with what certificates.
 * Borrows from the configuration. */
struct redis_options fleet_redis_options(const struct config *config);

/* Make connections, the first plan and counters; waits for nobody.
 * config   held.
 * metrics  borrowed until fleet_release.
 * Returns 0, or -EINVAL with a sentence and nothing left behind. */
int fleet_init(struct fleet *fleet, struct config *config, struct metrics *metrics,
               struct err *err);

/* In this order: http loop, Redis (until redis_until_ms), producer (until
 * producer_until_ms), the rest. No lane may be alive. */
void fleet_release(struct fleet *fleet, int64_t redis_until_ms,
                   int64_t producer_until_ms);

#endif
