/* What the parts of work share; for src/fleet/work*.c only. Lane thread.
 *
 * work.c        the loop: ends, stops, grants and starts, the wait
 * work_claim.c  claims and leases
 * work_gate.c   who is asked before a call */
#ifndef FLEET_WORK_INSIDE_H
#define FLEET_WORK_INSIDE_H

#include "fleet/fleet.h"
#include "fleet/unit.h"

enum {
    WORK_REDIS_REST_MS = 100, /* between tries while Redis does not answer */
    WORK_RENEW_CHECK_MS = 1000,
};

/* One batch that is worked. */
struct work {
    struct lane *lane;
    const struct fleet *fleet;
    const struct plan *plan;
    struct unit *units;
    size_t count;
    size_t asking; /* units whose gate is asked */
    int64_t renew_check_ms;
    int64_t room_ms;         /* when to look for room again */
    struct room_wait *waits; /* by target */
    struct unit **grouped;   /* those with a target, by target */
    size_t *starts;          /* where a target's begin in grouped; one more at the end */
    /* scratch, one slot per unit; asks: one per target */
    struct unit **picked;
    struct ledger_entry **entries;
    struct limiter_ask *asks;
};

static inline enum unit_state unit_state_now(const struct unit *unit)
{
    return (enum unit_state)atomic_load(&unit->state);
}

/* The lane may do with it what it likes: nobody else has it. */
static inline bool work_owns(const struct unit *unit)
{
    enum unit_state state = unit_state_now(unit);
    return state == UNIT_CLAIM || state == UNIT_BLOCKED || state == UNIT_GRANT;
}

/* Claim what wants a claim, and make longer the leases that are over soon; once a turn.
 */
void work_claim_due(struct work *w, int64_t now);
void work_renew_due(struct work *w, int64_t now);

/* Does the claim outlast a call that starts as late as a grant allows? If not it is
 * renewed first. */
bool work_lease_suffices(struct work *w, struct unit *unit, int64_t now);

/* May the unit be called, for all that its gate says? If that is not known it is asked,
 * and the unit is UNIT_ASKING until it is posted back. */
bool work_gate_is_open(struct work *w, struct unit *unit, int64_t now);

/* One whose gate was asked has come back. */
void work_gate_answered(struct work *w, struct unit *unit);

/* Nobody waits for this answer any more; or for those that are late, once a turn. When
 * the next will be late; at most next_ms. */
void work_gate_recall(struct work *w, struct unit *unit);
void work_gate_due(struct work *w, int64_t now);
int64_t work_gate_wake_ms(const struct work *w, int64_t next_ms);

#endif
