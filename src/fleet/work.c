/* Design. The lane owns every unit except one whose call is out (http loop), whose gate
 * is asked (the gate) or whose end is being recorded (redis thread). A turn of the loop:
 * take what came back, give back everything when told to stop, then serve what is due:
 * claims, leases, grants; then wait until the next of these is due, a nudge, or the last
 * unit is done.
 *
 * Who ends what: a success is ended on the redis thread (no lane wakes, unless another
 * unit waits behind it); everything else is ended by the lane. A unit that ends with
 * another behind it is posted to the lane before it leaves the waitgroup, so the batch is
 * still there. */
#include "fleet/work.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "fleet/intake.h"
#include "fleet/lane.h"
#include "fleet/work_call.h"
#include "wire/crypto.h"
#include "work_inside.h"

enum {
    ROOM_POLL_MS = 20, /* in case nobody nudges a lane that waits for room */
};

/* --- ends --- */

/* The order of the key: what is behind one that waits, waits with it. */
static void share_wait(struct unit *unit, const struct unit *ended)
{
    if (!ended->held) {
        unit_defer(unit, "order", ended->park_after_ms);
        return;
    }
    snprintf(unit->detail, sizeof unit->detail, "%s", ended->detail);
    unit->held = true;
    unit_defer(unit, ended->reason, ended->park_after_ms);
}

/* A unit has ended, and so has everything ahead of it: the next of the chain that has not
 * ended goes on, or shares the fate where the order of the key would break. (One that
 * ended before its turn, a duplicate, was passed over then.) */
static void unblock(struct unit *ended)
{
    struct unit *unit = ended->behind;
    while (unit && unit_state_now(unit) == UNIT_ENDED) {
        unit->ahead = NULL;
        unit = unit->behind;
    }
    if (!unit || !work_owns(unit)) {
        return;
    }
    unit->ahead = NULL;
    if (ended->verdict == VERDICT_DEFERRED) {
        share_wait(unit, ended);
    } else if (unit_state_now(unit) == UNIT_BLOCKED) {
        unit->next_ms = now_ms();
        atomic_store(&unit->state, UNIT_GRANT);
    }
}

/* --- what came back --- */

/* For the whole fleet where the target has limits, for this process in any case. */
static void keep_silent(struct work *w, struct fleet_target *target, int64_t ms,
                        int64_t now)
{
    limiter_penalty(w->fleet->limiter, target->limits, ms);
    long long until = atomic_load(&target->downstream->silent_until_ms);
    while (until < now + ms &&
           !atomic_compare_exchange_weak(&target->downstream->silent_until_ms, &until,
                                         now + ms)) {
    }
}

static int64_t later(int64_t a_ms, int64_t b_ms)
{
    return a_ms > b_ms ? a_ms : b_ms;
}

/* A transient failure: another try in this batch while the patience lasts, else the retry
 * topics. */
static void retry_or_defer(struct work *w, struct unit *unit, int64_t now)
{
    const struct config_target *config = unit->target->config;
    const struct attempt_result *result = &unit->result;
    metric_inc(
        metrics_series(w->fleet->retries, config->name, result->reason, NULL, NULL));
    if (unit->hold_until_ms == 0) {
        unit->hold_until_ms = now + config->retry_hold_ms;
    }
    int64_t asked_ms = later(result->retry_after_ms, result->wait_ms);
    int64_t delay_ms =
        attempt_backoff_ms(unit->tries, config->backoff_min_ms, config->backoff_max_ms,
                           asked_ms, crypto_random_u64());
    bool patient = unit->round == 0 && now + delay_ms < unit->hold_until_ms;
    if (!patient || breaker_is_open(&unit->target->downstream->breaker, now)) {
        work_call_log(unit, "retry topic", later(asked_ms, 0));
        unit_defer(unit, result->reason, asked_ms);
        return;
    }
    work_call_log(unit, "retry", delay_ms);
    unit->next_ms = now + delay_ms;
    atomic_store(&unit->state, UNIT_GRANT);
}

