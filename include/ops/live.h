/* The live feed of a fleet: who listens sees each second how the fleet stands ("fleet"),
 * and what happened ("delivery", a sample; "notice").
 *
 * One thread reads the fleet's state once a second, however many listen, and nothing at
 * all while nobody does: then not even a connection is open. */
#ifndef OPS_LIVE_H
#define OPS_LIVE_H

#include "ops/place.h"
#include "sync/feed.h"

enum {
    LIVE_EVERY_MS = 1000,
    LIVE_DELIVERIES = 20,      /* shown in each turn, */
    LIVE_NOTICES = 100,        /* and so many notices: a burst evicts nobody */
    LIVE_KEEPALIVE_MS = 15000, /* a comment that often */
    LIVE_LINGER_MS = 60000,    /* go on so long after the last one left */
    LIVE_ASKERS_MAX = 256,
};

struct live;

struct live_options {
    const struct config *config; /* its secrets are loaded; borrowed until live_stop */
    size_t subscribers_max;
    size_t ring_bytes_max;
    /* The fleet's frame as JSON text, appended; what is not known is said in it. Blocks
     * until until_ms at most. */
    void (*snapshot)(void *arg, struct ops_place *place, int64_t until_ms,
                     struct str *json);
    /* There is something new to read. On the live thread; must not block. */
    void (*wake)(void *arg);
    void *arg;
};

struct live *live_start(const struct live_options *options);

/* Say goodbye: no further subscriber; those that are there read to the end. wake is
 * called. */
void live_goodbye(struct live *live);
void live_stop(struct live *live); /* after the last feed_unsubscribe */

/* Subscribe there, then call live_look. */
struct feed *live_feed(struct live *live);
void live_look(struct live *live); /* somebody listens now */

/* Have fn called once with the latest frame: now, when there is one of this second, else
 * after the next turn, on the live thread ("{}" when it stops before the first one).
 * Returns false, without a call, when too many ask. */
typedef void live_frame_fn(void *arg, const char *json, size_t len);
bool live_ask(struct live *live, live_frame_fn *fn, void *arg);

#endif
