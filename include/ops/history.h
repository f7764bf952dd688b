/* The story of each event, for `trace`; which events there were of each application; a
 * sample of how units end, for `tap`, the console and the stream; and how many dead
 * letters wait. All in Redis, capped and expiring: what operators look at, never what
 * decides.
 *
 * Keys: ops:{group}:events and ops:{group}:events:<id> (chapters, one for each batch the
 * event was in), ops:{group}:apps and ops:{group}:apps:<app> (the ids of its latest
 * events, by when they were first seen; read by ops/apps), ops:{group}:recent (a stream;
 * field "d" a delivery, "n" a notice), ops:{group}:dead (a hash of "<target>|<reason>" to
 * a count). Writing never waits: what is too much, or what Redis cannot be told now, is
 * left out and counted (sluice_history_dropped_total). */
#ifndef OPS_HISTORY_H
#define OPS_HISTORY_H

#include "fleet/lane.h"

enum {
    HISTORY_CHAPTERS_MAX = 20, /* of one event */
    HISTORY_APPS_MAX = 5000,   /* applications; those longest silent go first */
    HISTORY_APP_MAX = 512,     /* bytes; one with a longer name is in no index */
    HISTORY_EVENTS_OF_APP = 20,
    HISTORY_PER_S = 500, /* events a process writes down, and as many with trouble */
    HISTORY_SAMPLE_PER_S = 20,  /* deliveries a process shows, */
    HISTORY_TROUBLE_PER_S = 50, /* and those that failed */
    HISTORY_RECENT_MAX = 2000,  /* entries of the stream, about */
    HISTORY_UNITS_MAX = 32,     /* of an event, in a chapter */
    HISTORY_TEXT_MAX = 200,     /* bytes of one field of an event */
};

struct history;

/* config, redis, metrics  borrowed until history_free, which comes after redis_stop.
 * Returns NULL when history.events is 0. */
struct history *history_new(const struct config *config, struct redis *redis,
                            struct metrics *metrics);
void history_free(struct history *history);

/* As fleet_settled_fn, of a struct history. Lane threads. */
void history_settled(void *history, const struct lane *lane,
                     const struct batch_of_events *batch);

/* "<target>|<reason>": the name of a count of dead letters. target: NULL for none. */
void history_dead_field(const char *target, const char *reason, char *field, size_t len);

#endif
