/* The two-phase idempotency record of a unit, in Redis.
 *
 * Key: <prefix>:unit:<group>:{<target>}:<hash of source and id>. A change that depends on
 * what is there is a Lua script, and time is Redis' own. CLAIM: absent -> ours; done ->
 * duplicate; parked at a higher round than ours -> duplicate, else ours; in progress and
 * lease over -> taken over; in progress and ours (a claim sent again) -> ours; else wait.
 * Other content under the same id -> conflict. RENEW: ours -> longer; absent -> set
 * again; foreign -> lost. DONE: unconditional. RELEASE: only ours. PARKED(round): after
 * the parked record was acknowledged; DONE always wins over it. Never skip an in-progress
 * unit: that loses events. Any thread. */
#ifndef FLEET_LEDGER_H
#define FLEET_LEDGER_H

#include <stdint.h>

#include "wire/redis.h"

struct ledger;

enum { LEDGER_TOKEN_LEN = 40 };

enum ledger_result {
    LEDGER_GRANTED,
    LEDGER_TAKEN_OVER, /* granted; somebody began it and may have sent it */
    LEDGER_DUPLICATE,  /* done before, or parked at a higher round */
    LEDGER_CONFLICT,   /* same id, other deploy fields */
    LEDGER_WAIT,       /* another holds it for wait_ms more */
    LEDGER_LOST,       /* RENEW: a foreign token is there; do not send */
    LEDGER_UNKNOWN,    /* no answer from Redis: claim again with the same token */
    LEDGER_BROKEN,     /* something else is at the unit's key: only a person can tell */
};

/* A unit's part in the ledger; lives in the unit. */
struct ledger_entry {
    const char *target;           /* borrowed */
    const char *identity;         /* 32 hex, borrowed */
    const char *content;          /* 32 hex, borrowed */
    int round;                    /* 0: source topic */
    char token[LEDGER_TOKEN_LEN]; /* set by ledger_entry_init; stable when a claim is sent
                                     again */
    int64_t lease_ms;             /* how long a claim lasts */
    int64_t lease_end_boot_ms;    /* out: counted from when CLAIM or RENEW was sent, on
                                     CLOCK_BOOTTIME; 0: none */
    enum ledger_result result;    /* out */
    int64_t wait_ms;              /* out, with LEDGER_WAIT */
};

struct ledger_options {
    const char *prefix;
    const char *group;
    int64_t done_ttl_ms;
    int64_t timeout_ms; /* of one round trip */
};

struct ledger *ledger_new(struct redis *redis, const struct ledger_options *options);
void ledger_free(struct ledger *ledger); /* after redis_stop */

void ledger_entry_init(struct ledger *ledger, struct ledger_entry *entry);

/* The whole batch in one pipelined round trip; results are in the entries. Entries Redis
 * did not answer for have LEDGER_UNKNOWN. Blocks at most timeout_ms. Returns 0, or
 * -ETIMEDOUT/-EIO when at least one is unknown.
 * entries  of a claim: no identity twice for one target. Neighbours of one target share a
 *          script call, so sort them by target. */
int ledger_claim(struct ledger *ledger, struct ledger_entry *const *entries, size_t n);
int ledger_renew(struct ledger *ledger, struct ledger_entry *const *entries, size_t n);

/* What is recorded of units, without touching it: for operators. Only target and identity
 * of the entries matter. */
enum ledger_state { LEDGER_NONE, LEDGER_HELD, LEDGER_PARKED, LEDGER_DONE };
struct ledger_record {
    enum ledger_state state; /* LEDGER_NONE also for what cannot be read */
    int round;               /* of LEDGER_HELD and LEDGER_PARKED */
    int64_t at_ms;           /* of LEDGER_PARKED and LEDGER_DONE, wall clock */
};
/* Blocks at most timeout_ms. Returns 0, or -ETIMEDOUT/-EIO when one is not known. */
int ledger_look(struct ledger *ledger, const struct ledger_entry *entries, size_t n,
                struct ledger_record *records);

/* Best effort, not waited for; give up the claims that are ours. The entries may go at
 * once. */
void ledger_release(struct ledger *ledger, struct ledger_entry *const *entries, size_t n);

/* Record the end. Never blocks; from the http loop. told runs on the redis thread when
 * Redis said so or when its deadline passed (then recording goes on by itself, bounded,
 * after a reconnect): rc 0 or -ETIMEDOUT/-EIO/-ECANCELED. status: the HTTP status that
 * ended it. */
void ledger_done(struct ledger *ledger, const struct ledger_entry *entry, int status,
                 void (*told)(void *arg, int rc), void *arg);

/* Record that the units now wait in Kafka with their round + 1 (or lie dead: DEAD_ROUND).
 * Best effort, waited for at most timeout_ms, goes on after a reconnect. */
enum { LEDGER_DEAD_ROUND = 1000000 };
void ledger_parked(struct ledger *ledger, struct ledger_entry *const *entries,
                   const int *rounds, size_t n);

#endif
