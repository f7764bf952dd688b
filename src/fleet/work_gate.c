/* Design. A unit whose gate is asked is out, as one whose call is: it belongs to the gate
 * until that posts it back to the lane. Its claim is renewed meanwhile. A gate that does
 * not answer in its time, or a lane that is told to stop, recalls the ask, and
 * the unit still comes back by itself. */
#include "work_inside.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "fleet/gate.h"
#include "fleet/lane.h"
#include "fleet/work_call.h"

/* Any thread. */
static void answered(struct gate_ask *ask)
{
    struct unit *unit = ask->arg;
    lane_post(unit->lane, unit);
}

static void ask(struct work *w, struct unit *unit, int64_t now)
{
    if (!unit->ask) {
        unit->ask = mem_alloc(sizeof *unit->ask);
    }
    *unit->ask = (struct gate_ask){.target = unit->target->config,
                                   .event = &unit->event->event,
                                   .done = answered,
                                   .arg = unit};
    unit->out_ms = now;
    unit->recalled = false;
    w->asking++;
    lane_waits(w->lane, LANE_GATE);
    atomic_store(&unit->state, UNIT_ASKING);
    gate_start(w->fleet->gate, unit->ask);
}

bool work_gate_is_open(struct work *w, struct unit *unit, int64_t now)
{
    if (!gate_is_on(unit->target->config) || now < unit->open_until_ms) {
        return true;
    }
    ask(w, unit, now);
    return false;
}

static int64_t late_ms(const struct work *w, const struct unit *unit)
{
    return unit->out_ms + gate_patience_ms(w->fleet->gate);
}

void work_gate_recall(struct work *w, struct unit *unit)
{
    if (!unit->recalled) {
        unit->recalled = true;
        gate_recall(w->fleet->gate, unit->ask);
    }
}

void work_gate_due(struct work *w, int64_t now)
{
    for (size_t i = 0; w->asking > 0 && i < w->count; i++) {
        struct unit *unit = &w->units[i];
        if (unit_state_now(unit) == UNIT_ASKING && now >= late_ms(w, unit)) {
            work_gate_recall(w, unit);
        }
    }
}

int64_t work_gate_wake_ms(const struct work *w, int64_t next_ms)
{
    for (size_t i = 0; i < w->count; i++) {
        const struct unit *unit = &w->units[i];
        bool waits = unit_state_now(unit) == UNIT_ASKING && !unit->recalled;
        if (waits && late_ms(w, unit) < next_ms) {
            next_ms = late_ms(w, unit);
        }
    }
    return next_ms;
}

static void go_on(struct unit *unit, enum unit_state state, int64_t now)
{
    unit->next_ms = now;
    atomic_store(&unit->state, state);
}

static void held(struct unit *unit)
{
    const struct gate_ask *ask = unit->ask;
    bool late = unit->recalled && strcmp(ask->reason, "recalled") == 0;
    snprintf(unit->detail, sizeof unit->detail, "%s",
             late ? "the gate did not answer in time" : ask->detail);
    unit_hold(unit, late ? "gate-timeout" : ask->reason, ask->wait_ms);
}

void work_gate_answered(struct work *w, struct unit *unit)
{
    const struct gate_ask *ask = unit->ask;
    int64_t now = now_ms();
    w->asking--;
    if (!unit->claimed && unit->entry.result == LEDGER_LOST) {
        go_on(unit, UNIT_CLAIM, now);
        return;
    }
    switch (ask->says) {
    case GATE_OPEN:
        unit->open_until_ms = now + GATE_GOOD_MS;
        go_on(unit, UNIT_GRANT, now);
        break;
    case GATE_SKIP: /* for good: a copy of the event finds that it was decided */
        snprintf(unit->detail, sizeof unit->detail, "%s", ask->detail);
        work_call_record(w->fleet, unit, VERDICT_SKIPPED, ask->reason, 0);
        break;
    case GATE_HOLD:
        if (lane_gives_back(w->lane)) {
            go_on(unit, UNIT_GRANT, now); /* with all the rest */
        } else {
            held(unit);
        }
        break;
    }
}
