#include "fleet/view.h"

#include <stdio.h>
#include <string.h>

enum { BLOCKED_MS = 1000 }; /* commits are awaited for a moment after every batch */

const char *view_state_name(enum view_state state)
{
    static const char *const names[] = {"idle",    "filling", "claiming", "asking",
                                        "limited", "firing",  "barrier",  "parking",
                                        "due",     "blocked"};
    ASSERT((size_t)state < sizeof names / sizeof names[0]);
    return names[state];
}

/* --- a lane --- */

/* Units by what they do; all of a batch, or those of one target. */
struct tally {
    int ended;
    int out;     /* called, or its end is being recorded */
    int grant;   /* wants a slot, or a retry's time to come */
    int claim;   /* wants a claim */
    int blocked; /* behind another */
    int asking;  /* its gate has it */
};

static void count_unit(struct tally *tally, const struct unit *unit)
{
    switch ((enum unit_state)atomic_load(&unit->state)) {
    case UNIT_CLAIM:
        tally->claim++;
        break;
    case UNIT_BLOCKED:
        tally->blocked++;
        break;
    case UNIT_GRANT:
        tally->grant++;
        break;
    case UNIT_ASKING:
        tally->asking++;
        break;
    case UNIT_OUT:
    case UNIT_RECORDING:
        tally->out++;
        break;
    case UNIT_ENDED:
        tally->ended++;
        break;
    }
}

static enum view_state state_in_batch(const struct tally *tally, enum lane_wait wait,
                                      bool redis_answers)
{
    if (wait == LANE_PARKING) {
        return VIEW_PARKING;
    }
    if (!redis_answers && wait == LANE_REDIS) {
        return VIEW_BLOCKED;
    }
    if (tally->out == 0 && tally->claim > 0) {
        return VIEW_CLAIMING;
    }
    if (tally->out == 0 && tally->asking > 0) {
        return VIEW_ASKING;
    }
    if (tally->out == 0 && wait == LANE_GRANT) {
        return VIEW_LIMITED;
    }
    return tally->grant + tally->claim + tally->asking > 0 || tally->ended == 0
               ? VIEW_FIRING
               : VIEW_BARRIER;
}

static enum view_state state_between(const struct view_lane *out, enum lane_wait wait)
{
    if (wait == LANE_DUE) {
        return VIEW_DUE;
    }
    if (wait == LANE_WINDOW && out->for_ms > BLOCKED_MS) {
        return VIEW_BLOCKED;
    }
    return out->events > 0 ? VIEW_FILLING : VIEW_IDLE;
}

static struct view_waiting *waiting_of(struct view_lane *out, const char *target)
{
    for (size_t i = 0; i < out->waiting_count; i++) {
        if (strcmp(out->waiting[i].target, target) == 0) {
            return &out->waiting[i];
        }
    }
    if (out->waiting_count == VIEW_WAITING_MAX) {
        return NULL;
    }
    struct view_waiting *waiting = &out->waiting[out->waiting_count++];
    *waiting = (struct view_waiting){.units = 0};
    snprintf(waiting->target, sizeof waiting->target, "%s", target);
    return waiting;
}

static void count_waiting(struct view_lane *out, const struct unit *unit, int64_t now)
{
    enum unit_state state = (enum unit_state)atomic_load(&unit->state);
    struct view_waiting *waiting = NULL;
    if (state != UNIT_ENDED && unit->target) {
        waiting = waiting_of(out, unit->target->config->name);
    }
    if (!waiting) {
        return;
    }
    waiting->units++;
    int64_t wire_ms = state == UNIT_OUT ? atomic_load(&unit->wire_ms) : 0;
    if (wire_ms > 0 && now - wire_ms > waiting->oldest_ms) {
        waiting->oldest_ms = now - wire_ms;
    }
}

static void sort_waiting(struct view_lane *out)
{
    for (size_t i = 1; i < out->waiting_count; i++) {
        for (size_t k = i; k > 0 && out->waiting[k].units > out->waiting[k - 1].units;
             k--) {
            struct view_waiting other = out->waiting[k];
            out->waiting[k] = out->waiting[k - 1];
            out->waiting[k - 1] = other;
        }
    }
}

