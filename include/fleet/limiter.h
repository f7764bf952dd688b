/* One rate limit per downstream over the whole fleet: token buckets in Redis, by debt
 * reservation.
 *
 * A lane asks for what its batch needs: one script takes up to k slots from all of a
 * target's buckets at once and answers "first slot at t1, last at t2". The bucket may go
 * into debt at most LIMITER_AHEAD_MS ahead, and a slot must be used within LIMITER_USE_MS
 * after its time; together they are the grant life. So in any window T the calls of a
 * bucket are at most burst + rate * (T + grant life), through restarts, state loss,
 * failover and clock steps. A lost bucket starts empty or in debt, never full.
 *
 * State is (level, timestamp), never a theoretical arrival time; each call carries the
 * caller's own monotonic time since its last grant on the set, which bounds what a
 * stepped server clock can credit. Any thread. */
#ifndef FLEET_LIMITER_H
#define FLEET_LIMITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/metrics.h"
#include "wire/redis.h"

enum { LIMITER_AHEAD_MS = 500, LIMITER_USE_MS = 500, LIMITER_BUCKETS_MAX = 9 };

struct limiter;
struct limiter_set; /* the buckets of one target */

struct limiter_bucket {
    const char *name; /* "argocd" */
    double rate_per_s;
    double burst;
    bool shared; /* by other sets, too: a penalty leaves it alone */
};

struct limiter_options {
    const char *prefix;
    double version; /* of new sets' limits: the highest wins and is stored */
    int64_t timeout_ms;
    struct metrics *metrics; /* may be NULL */
};

struct limiter *limiter_new(struct redis *redis, const struct limiter_options *options);
void limiter_free(struct limiter *limiter); /* after redis_stop; sets that are left too */

/* n may be 0: a set without limits grants at once without Redis. Copies.
 * name  of the downstream: where all its buckets are shared, penalties have one of their
 *       own, under this name. */
struct limiter_set *limiter_set_new(struct limiter *limiter, const char *name,
                                    const struct limiter_bucket *buckets, size_t n);
/* One more owner, of whom each says limiter_set_free. Returns the set. */
struct limiter_set *limiter_set_hold(struct limiter_set *set);
void limiter_set_free(struct limiter_set *set);

/* Has it exactly these buckets? */
bool limiter_set_is(const struct limiter_set *set, const struct limiter_bucket *buckets,
                    size_t n);

/* Its limits are those of a later load. */
void limiter_set_version(struct limiter_set *set, double version);

/* To be called from redis_options.connected: a new master's buckets are not trusted to be
 * full. */
void limiter_fence(struct limiter *limiter);

struct limiter_ask {
    struct limiter_set *set;
    int want;         /* >= 1 */
    int granted;      /* out: 0..want; -1: Redis did not answer */
    int64_t first_ms; /* out: monotonic; slot 0's time */
    int64_t last_ms;  /* out: slot granted-1's time */
    int64_t again_ms; /* out, when granted < want: ask for the rest then (jittered,
                         monotonic) */
};

/* All asks in one pipelined round trip. Blocks at most timeout_ms.
 * Returns 0, or -ETIMEDOUT/-EIO when Redis did not answer at least one. */
int limiter_reserve(struct limiter *limiter, struct limiter_ask *asks, size_t n);

/* Slot i's time on the straight line between first and last: never early, for the true
 * schedule is convex. */
int64_t limiter_slot_ms(const struct limiter_ask *ask, int i);

/* What is measured of a limit: how far in the future grants were (a histogram) and the
 * tokens last seen. Both NULL when no set has the limit, or without metrics. Any thread.
 */
void limiter_measures(struct limiter *limiter, const char *name,
                      const struct metric **waited, const struct metric **tokens);

/* Give n unused slots back (younger than the grant life). Not waited for. */
void limiter_refund(struct limiter *limiter, struct limiter_set *set, int n);

/* The downstream asked for silence: the set grants nothing before that has passed, in the
 * whole fleet; other sets that share its buckets go on. Without limits there is nothing
 * that could hold it. Not waited for. */
void limiter_penalty(struct limiter *limiter, struct limiter_set *set,
                     int64_t retry_after_ms);

#endif