static void came_back(struct work *w, struct unit *unit)
{
    int64_t now = now_ms();
    const struct attempt_result *result = &unit->result;
    if (result->class == ATTEMPT_AGAIN) {
        if (unit->has_slot && unit->call.end == HTTP_END_RECALLED) {
            limiter_refund(w->fleet->limiter, unit->target->limits, 1);
        }
        unit->has_slot = false;
        unit->next_ms = now;
        atomic_store(&unit->state, UNIT_GRANT);
        return;
    }
    unit->has_slot = false;
    work_call_drop(unit);
    snprintf(unit->detail, sizeof unit->detail, "%s",
             result->detail[0] ? result->detail : unit->call.error);
    if (result->retry_after_ms > 0) {
        keep_silent(w, unit->target, result->retry_after_ms, now);
    }
    if (result->class == ATTEMPT_HELD) {
        unit_hold(unit, result->reason, later(result->retry_after_ms, result->wait_ms));
    } else if (result->class == ATTEMPT_PERMANENT) {
        work_call_log(unit, "dead letter", 0);
        unit_end(unit, VERDICT_DEAD, result->reason);
    } else if (result->class == ATTEMPT_UNCERTAIN &&
               unit->target->config->uncertain_dead) {
        unit->keep_claim = true;
        work_call_log(unit, "dead letter", 0);
        unit_end(unit, VERDICT_DEAD, "outcome-unknown");
    } else {
        retry_or_defer(w, unit, now);
    }
}

static void take_back(struct work *w)
{
    struct unit *unit = lane_take_posted(w->lane);
    while (unit) {
        struct unit *next = unit->inbox_next;
        unit->inbox_next = NULL;
        enum unit_state state = unit_state_now(unit);
        if (state == UNIT_ASKING) {
            work_gate_answered(w, unit);
        } else if (state != UNIT_ENDED) {
            came_back(w, unit);
        } else if (!unit->ahead) {
            unblock(unit);
        }
        unit = next;
    }
}

/* --- stop --- */

/* Nothing more is started: what the lane holds is returned, waiting calls are recalled,
 * running ones left to end. */
static void give_back(struct work *w, bool abort)
{
    size_t n = 0;
    for (size_t i = 0; i < w->count; i++) {
        struct unit *unit = &w->units[i];
        if (unit_state_now(unit) == UNIT_ASKING) {
            work_gate_recall(w, unit);
        } else if (unit_state_now(unit) == UNIT_OUT) {
            if (!unit->recalled) {
                unit->recalled = true;
                http_recall(w->fleet->http, &unit->call);
            }
            if (abort && !unit->aborted) {
                unit->aborted = true;
                http_abort(w->fleet->http, &unit->call);
            }
        } else if (work_owns(unit) && unit->claimed && !unit->keep_claim) {
            w->entries[n++] = &unit->entry;
        }
    }
    if (n) {
        ledger_release(w->fleet->ledger, w->entries, n);
    }
    for (size_t i = 0; i < w->count; i++) {
        struct unit *unit = &w->units[i];
        if (work_owns(unit) && !unit->is_twin) {
            unit_end(unit, VERDICT_RETURNED, "stop");
        }
    }
}

/* --- grants and starts --- */

static bool breaker_defers(struct unit *unit, int64_t now)
{
    if (!breaker_is_open(&unit->target->downstream->breaker, now)) {
        return false;
    }
    unit_defer(unit, "breaker-open", 0);
    return true;
}

/* What is out ends; nothing more is started. */
static bool pause_defers(struct unit *unit)
{
    if (!atomic_load(&unit->target->downstream->paused)) {
        return false;
    }
    unit->held = true; /* as long as it takes: the first tier */
    unit_defer(unit, PARK_PAUSED, 0);
    return true;
}