/* Returns false when there is no batch to look at. */
static bool look_at_batch(struct lane *lane, int64_t now, struct view_lane *out,
                          struct tally *tally)
{
    MUST(pthread_mutex_lock(&lane->look));
    const struct batch_of_events *batch = lane->batch;
    if (batch) {
        out->events = (int)batch->event_count;
        out->units = (int)batch->unit_count;
        for (size_t i = 0; i < batch->unit_count; i++) {
            count_unit(tally, &batch->units[i]);
            count_waiting(out, &batch->units[i], now);
        }
    }
    MUST(pthread_mutex_unlock(&lane->look));
    return batch != NULL;
}

void view_lane(struct lane *lane, bool redis_answers, int64_t now, struct view_lane *out)
{
    struct tally tally = {0};
    enum lane_wait wait = (enum lane_wait)atomic_load(&lane->wait);
    *out = (struct view_lane){.partition = kafka_partition_id(lane->partition),
                              .source = lane->tier_ms == 0};
    snprintf(out->topic, sizeof out->topic, "%s", kafka_partition_topic(lane->partition));
    kafka_partition_lag(lane->partition, &out->lag);
    int64_t for_ms = now - atomic_load(&lane->since_ms);
    out->for_ms = for_ms > 0 ? for_ms : 0;
    if (look_at_batch(lane, now, out, &tally)) {
        out->ended = tally.ended;
        out->state = state_in_batch(&tally, wait, redis_answers);
        sort_waiting(out);
    } else {
        out->events = atomic_load(&lane->taken);
        out->state = state_between(out, wait);
    }
}

/* --- targets and limits --- */

void view_spread(const struct metric *histogram, struct view_spread *out)
{
    const double *bounds;
    out->bound_count = metric_buckets(histogram, &bounds, out->counts);
    memcpy(out->bounds_s, bounds, out->bound_count * sizeof *bounds);
}

static void put_held(const struct fleet *fleet, struct view_target *out)
{
    struct metric_reading held[VIEW_HELD_MAX];
    out->held_count = metrics_read(fleet->held, out->name, held, VIEW_HELD_MAX);
    for (size_t i = 0; i < out->held_count; i++) {
        out->held[i] = (struct view_held){held[i].label, (uint64_t)held[i].value};
    }
}

void view_target(const struct fleet *fleet, const struct fleet_target *target,
                 int64_t now, struct view_target *out)
{
    const struct config_target *config = target->config;
    struct downstream *downstream = target->downstream;
    int64_t silent_ms = atomic_load(&downstream->silent_until_ms) - now;
    *out = (struct view_target){.kind = target_kind(config->target)->name,
                                .open_ms = breaker_left_ms(&downstream->breaker, now),
                                .silent_ms = silent_ms > 0 ? silent_ms : 0,
                                .in_flight = atomic_load(&downstream->room.out),
                                .triggered = (uint64_t)metric_value(
                                    target->verdicts[VERDICT_TRIGGERED]),
                                .limit_count = config->limit_count};
    snprintf(out->name, sizeof out->name, "%s", config->name);
    memcpy(out->limits, config->limits, sizeof out->limits);
    put_held(fleet, out);
    view_spread(target->duration, &out->took);
    for (size_t i = 0; i <= out->took.bound_count; i++) {
        out->calls += out->took.counts[i];
    }
    uint64_t answered = 0;
    for (size_t c = 1; c < sizeof out->codes / sizeof out->codes[0]; c++) {
        out->codes[c] = (uint64_t)metric_value(target->codes[c]);
        answered += out->codes[c];
    }
    /* what has no code is counted by its reason; a call may be between the two counters
     */
    out->codes[0] = out->calls > answered ? out->calls - answered : 0;
}

void view_limit(const struct fleet *fleet, const struct config_limit *limit,
                struct view_limit *out)
{
    *out = (struct view_limit){.rate_per_s = limit->rate_per_s, .burst = limit->burst};
    snprintf(out->name, sizeof out->name, "%s", limit->name);
    const struct metric *waited;
    const struct metric *tokens;
    limiter_measures(fleet->limiter, limit->name, &waited, &tokens);
    if (!waited) {
        return;
    }
    view_spread(waited, &out->waited);
    for (size_t i = 0; i <= out->waited.bound_count; i++) {
        out->seen = out->seen || out->waited.counts[i] > 0;
    }
    out->tokens = metric_value(tokens);
}
