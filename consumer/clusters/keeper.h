/* Answers the fleet's gate: looks into the target's cluster whether the application of an
 * event sleeps, and wakes it where the target says so.
 *
 * Asks for the same application share one look, and an answer is good for a moment. A few
 * threads do what blocks, at most KEEPER_PER_CLUSTER of them for one cluster, so that one
 * that hangs leaves some for the others; a cluster that is known not to answer, or did
 * not answer the last look, holds nobody up. When nobody wants an answer any more its
 * look is cut off; a waking finishes the object in hand and begins no other. Each waking
 * is told to `woke`, whoever still waits for it.
 *
 * Nothing runs before there is a cluster. Any thread. */
#ifndef CONSUMER_KEEPER_H
#define CONSUMER_KEEPER_H

#include "base/metrics.h"
#include "cluster_set.h"
#include "fleet/gate.h"
#include "kube/waking.h"

enum {
    KEEPER_THREADS = 6,
    KEEPER_PER_CLUSTER = 3,
    KEEPER_PROBES = 2,          /* threads that ask quiet clusters, for nobody */
    KEEPER_GOOD_MS = 5 * 1000,  /* many events ask about few applications */
    KEEPER_READ_MS = 4 * 1000,  /* twice that is less than GATE_PATIENCE_MS: who waits for
                                   a thread that hangs learns it in time */
    KEEPER_WAKE_MS = 60 * 1000, /* all of one application */
    KEEPER_STACK_BYTES = 256 * 1024,
};

struct keeper;

/* One application that was woken, or in part. Borrowed for the call. */
struct keeper_woke {
    const char *cluster;
    const char *ns;
    const char *selector;
    const struct waking *items;
    size_t count;
    int rc; /* as waking_run */
};
typedef void keeper_woke_fn(void *arg, const struct keeper_woke *woke);

/* set      borrowed until keeper_free.
 * good_ms  how long an answer is good; 0: for those who wait for it alone.
 * metrics  likewise; NULL: none.
 * woke     NULL, or called on a thread of the keeper. */
struct keeper *keeper_start(struct cluster_set *set, int64_t good_ms,
                            struct metrics *metrics, keeper_woke_fn *woke, void *arg);

/* For worker_set_gate. Borrowed until keeper_free. */
const struct gate *keeper_gate(const struct keeper *keeper);

/* Cuts off what runs and joins the threads; what is asked from then on is held. No ask is
 * open. */
void keeper_stop(struct keeper *keeper);

/* After keeper_stop, and after the last who could ask. NULL is allowed. */
void keeper_free(struct keeper *keeper);

#endif
