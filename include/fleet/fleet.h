/* What all lanes of a process share: connections, targets, counters. Made by worker;
 * read-only for lanes except where a field says otherwise. */
#ifndef FLEET_FLEET_H
#define FLEET_FLEET_H

#include <pthread.h>

#include "base/metrics.h"
#include "fleet/breaker.h"
#include "fleet/config.h"
#include "fleet/ledger.h"
#include "fleet/limiter.h"
#include "fleet/room.h"
#include "fleet/unit.h"
#include "wire/kafka_producer.h"

struct fleet_target {
    const struct config_target *config;
    struct http_pool *pool;
    struct limiter_set *limits;
    struct breaker breaker; /* own lock */
    struct room room;       /* own lock; as wide as half of in_flight */
    int64_t lease_ms;
    atomic_llong silent_until_ms; /* what a Retry-After of this process asked for */
    int64_t grant_patience_ms; /* a slot further away than this is not waited for in the
                                  lane */
    /* counters */
    struct metric *opened;
    struct metric *verdicts[VERDICT_COUNT];
    struct metric *codes[6]; /* 1xx .. 5xx; what got no answer is in fleet.requests */
    struct metric *duration;
    struct metric *breaker_open;
};

/* Who is told of each batch when its verdicts are final, on the lane's thread: the
 * history. Must not block; NULL: nobody. Set before the first lane starts. */
typedef void fleet_settled_fn(void *arg, const struct lane *lane,
                              const struct batch_of_events *batch);

struct fleet {
    const struct config *config;
    struct http *http;
    struct redis *redis;
    struct ledger *ledger;
    struct limiter *limiter;
    struct kafka_producer *producer;
    struct fleet_target *targets;
    size_t target_count;
    char **retry_topics; /* by tier */
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

/* Make connections, targets and counters; waits for nobody.
 * config, metrics  borrowed until fleet_release.
 * Returns 0, or -EINVAL with a sentence and nothing left behind. */
int fleet_init(struct fleet *fleet, const struct config *config, struct metrics *metrics,
               struct err *err);

/* In this order: http loop, Redis (until redis_until_ms), producer (until
 * producer_until_ms), the rest. No lane may be alive. */
void fleet_release(struct fleet *fleet, int64_t redis_until_ms,
                   int64_t producer_until_ms);

/* The memory limit of this process' cgroup in bytes, 0 for none. */
uint64_t fleet_memory_limit(void);

#endif
