/* What operators order and workers obey: pauses, drains, reloads.
 *
 * The hash `ops:{g}:control` in Redis. An order is a field: "pause:<target>",
 * "drain:<consumer>", "reload", with who, why and when in JSON; "order" counts them. Each
 * worker reads all of it every CONTROL_EVERY_MS and says in "seen:<consumer>" how far it
 * has obeyed, and in "reloaded:<consumer>" how a reload ended. While Redis does not
 * answer, the orders read last stay in force. */
#ifndef OPS_CONTROL_H
#define OPS_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/option.h"
#include "ops/place.h"
#include "wire/redis.h"

enum {
    CONTROL_EVERY_MS = 500,
    CONTROL_OBEY_MS = 2000, /* how long an operator's command waits for the workers */
    CONTROL_TEXT_MAX = 256,
};

/* --- a worker's side --- */

struct control; /* one per worker */

/* What is ordered now. Borrowed texts: until the next control_look. */
struct control_orders {
    const char *paused[CONFIG_TARGETS_MAX];
    size_t paused_count;
    bool drain;
    int64_t reload; /* the number of the last request; 0: none since the start */
    char who[CONTROL_TEXT_MAX]; /* of the reload */
    char why[CONTROL_TEXT_MAX];
    int64_t number; /* of the last order of all, for control_obeyed; 0: none */
    bool known;     /* they were read at least once */
};

/* redis, config  borrowed until control_stop; boot: copied. */
struct control *control_start(struct redis *redis, const struct config *config,
                              const char *boot);

/* Read again when it is time (not waited for), and say what is ordered. A reload that was
 * asked for before the start is none. One thread. */
void control_look(struct control *control, int64_t now_ms, struct control_orders *orders);

/* Everything up to this number is obeyed. Not waited for. */
void control_obeyed(struct control *control, int64_t number);
void control_reloaded(struct control *control, int64_t number, bool taken,
                      const char *outcome);

/* Take back what it said of itself. While Redis is there. */
void control_stop(struct control *control);
void control_free(struct control *control); /* after redis_stop */

/* --- an operator's side: each blocks until the workers have obeyed, CONTROL_OBEY_MS at
 * most, or until nobody waits (place->ctx); the order stands, and control_acts tells who
 * has obeyed it. --- */

struct control_answer {
    int64_t number; /* of the order */
    int consumers;  /* alive by their heartbeats */
    int obeyed;
};

/* for_ms  0: until it is resumed. reason: not empty.
 * Returns 0, -EINVAL (no such target, no reason: a sentence with the next step), or as
 * redis_ask. */
int control_pause(struct ops_place *place, const char *target, int64_t for_ms,
                  const char *reason, struct control_answer *answer, struct err *err);
/* The same; -ENOENT: it was not paused. */
int control_resume(struct ops_place *place, const char *target, const char *reason,
                   struct control_answer *answer, struct err *err);

/* consumer  NULL: all that are alive. undo: let it work again. Returns -EINVAL for one
 * nobody knows; -ECANCELED when nobody waits any more and some were left as they are;
 * answer->consumers: how many it was for. */
int control_drain(struct ops_place *place, const char *consumer, bool undo,
                  const char *reason, struct control_answer *answer, struct err *err);

/* Ask every worker to read its configuration again. */
int control_reload(struct ops_place *place, const char *reason,
                   struct control_answer *answer, struct err *err);

/* How it ended at each: fn is called with the consumer, and "" while it is not known. */
typedef void control_outcome_fn(void *arg, const char *consumer, bool taken,
                                const char *outcome);
int control_outcomes(struct ops_place *place, int64_t number, control_outcome_fn *fn,
                     void *arg, struct err *err);

/* What was done to the fleet lately, newest first, as audit_read; to what was an order
 * "consumers" (alive now) and "obeyed" (of them) are added. acts  out: returns owned.
 * Returns 0, or as redis_ask. */
int control_acts(struct ops_place *place, int64_t until_ms, struct json_object **acts,
                 struct err *err);

/* Until every one of them (NULL: all that are alive) has left the group, or works again,
 * or until then. Returns how many are not yet there, or a negative errno. */
int control_await_drained(struct ops_place *place, const char *consumer, bool undo,
                          int64_t until_ms, struct err *err);

#endif
