/* Which applications the fleet has seen lately, and which of their events were the last:
 * the index that ops/history keeps in Redis (capped, and gone after history.ttl). Any
 * thread; each blocks until until_ms at most. */
#ifndef OPS_APPS_H
#define OPS_APPS_H

#include "ops/place.h"

struct app_seen {
    char *name;
    int64_t last_ms; /* wall clock of Redis: when something last happened to it */
};

struct apps {
    struct app_seen *items;
    size_t count;
};

/* All of them, by name. Returns 0, or as redis_ask with a sentence; apps_release in every
 * case. */
int apps_list(struct ops_place *place, int64_t until_ms, struct apps *apps,
              struct err *err);
void apps_release(struct apps *apps);

/* The ids of its latest events, the newest first, at most HISTORY_EVENTS_OF_APP.
 *
 * ids  out: an array of texts; returns owned (json_free), NULL on failure.
 * Returns 0; -ENOENT with a sentence when it was not seen; or as redis_ask. */
int apps_last(struct ops_place *place, const char *app, int64_t until_ms,
              struct json_object **ids, struct err *err);

#endif
