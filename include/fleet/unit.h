/* A unit, (event, target): the thing that is triggered, deduplicated, retried and parked;
 * and the batch that holds it.
 *
 * A batch is made by intake, worked by work, parked by parking, and belongs to one lane.
 * A unit is touched by one thread at a time: the lane, except while its call is out (http
 * loop), its gate is asked (the gate) or its end is being recorded (redis thread); it
 * comes back through the lane's inbox or by leaving the waitgroup. */
#ifndef FLEET_UNIT_H
#define FLEET_UNIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event/event.h"
#include "fleet/ledger.h"
#include "fleet/tries.h"
#include "target/attempt.h"
#include "target/kind.h"
#include "target/target.h"
#include "wire/http.h"
#include "wire/kafka.h"

struct lane;
struct fleet_target;
struct gate_ask;

enum verdict {
    VERDICT_NONE,       /* still in flight */
    VERDICT_TRIGGERED,  /* the target took it */
    VERDICT_DUPLICATE,  /* done before, here or elsewhere */
    VERDICT_SKIPPED,    /* a written rule says no action */
    VERDICT_SUPERSEDED, /* kept for `supersede: latest` */
    VERDICT_DEFERRED,   /* waits in a retry topic */
    VERDICT_DEAD,       /* lies in the dead-letter topic */
    VERDICT_RETURNED,   /* given back unworked at a revoke or stop */
    VERDICT_COUNT,
};
const char *verdict_name(enum verdict verdict);

enum unit_state {
    UNIT_CLAIM,     /* wants a claim, from next_ms on */
    UNIT_BLOCKED,   /* claimed, behind another of its (target, key), or a twin of another
                       event */
    UNIT_GRANT,     /* wants a slot and a start, from next_ms on */
    UNIT_ASKING,    /* its gate is asked, and has it */
    UNIT_OUT,       /* its call belongs to the http loop */
    UNIT_RECORDING, /* its end belongs to the redis thread */
    UNIT_ENDED,     /* has a verdict, has left the waitgroup */
};

enum {
    UNIT_REASON_MAX = 48,
    UNIT_DETAIL_MAX = 256,
    UNIT_HOLD_MIN_MS = 1000,           /* what is held does not come round more often, */
    UNIT_HOLD_MAX_MS = 60 * 60 * 1000, /* nor is it forgotten for longer */
};

struct unit {
    struct lane *lane;
    struct fleet_target
        *target; /* NULL: an event that has none (skipped, or dead undecoded) */
    struct batch_event *event;
    atomic_int state; /* enum unit_state; the lane owns the rest while it is CLAIM,
                         BLOCKED or GRANT */
    enum verdict verdict;
    char reason[UNIT_REASON_MAX]; /* why deferred, dead or skipped: a short word */
    char detail[UNIT_DETAIL_MAX]; /* the last answer in words, for the parked record and
                                     the log */

    struct ledger_entry entry;
    bool claimed;
    bool is_twin;    /* waits for the first of its identity; never claims */
    bool keep_claim; /* not to be released: its outcome is unknown and may not be repeated
                      */
    atomic_llong lease_end; /* entry.lease_end_boot_ms, for the http loop */
    int round;              /* passages through retry topics so far */
    int tier;               /* rounds so far in which it was called */
    int attempts;           /* calls that were sent, all rounds */
    int tries;              /* calls that were sent, this round */
    struct tries story;     /* what became of them */
    int64_t first_seen_wall_ms;
    int64_t held_ms; /* it was held for so long since: its budget does not count that */
    bool held; /* deferred, and it is no failure (its target is paused, its application
                  sleeps): it costs neither budget nor a longer tier */
    int64_t hold_until_ms; /* retries end then; 0: no failure yet */
    int64_t next_ms;       /* monotonic: when it wants what its state says */
    int64_t park_after_ms; /* how long it should wait at least, when deferred */
    int64_t out_ms; /* when its call was handed to the http loop, or its gate asked */
    atomic_llong wire_ms; /* when that really started, and then when it ended; 0: it waits
                             for room */
    bool has_slot;        /* a slot of the limiter is held and not used */
    int64_t slot_ms;

    struct unit
        *ahead; /* the one of its (target, key) it waits for; NULL: none, or ended */
    struct unit *behind; /* the next of its (target, key) */
    struct unit
        *twin; /* another event of the same identity: shares this unit's end; a list */
    struct unit *inbox_next;

    struct http_call call;
    struct attempt_result result; /* of the last call */
    char trace_id[33];            /* of the last call that failed; "" when it had none */
    char span_id[17];
    struct target_request request;
    bool request_ready;
    bool recalled;
    bool aborted;

    char *follow;          /* owned; what is asked later to see how the run goes that it
                              started; NULL: nothing, at most KIND_FOLLOW_MAX */
    struct gate_ask *ask;  /* owned; NULL: never asked */
    int64_t open_until_ms; /* its gate need not be asked before; 0: it must */
    enum verdict ends_as;  /* of UNIT_RECORDING, and why; borrowed from the unit or
                              literal */
    const char *ends_why;
};

/* One record of a batch. */
struct batch_event {
    struct kafka_record *record; /* owned */
    struct event event;
    bool decoded; /* event is initialised */
    struct event_reason why;
    struct unit *units;
    size_t unit_count;
    /* of a record from a retry topic */
    char *target_name;  /* owned; NULL on the source topic */
    char *origin_topic; /* owned; the topic it was first read from */
    int origin_partition;
    int64_t origin_offset;
    int64_t not_before_wall_ms; /* 0: none */
};

struct batch_of_events {
    int64_t opened_wall_ms; /* its first record was taken */
    int64_t began_wall_ms;  /* it was closed, and its units began */
    const char *closed_by;  /* "size", "age"; literal */
    struct batch_event *events;
    size_t event_count;
    struct unit *units; /* one array, in event order */
    size_t unit_count;
};

/* Give a unit its verdict and let it, and its twins, leave the barrier. If another waits
 * behind it the lane is told first. Lane thread, or the redis thread for a recorded end.
 */
void unit_end(struct unit *unit, enum verdict verdict, const char *reason);

/* To the retry topics, to wait there at least so long. Lane thread. */
void unit_defer(struct unit *unit, const char *reason, int64_t at_least_ms);

/* The same, and it is no failure: see `held`. The wait is kept within the bounds above.
 * Lane thread. */
void unit_hold(struct unit *unit, const char *reason, int64_t at_least_ms);

/* It has ended, and waits without a failure. (One that would, and was given back, does
 * not.) */
bool unit_is_held(const struct unit *unit);

#endif