/* The target asked for silence: wait for its end, or elsewhere if that is far. */
static bool is_silent(struct unit *unit, int64_t now)
{
    int64_t left_ms = atomic_load(&unit->target->downstream->silent_until_ms) - now;
    if (left_ms <= 0) {
        return false;
    }
    unit->next_ms = now + left_ms;
    if (left_ms > unit->target->grant_patience_ms) {
        unit_defer(unit, "retry-after", left_ms);
    }
    return true;
}

/* Is there room for one more than n? If not, the lane is in line for it. */
static bool has_room(struct work *w, size_t t, size_t n)
{
    struct room *room = &w->plan->targets[t].downstream->room;
    if ((size_t)room_now(room) > n) {
        return true;
    }
    room_join(room, &w->waits[t], &w->lane->wg);
    return (size_t)room_now(room) > n;
}

/* Put the units of one target that are ready for a start behind those picked before. At
 * most as many as the target has room. Returns how many. */
static size_t pick_ready(struct work *w, size_t t, struct unit **picked, int64_t now)
{
    size_t n = 0;
    for (size_t i = w->starts[t]; i < w->starts[t + 1]; i++) {
        struct unit *unit = w->grouped[i];
        if (unit_state_now(unit) != UNIT_GRANT || unit->next_ms > now ||
            pause_defers(unit) || breaker_defers(unit, now) || is_silent(unit, now) ||
            !work_gate_is_open(w, unit, now)) {
            continue;
        }
        if (!has_room(w, t, n)) {
            w->room_ms = now + ROOM_POLL_MS;
            break;
        }
        if (work_lease_suffices(w, unit, now) &&
            work_call_prepare(w->plan->config, unit)) {
            picked[n++] = unit;
        }
    }
    return n;
}

static void start_or_wait(struct work *w, const struct limiter_ask *ask,
                          struct unit *unit, int i)
{
    struct fleet_target *target = unit->target;
    int64_t now = now_ms();
    bool unknown = ask->granted < 0 && !target->config->send_without_redis;
    if (unknown || (ask->granted >= 0 && i >= ask->granted)) {
        unit->next_ms = unknown ? now + WORK_REDIS_REST_MS : ask->again_ms;
        lane_waits(w->lane, unknown ? LANE_REDIS : LANE_GRANT);
        if (unit->next_ms - now > target->grant_patience_ms) {
            unit_defer(unit, "rate-limit", unit->next_ms - now);
        }
        return;
    }
    if (!breaker_allow(&target->downstream->breaker, now)) {
        limiter_refund(w->fleet->limiter, target->limits, 1);
        unit_defer(unit, "breaker-open", 0);
        return;
    }
    bool has_slot = ask->granted > 0 && target->config->limit_count > 0;
    lane_waits(w->lane, LANE_TARGET);
    work_call_start(w->fleet, unit, has_slot ? limiter_slot_ms(ask, i) : now, has_slot);
}

/* All targets' slots in one round trip. */
static void grant_due(struct work *w, int64_t now)
{
    size_t asks = 0;
    size_t n = 0;
    for (size_t t = 0; t < w->plan->target_count; t++) {
        size_t more = pick_ready(w, t, w->picked + n, now);
        if (more > 0) {
            w->asks[asks++] = (struct limiter_ask){.set = w->plan->targets[t].limits,
                                                   .want = (int)more};
            n += more;
        }
    }
    if (asks == 0) {
        return;
    }
    int rc = limiter_reserve(w->fleet->limiter, w->asks, asks);
    (void)rc; /* each ask says for itself whether Redis answered */
    struct unit **unit = w->picked;
    for (size_t a = 0; a < asks; a++) {
        for (int i = 0; i < w->asks[a].want; i++) {
            start_or_wait(w, &w->asks[a], *unit++, i);
        }
    }
    for (size_t t = 0; t < w->plan->target_count; t++) {
        room_pass(&w->plan->targets[t].downstream->room);
    }
}

/* --- the watch --- */

