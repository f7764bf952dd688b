/* What a reload may change, as one generation: the configuration and its targets.
 *
 * A lane takes the present plan when it begins a batch and puts it back at its end; units
 * point into it. So a batch is worked under one configuration from end to end, and a plan
 * is gone when nobody works under it any more. What must outlive a change of a target
 * (an open breaker, calls that are out) is its downstream's, which plans share. */
#ifndef FLEET_PLAN_H
#define FLEET_PLAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/metrics.h"
#include "fleet/breaker.h"
#include "fleet/config.h"
#include "fleet/limiter.h"
#include "fleet/room.h"
#include "fleet/unit.h"

struct fleet;
struct plans; /* the present plan of a process, and its lock */

/* What this process knows of the other end of a target, whatever its settings are. */
struct downstream {
    struct http_pool *pool;
    struct breaker breaker;       /* own lock */
    struct room room;             /* own lock; as wide as the target's concurrency, at
                                     most half of in_flight */
    atomic_llong silent_until_ms; /* what a Retry-After of this process asked for */
    atomic_bool paused;           /* an operator wants no calls */
    bool public_only;
    int plans; /* that share it; guarded by the plans' lock */
};

struct fleet_target {
    const struct config_target *config;
    struct downstream *downstream;
    struct limiter_set *limits;
    int64_t lease_ms;
    int64_t grant_patience_ms; /* a slot further away than this is not waited for in the
                                  lane */
    /* counters */
    struct metric *opened;
    struct metric *verdicts[VERDICT_COUNT];
    struct metric *codes[6]; /* 1xx .. 5xx; what got no answer is in fleet.requests */
    struct metric *duration;
    struct metric *breaker_open;
    struct metric *paused;
};

struct plan {
    /* read-only */
    struct plans *plans;
    struct config *config; /* held */
    struct fleet_target *targets;
    size_t target_count;
    int users; /* guarded by the plans' lock */
};

/* The first plan. fleet: its connections and counters are there; borrowed until
 * plans_free. config: held. */
struct plans *plans_new(const struct fleet *fleet, struct config *config);

/* Everybody has put his plan back, and no call is out. */
void plans_free(struct plans *plans);

/* The present plan, good until it is put back. Any thread; once a batch, not once a
 * unit. */
struct plan *plan_take(struct plans *plans);
void plan_put(struct plan *plan);

/* From now on this one is taken. config: held; differs from the present one only in what
 * a reload may change. */
void plans_change(struct plans *plans, struct config *config);

/* Leave these targets alone, and no others, also when a later plan brings them. Any
 * thread. */
void plans_pause(struct plans *plans, const char *const *names, size_t n);

#endif
