#include "fleet/unit.h"

#include <stdio.h>

#include "base/err.h"
#include "fleet/lane.h"

const char *verdict_name(enum verdict verdict)
{
    static const char *const names[VERDICT_COUNT] = {
        "in_flight",  "triggered", "duplicate", "skipped",
        "superseded", "deferred",  "dead",      "returned",
    };
    ASSERT(verdict >= 0 && verdict < VERDICT_COUNT);
    return names[verdict];
}

void unit_end(struct unit *unit, enum verdict verdict, const char *reason)
{
    struct lane *lane = unit->lane;
    unit->verdict = verdict;
    snprintf(unit->reason, sizeof unit->reason, "%s", reason);
    struct unit *twin = unit->twin;
    bool post = unit->behind != NULL;
    atomic_store(&unit->state, UNIT_ENDED);
    while (twin) {
        struct unit *next = twin->twin;
        twin->verdict =
            verdict == VERDICT_RETURNED ? VERDICT_RETURNED : VERDICT_DUPLICATE;
        snprintf(twin->reason, sizeof twin->reason, "twin");
        atomic_store(&twin->state, UNIT_ENDED);
        waitgroup_done(&lane->wg); /* never the last: the unit itself is still in it */
        twin = next;
    }
    if (post) {
        lane_post(lane, unit);
    }
    waitgroup_done(&lane->wg);
}

void unit_defer(struct unit *unit, const char *reason, int64_t at_least_ms)
{
    unit->park_after_ms = at_least_ms;
    unit_end(unit, VERDICT_DEFERRED, reason);
}

bool unit_is_held(const struct unit *unit)
{
    return unit->held && unit->verdict == VERDICT_DEFERRED;
}

void unit_hold(struct unit *unit, const char *reason, int64_t at_least_ms)
{
    int64_t ms = at_least_ms < UNIT_HOLD_MIN_MS ? UNIT_HOLD_MIN_MS : at_least_ms;
    unit->held = true;
    unit_defer(unit, reason, ms > UNIT_HOLD_MAX_MS ? UNIT_HOLD_MAX_MS : ms);
}
