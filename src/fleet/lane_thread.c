/* Design. One thread, one partition, one epoch. It takes a batch, works it behind the
 * barrier, parks what failed and says how far it is done. It ends when it is told to stop
 * and its batch has ended; the worker joins it. */
#include "fleet/lane_thread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "fleet/intake.h"
#include "fleet/parking.h"
#include "fleet/work.h"

enum { IDLE_MS = 1000 };

enum closed_by { CLOSED_SIZE, CLOSED_AGE, CLOSED_STOP };

struct taken {
    size_t count;
    enum closed_by by;
    int64_t opened_wall_ms; /* the first record was there */
};

static bool runs(struct lane *lane)
{
    return atomic_load(&lane->stop) == LANE_RUN;
}

/* --- taking a batch --- */

/* A retry topic's head waits from its append time on; never longer than the tier,
 * whatever the clocks say. Returns false when the lane was told to stop. */
static bool wait_until_due(struct lane *lane, const struct kafka_record *record)
{
    int64_t wait_ms = record->timestamp_ms + lane->tier_ms - now_wall_ms();
    if (wait_ms <= 0) {
        return true;
    }
    lane_waits(lane, LANE_DUE);
    wait_ms = wait_ms > lane->tier_ms ? lane->tier_ms : wait_ms;
    atomic_store(&lane->turned_ms, INT64_MAX);
    bool due = ctx_sleep(lane->intake, now_ms() + wait_ms) == 0;
    lane_turns(lane);
    return due;
}

static bool is_due(const struct lane *lane, const struct kafka_record *record)
{
    return record->timestamp_ms + lane->tier_ms <= now_wall_ms();
}

/* The first record of a batch, in lane->held. */
static bool take_first(struct lane *lane)
{
    while (!lane->held) {
        lane_turns(lane);
        lane_waits(lane, LANE_IDLE);
        int rc = kafka_take(lane->partition, now_ms() + IDLE_MS, &lane->held);
        if (rc && rc != -ETIMEDOUT) {
            return false;
        }
    }
    return lane->tier_ms == 0 || wait_until_due(lane, lane->held);
}

/* Up to batch.size records after the first, which is held, or what came until batch.age.
 * What was parked together with the first comes back together with it, so that what is
 * behind another of its key stays there.
 * None when told to stop; records taken so far are dropped then, uncounted: they will be
 * delivered again. */
static struct taken take_batch(struct lane *lane, const struct config *config,
                               struct kafka_record **records)
{
    struct taken taken = {.opened_wall_ms = now_wall_ms()};
    int64_t until_ms = now_ms() + (lane->tier_ms ? 0 : config->batch.age_ms);
    size_t n = 0;
    size_t bytes = lane->held->value_len;
    records[n++] = lane->held;
    lane->held = NULL;
    atomic_store(&lane->since_ms, now_ms());
    atomic_store(&lane->taken, 1);
    while (n < (size_t)config->batch.size && bytes < LANE_BATCH_BYTES) {
        struct kafka_record *record = NULL;
        if (kafka_take(lane->partition, until_ms, &record)) {
            break;
        }
        if (lane->tier_ms && !is_due(lane, record) &&
            !(record->timestamp_ms - records[0]->timestamp_ms <= LANE_TOGETHER_MS &&
              wait_until_due(lane, record))) {
            lane->held = record;
            break;
        }
        bytes += record->value_len;
        records[n++] = record;
        atomic_store(&lane->taken, (int)n);
    }
    taken.by = n == (size_t)config->batch.size || bytes >= LANE_BATCH_BYTES ? CLOSED_SIZE
                                                                            : CLOSED_AGE;
    if (runs(lane)) {
        taken.count = n;
        return taken;
    }
    metric_inc(lane->fleet->batches[CLOSED_STOP]);
    while (n > 0) {
        kafka_record_free(records[--n]);
    }
    return taken;
}

/* --- opening --- */

static void count_opened(const struct fleet *fleet, const struct batch_of_events *batch)
{
    for (size_t i = 0; i < batch->unit_count; i++) {
        const struct fleet_target *target = batch->units[i].target;
        metric_inc(target ? target->opened : fleet->opened_no_target);
    }
    metric_add(fleet->units_in_flight, (double)batch->unit_count);
}

/* --- settling --- */

static bool is_settled(const struct batch_event *be)
{
    for (size_t i = 0; i < be->unit_count; i++) {
        if (be->units[i].verdict == VERDICT_RETURNED) {
            return false;
        }
    }
    return true;
}

/* Told to stop: what would have to be parked is given back. */
static void return_unparked(struct lane *lane, struct batch_of_events *batch)
{
    for (size_t i = 0; i < batch->unit_count; i++) {
        struct unit *unit = &batch->units[i];
        struct ledger_entry *entry = &unit->entry;
        if (unit->verdict != VERDICT_DEFERRED && unit->verdict != VERDICT_DEAD) {
            continue;
        }
        if (unit->claimed && !unit->keep_claim) {
            ledger_release(lane->fleet->ledger, &entry, 1);
        }
        unit->verdict = VERDICT_RETURNED;
    }
}

/* A twin shares the end of its first also when that was given back after the barrier. */
static void return_twins(struct batch_of_events *batch)
{
    for (size_t i = 0; i < batch->unit_count; i++) {
        struct unit *unit = &batch->units[i];
        for (struct unit *twin = unit->is_twin ? NULL : unit->twin; twin;
             twin = twin->twin) {
            if (unit->verdict == VERDICT_RETURNED) {
                twin->verdict = VERDICT_RETURNED;
            }
        }
    }
}

