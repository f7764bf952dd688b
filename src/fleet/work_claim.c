/* Whose a unit is: claims in the ledger, and the leases that keep them. */
#include "work_inside.h"

#include "base/log.h"
#include "base/now.h"
#include "fleet/lane.h"

enum {
    CLAIM_POLL_MIN_MS = 20, /* how often to look whether another has finished a unit */
    CLAIM_POLL_MAX_MS = 500,
    RENEW_AFTER_MS =
        2000, /* so old a claim is renewed: a call may always take its whole timeout */
};

static void claimed(struct unit *unit)
{
    unit->claimed = true;
    atomic_store(&unit->lease_end, unit->entry.lease_end_boot_ms);
    if (unit->entry.result == LEDGER_TAKEN_OVER && unit->target->config->uncertain_dead) {
        unit->keep_claim = true;
        unit_end(unit, VERDICT_DEAD, "outcome-unknown");
        return;
    }
    unit->next_ms = now_ms();
    atomic_store(&unit->state, unit->ahead ? UNIT_BLOCKED : UNIT_GRANT);
}

static void claim_answered(struct work *w, struct unit *unit)
{
    int64_t now = now_ms();
    int64_t wait_ms = unit->entry.wait_ms;
    switch (unit->entry.result) {
    case LEDGER_GRANTED:
    case LEDGER_TAKEN_OVER:
        claimed(unit);
        break;
    case LEDGER_DUPLICATE:
        unit_end(unit, VERDICT_DUPLICATE, "done-before");
        break;
    case LEDGER_CONFLICT:
        unit_end(unit, VERDICT_DEAD, "conflict");
        break;
    case LEDGER_BROKEN: /* it may have been done: not called, not held for ever */
        unit_end(unit, VERDICT_DEAD, "ledger-record");
        break;
    case LEDGER_WAIT:
        lane_waits(w->lane, LANE_CLAIM);
        wait_ms = wait_ms < CLAIM_POLL_MIN_MS ? CLAIM_POLL_MIN_MS : wait_ms;
        unit->next_ms = now + (wait_ms > CLAIM_POLL_MAX_MS ? CLAIM_POLL_MAX_MS : wait_ms);
        break;
    case LEDGER_LOST:
    case LEDGER_UNKNOWN:
        unit->next_ms = now + WORK_REDIS_REST_MS;
        if (unit->target->config->send_without_redis) {
            unit->next_ms = now;
            atomic_store(&unit->state, unit->ahead ? UNIT_BLOCKED : UNIT_GRANT);
        }
        break;
    }
}

void work_claim_due(struct work *w, int64_t now)
{
    size_t n = 0;
    for (size_t i = 0; i < w->starts[w->plan->target_count]; i++) {
        struct unit *unit = w->grouped[i];
        if (unit_state_now(unit) == UNIT_CLAIM && unit->next_ms <= now) {
            w->picked[n] = unit;
            w->entries[n++] = &unit->entry;
        }
    }
    if (n == 0) {
        return;
    }
    lane_waits(w->lane, LANE_REDIS);
    int rc = ledger_claim(w->fleet->ledger, w->entries, n);
    if (rc) {
        LOG(LOG_WARN, "Redis does not answer or refuses, nothing is sent until it does",
            LEND);
    }
    for (size_t i = 0; i < n; i++) {
        claim_answered(w, w->picked[i]);
    }
}

static bool wants_renewal(const struct unit *unit, int64_t boot)
{
    enum unit_state state = unit_state_now(unit);
    bool holds = state == UNIT_BLOCKED || state == UNIT_GRANT || state == UNIT_OUT ||
                 state == UNIT_ASKING;
    return holds && unit->claimed &&
           unit->entry.lease_end_boot_ms - boot < unit->entry.lease_ms - RENEW_AFTER_MS;
}

void work_renew_due(struct work *w, int64_t now)
{
    if (now < w->renew_check_ms) {
        return;
    }
    w->renew_check_ms = now + WORK_RENEW_CHECK_MS;
    int64_t boot = now_boot_ms();
    size_t n = 0;
    for (size_t i = 0; i < w->count; i++) {
        if (wants_renewal(&w->units[i], boot)) {
            w->picked[n] = &w->units[i];
            w->entries[n++] = &w->units[i].entry;
        }
    }
    if (n == 0 || ledger_renew(w->fleet->ledger, w->entries, n)) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct unit *unit = w->picked[i];
        atomic_store(&unit->lease_end, unit->entry.lease_end_boot_ms);
        enum unit_state state = unit_state_now(unit);
        if (unit->entry.result == LEDGER_LOST && work_owns(unit)) {
            unit->claimed = false; /* another took it: ask again who has it */
            unit->next_ms = now;
            atomic_store(&unit->state, UNIT_CLAIM);
        } else if (unit->entry.result == LEDGER_LOST && state == UNIT_ASKING) {
            unit->claimed = false; /* and asks again when its gate has answered */
        }
    }
}

bool work_lease_suffices(struct work *w, struct unit *unit, int64_t now)
{
    int64_t needed_ms =
        unit->target->config->timeout_ms + LIMITER_AHEAD_MS + LIMITER_USE_MS;
    if (!unit->claimed || unit->entry.lease_end_boot_ms - now_boot_ms() > needed_ms) {
        return true;
    }
    w->renew_check_ms = now;
    unit->next_ms = now + WORK_REDIS_REST_MS;
    lane_waits(w->lane, LANE_REDIS);
    return false;
}
