/* What happened lately in the whole fleet: a sample of deliveries, and notices. The
 * stream `ops:{g}:recent` in Redis, read from where one was. One thread at a time. */
#ifndef OPS_RECENT_H
#define OPS_RECENT_H

#include <stdbool.h>

#include "ops/place.h"

enum {
    RECENT_ID_MAX = 48,
    RECENT_FIRST = 20,     /* the first read gives the latest few only */
    RECENT_READ_MAX = 1000 /* entries a read */
};

/* Where one is in the stream; all zero to begin with. */
struct recent {
    char last_id[RECENT_ID_MAX];
};

/* One entry. notice: else a delivery. doc: its JSON; borrowed until the function ends. */
typedef void recent_fn(void *arg, bool notice, struct json_object *doc);

/* Give fn what came since, oldest first. What is no JSON is left out.
 * Returns 0, or as redis_ask with a sentence; then the place in the stream is as before.
 */
int recent_read(struct ops_place *place, struct recent *recent, int64_t until_ms,
                recent_fn *fn, void *arg, struct err *err);

#endif