/* How many events at the front are settled: the offset may pass them. */
static size_t count_settled(const struct batch_of_events *batch)
{
    size_t n = 0;
    while (n < batch->event_count && is_settled(&batch->events[n])) {
        n++;
    }
    return n;
}

static void count_verdicts(struct lane *lane, const struct batch_of_events *batch,
                           int64_t totals[VERDICT_COUNT])
{
    for (size_t i = 0; i < batch->unit_count; i++) {
        const struct unit *unit = &batch->units[i];
        ASSERT(unit->verdict != VERDICT_NONE);
        totals[unit->verdict]++;
        metric_inc(unit->target ? unit->target->verdicts[unit->verdict]
                                : lane->fleet->no_target[unit->verdict]);
    }
    atomic_fetch_add(&lane->returned_units, totals[VERDICT_RETURNED]);
}

static void log_batch(const struct lane *lane, const struct batch_of_events *batch,
                      size_t settled, const int64_t totals[VERDICT_COUNT],
                      int64_t began_ms)
{
    LOG(LOG_INFO, "batch", LS("topic", kafka_partition_topic(lane->partition)),
        LI("partition", kafka_partition_id(lane->partition)),
        LI("offset", batch->events[0].record->offset), LI("events", batch->event_count),
        LI("settled", settled), LI("triggered", totals[VERDICT_TRIGGERED]),
        LI("duplicate", totals[VERDICT_DUPLICATE]),
        LI("skipped", totals[VERDICT_SKIPPED]), LI("deferred", totals[VERDICT_DEFERRED]),
        LI("dead", totals[VERDICT_DEAD]), LI("returned", totals[VERDICT_RETURNED]),
        LI("took_ms", now_ms() - began_ms), LEND);
}

static void settle(struct lane *lane, struct batch_of_events *batch, int64_t began_ms)
{
    const struct fleet *fleet = lane->fleet;
    int64_t totals[VERDICT_COUNT] = {0};
    return_twins(batch);
    size_t settled = count_settled(batch);
    count_verdicts(lane, batch, totals);
    metric_add(lane->events_settled, (double)settled);
    metric_add(lane->events_returned, (double)(batch->event_count - settled));
    metric_add(fleet->events_in_flight, -(double)batch->event_count);
    metric_add(fleet->units_in_flight, -(double)batch->unit_count);
    log_batch(lane, batch, settled, totals, began_ms);
    if (fleet->settled) {
        fleet->settled(fleet->settled_arg, lane, batch);
    }
    if (settled > 0) {
        kafka_done(lane->partition, batch->events[settled - 1].record->offset + 1);
    }
}

static void run_batch(struct lane *lane, const struct plan *plan,
                      struct kafka_record **records, const struct taken *taken)
{
    const struct fleet *fleet = lane->fleet;
    size_t n = taken->count;
    int64_t began_ms = now_ms();
    struct batch_of_events batch;
    metric_add(lane->events_read, (double)n);
    metric_add(fleet->events_in_flight, (double)n);
    metric_observe(fleet->batch_events, (double)n);
    intake_open(lane, plan, lane->partition, records, n, lane->tier_ms == 0, &batch);
    batch.opened_wall_ms = taken->opened_wall_ms;
    batch.began_wall_ms = now_wall_ms();
    batch.closed_by = taken->by == CLOSED_SIZE ? "size" : "age";
    count_opened(fleet, &batch);
    lane_shows(lane, &batch);
    work_run(lane, plan, &batch);
    metric_observe(fleet->barrier_wait, (double)(now_ms() - began_ms) / 1000);
    if (!lane_gives_back(lane)) {
        parking_park(lane, fleet, &batch);
    } else {
        return_unparked(lane, &batch);
    }
    lane_shows(lane, NULL);
    settle(lane, &batch, began_ms);
    intake_close(&batch);
}

/* --- life --- */

/* One batch, if the window is open. */
static void turn(struct lane *lane, const struct plan *plan)
{
    const struct config *config = plan->config;
    lane_waits(lane, LANE_WINDOW);
    if (kafka_await_window(lane->partition, config->batch.window - 1,
                           now_ms() + IDLE_MS)) {
        return;
    }
    struct kafka_record **records =
        mem_array((size_t)config->batch.size, sizeof(struct kafka_record *));
    struct taken taken = take_batch(lane, config, records);
    if (taken.count > 0) {
        metric_inc(lane->fleet->batches[taken.by]);
        atomic_store(&lane->in_batch, true);
        run_batch(lane, plan, records, &taken);
        atomic_store(&lane->in_batch, false);
    }
    free(records);
}

/* The plan is taken once there is something to do: a lane that is idle for long works
 * under the plan of the day its record comes. */
static void *lane_main(void *arg)
{
    struct lane *lane = arg;
    while (runs(lane)) {
        lane_turns(lane);
        if (take_first(lane)) {
            struct plan *plan = plan_take(lane->fleet->plans);
            turn(lane, plan);
            plan_put(plan);
        }
    }
    kafka_record_free(lane->held);
    lane->fleet->rested(lane->fleet->arg, lane);
    return NULL;
}

struct lane *lane_start(const struct fleet *fleet, struct kafka_partition *partition)
{
    struct lane *lane = lane_new(fleet, partition);
    pthread_attr_t attr;
    MUST(pthread_attr_init(&attr));
    MUST(pthread_attr_setstacksize(&attr, LANE_STACK_BYTES));
    MUST(pthread_create(&lane->thread, &attr, lane_main, lane));
    MUST(pthread_attr_destroy(&attr));
    return lane;
}

void lane_free(struct lane *lane)
{
    MUST(pthread_join(lane->thread, NULL));
    lane_delete(lane);
}