static void tell_watchdog(struct work *w)
{
    int64_t now = now_ms();
    int64_t latest_ms = 0;
    for (size_t i = 0; i < w->count; i++) {
        int64_t ms = work_call_late_ms(w->fleet, &w->units[i], now);
        latest_ms = ms > latest_ms ? ms : latest_ms;
    }
    atomic_store(&w->lane->late_ms, latest_ms);
    lane_turns(w->lane);
}

/* --- the loop --- */

/* What is due and still wants a grant waits for room. */
static int64_t next_wake(const struct work *w, int64_t now)
{
    int64_t next = w->renew_check_ms;
    if (w->asking > 0) {
        next = work_gate_wake_ms(w, next);
    }
    for (size_t i = 0; i < w->count; i++) {
        enum unit_state state = unit_state_now(&w->units[i]);
        if (state != UNIT_CLAIM && state != UNIT_GRANT) {
            continue;
        }
        int64_t due = w->units[i].next_ms;
        if (state == UNIT_GRANT && due <= now) {
            due = w->room_ms > due ? w->room_ms : due;
        }
        next = due < next ? due : next;
    }
    return next;
}

static int64_t count_open(const struct work *w)
{
    int64_t n = 0;
    for (size_t i = 0; i < w->count; i++) {
        n += unit_state_now(&w->units[i]) != UNIT_ENDED;
    }
    return n;
}

static void work_init(struct work *w, struct lane *lane, const struct plan *plan,
                      const struct batch_of_events *batch)
{
    *w = (struct work){.lane = lane,
                       .fleet = lane->fleet,
                       .plan = plan,
                       .units = batch->units,
                       .count = batch->unit_count,
                       .renew_check_ms = now_ms() + WORK_RENEW_CHECK_MS,
                       .waits = mem_array(plan->target_count, sizeof(struct room_wait)),
                       .grouped = mem_array(batch->unit_count, sizeof(struct unit *)),
                       .starts = mem_array(plan->target_count + 1, sizeof(size_t)),
                       .picked = mem_array(batch->unit_count, sizeof(struct unit *)),
                       .entries =
                           mem_array(batch->unit_count, sizeof(struct ledger_entry *)),
                       .asks = mem_array(plan->target_count, sizeof(struct limiter_ask))};
    size_t n = 0;
    for (size_t t = 0; t < plan->target_count; t++) {
        w->starts[t] = n;
        for (size_t i = 0; i < w->count; i++) {
            if (w->units[i].target == &plan->targets[t]) {
                w->grouped[n++] = &w->units[i];
            }
        }
    }
    w->starts[plan->target_count] = n;
}

static void work_release(struct work *w)
{
    for (size_t t = 0; t < w->plan->target_count; t++) {
        room_leave(&w->plan->targets[t].downstream->room, &w->waits[t]);
    }
    free(w->waits);
    free(w->grouped);
    free(w->starts);
    free(w->picked);
    free(w->entries);
    free(w->asks);
}

void work_run(struct lane *lane, const struct plan *plan, struct batch_of_events *batch)
{
    struct work w;
    work_init(&w, lane, plan, batch);
    int64_t open = count_open(&w);
    waitgroup_add(&lane->wg, open);
    int rc = open == 0 ? 0 : -EAGAIN;
    while (rc != 0) {
        int stop = atomic_load(&lane->stop);
        take_back(&w);
        if (stop >= LANE_NO_STARTS) {
            give_back(&w, stop == LANE_ABORT);
        } else {
            work_claim_due(&w, now_ms());
            grant_due(&w, now_ms());
            work_gate_due(&w, now_ms());
        }
        work_renew_due(&w, now_ms());
        tell_watchdog(&w);
        rc = waitgroup_wait(&lane->wg, next_wake(&w, now_ms()));
    }
    (void)lane_take_posted(lane); /* what ended last has nobody to unblock */
    atomic_store(&lane->late_ms, 0);
    work_release(&w);
}
