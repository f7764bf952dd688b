/* Room at a target: how many calls its lanes may hand to the http loop, and which lanes
 * wait for more.
 *
 * `width` calls are on the wire at a time. A few more may be handed over, those that will
 * start within ROOM_AHEAD_MS by how long calls took lately: so the wire is never idle for
 * want of a lane that wakes, and no slot of the limiter grows old in the loop's queue.
 *
 * A lane that finds no room joins the line and is nudged, first come, first served. It
 * leaves the line when its batch is over. Any thread, except where it says otherwise. */
#ifndef FLEET_ROOM_H
#define FLEET_ROOM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sync/waitgroup.h"

enum { ROOM_AHEAD_MS = 100 };

/* A lane's place in the line; in its own memory, zeroed before the first use. */
struct room_wait {
    struct waitgroup *wg;
    struct room_wait *next;
    bool in_line; /* guarded by the room's mu */
};

struct room {
    int width;       /* read-only after room_init */
    atomic_int out;  /* handed over, not ended */
    atomic_int more; /* how many may be, beyond width */
    int64_t took_us; /* http loop: how long calls take, smoothed; 0: not known yet */
    atomic_int waiting;
    pthread_mutex_t mu;
    /* guarded by mu */
    struct room_wait *first;
    struct room_wait *last;
};

void room_init(struct room *room, int width);
void room_release(struct room *room); /* nobody may be in line */

/* How many calls may be handed over now; at least 0. Lanes that ask at the same time may
 * get the same answer: the loop's pool holds the width, this only bounds its queue. */
int room_now(struct room *room);

/* Join the line (wg is nudged when there is room), unless in it already. Ask for room_now
 * again afterwards: it may have come meanwhile. wait: borrowed until room_leave. */
void room_join(struct room *room, struct room_wait *wait, struct waitgroup *wg);
void room_leave(struct room *room, struct room_wait *wait); /* harmless when not in it */

/* A call is handed over. */
void room_taken(struct room *room);

/* A call has ended; took_ms: on the wire, -1 if it was never there. http loop. */
void room_freed(struct room *room, int64_t took_ms);

/* Nudge the next in line if there is room: after a lane took less than it might have. */
void room_pass(struct room *room);

#endif
