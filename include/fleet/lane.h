/* The worker of one assigned partition for one assignment epoch: what it is, how others
 * talk to it. Its thread is lane_thread's. */
#ifndef FLEET_LANE_H
#define FLEET_LANE_H

#include <pthread.h>
#include <stdatomic.h>

#include "fleet/fleet.h"
#include "sync/ctx.h"
#include "sync/waitgroup.h"

enum {
    LANE_STACK_BYTES = 256 * 1024, /* counted in the memory bound, as the next */
    LANE_BATCH_BYTES = 512 * 1024, /* a batch closes by size, age or these */
    LANE_TOGETHER_MS = 250, /* what was parked within these comes back in one batch */
};

/* How a lane is told to stop; only ever raised. */
enum lane_stop {
    LANE_RUN,
    LANE_LAST,      /* take no more records; the batch that is worked ends as usual */
    LANE_NO_STARTS, /* start nothing more, let what was sent end, return the rest */
    LANE_ABORT,     /* end what is sent too */
};

/* What a lane waits for; for the watchdog and for operators. */
enum lane_wait {
    LANE_IDLE,   /* no records */
    LANE_DUE,    /* a retry topic's head is not due */
    LANE_WINDOW, /* commits */
    LANE_REDIS,
    LANE_CLAIM,   /* another worker holds a unit */
    LANE_GATE,    /* who is asked before a call has not answered */
    LANE_GRANT,   /* the rate limit */
    LANE_TARGET,  /* calls are out or a retry's time has not come */
    LANE_PARKING, /* the broker's acknowledgement */
    LANE_WAITS,
};
const char *lane_wait_name(enum lane_wait wait);

struct lane {
    /* read-only after start */
    const struct fleet *fleet;
    struct kafka_partition *partition;
    pthread_t thread;
    int64_t tier_ms; /* retry lanes: how long a record waits; 0: a source lane */
    struct metric *events_read;
    struct metric *events_settled;
    struct metric *events_returned;

    /* lane thread */
    struct kafka_record *held; /* taken, not due yet, not counted as read */

    /* set by others */
    atomic_int stop;        /* enum lane_stop */
    struct ctx *intake;     /* ends at LANE_NO_STARTS */
    struct waitgroup wg;    /* the barrier; lives here, not in the batch, for a nudge may
                               come at any time */
    atomic_llong turned_ms; /* when its thread last came by, monotonic; INT64_MAX while it
                               waits for a retry topic's head */
    atomic_llong late_ms;   /* for how long a call has not come back that should have */
    atomic_int wait;        /* enum lane_wait */
    atomic_llong returned_units;
    atomic_bool in_batch; /* works one: does not touch its queue */

    pthread_mutex_t mu;
    /* guarded by mu */
    struct unit *inbox; /* units that came back from the loops, newest first */

    /* for those who look (fleet/view) */
    atomic_int taken;      /* records of the batch that is filling; 0: none is */
    atomic_llong since_ms; /* when the present wait, filling or batch began */
    pthread_mutex_t look;
    const struct batch_of_events *batch; /* guarded by look: lives while it is here */

    /* owned by the worker */
    struct lane *next;
    bool rested; /* guarded by the worker's lock */
};

/* A lane on a partition (whose handle it holds until lane_delete), without its thread. */
struct lane *lane_new(const struct fleet *fleet, struct kafka_partition *partition);
void lane_delete(struct lane *lane);

/* Any thread. Never blocks. */
void lane_stop(struct lane *lane, enum lane_stop how);

/* Told to give back what it has not called. Any thread. */
bool lane_gives_back(const struct lane *lane);

/* Hand a unit back to the lane and wake it. From the loops. */
void lane_post(struct lane *lane, struct unit *unit);
struct unit *lane_take_posted(struct lane *lane); /* the whole list, oldest first */

/* The thread is alive; what it waits for now. Lane thread. */
void lane_turns(struct lane *lane);
void lane_waits(struct lane *lane, enum lane_wait wait);

/* Let others look at the batch from now on, or (NULL) no longer. Lane thread. */
void lane_shows(struct lane *lane, const struct batch_of_events *batch);

#endif
