#include "fleet/lane.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"

const char *lane_wait_name(enum lane_wait wait)
{
    static const char *const names[LANE_WAITS] = {"idle",  "due",    "window",
                                                  "redis", "claim",  "gate",
                                                  "grant", "target", "parking"};
    ASSERT(wait >= LANE_IDLE && wait < LANE_WAITS);
    return names[wait];
}

void lane_turns(struct lane *lane)
{
    atomic_store(&lane->turned_ms, now_ms());
}

void lane_waits(struct lane *lane, enum lane_wait wait)
{
    bool in_batch = atomic_load(&lane->in_batch);
    if (atomic_exchange(&lane->wait, (int)wait) != (int)wait && !in_batch) {
        atomic_store(&lane->since_ms, now_ms());
    }
}

void lane_shows(struct lane *lane, const struct batch_of_events *batch)
{
    MUST(pthread_mutex_lock(&lane->look));
    lane->batch = batch;
    MUST(pthread_mutex_unlock(&lane->look));
    atomic_store(&lane->taken, 0);
    atomic_store(&lane->since_ms, now_ms());
}

void lane_post(struct lane *lane, struct unit *unit)
{
    MUST(pthread_mutex_lock(&lane->mu));
    unit->inbox_next = lane->inbox;
    lane->inbox = unit;
    waitgroup_nudge(
        &lane->wg); /* under the lock: whoever takes the unit may end the lane */
    MUST(pthread_mutex_unlock(&lane->mu));
}

struct unit *lane_take_posted(struct lane *lane)
{
    MUST(pthread_mutex_lock(&lane->mu));
    struct unit *newest = lane->inbox;
    lane->inbox = NULL;
    MUST(pthread_mutex_unlock(&lane->mu));
    struct unit *oldest = NULL;
    while (newest) {
        struct unit *next = newest->inbox_next;
        newest->inbox_next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

void lane_stop(struct lane *lane, enum lane_stop how)
{
    int old = atomic_load(&lane->stop);
    while (old < (int)how && !atomic_compare_exchange_weak(&lane->stop, &old, (int)how)) {
    }
    ctx_cancel(lane->intake);
    kafka_partition_wake(lane->partition);
    waitgroup_nudge(&lane->wg);
}

bool lane_gives_back(const struct lane *lane)
{
    return atomic_load(&lane->stop) >= LANE_NO_STARTS;
}

/* --- life --- */

/* "<topic>.<group>.retry.30s" waits 30 s, also when that tier is not configured any more.
 */
static int64_t tier_of(const struct kafka_partition *partition)
{
    int64_t ms = 0;
    const char *dot = strrchr(kafka_partition_topic(partition), '.');
    if (kafka_partition_is_source(partition) || !dot ||
        now_parse_duration(dot + 1, &ms)) {
        return 0;
    }
    return ms > 0 ? ms : 1;
}

struct lane *lane_new(const struct fleet *fleet, struct kafka_partition *partition)
{
    struct lane *lane = mem_zalloc(sizeof *lane);
    const char *topic = kafka_partition_topic(partition);
    char number[16];
    snprintf(number, sizeof number, "%d", kafka_partition_id(partition));
    lane->fleet = fleet;
    lane->partition = partition;
    kafka_partition_hold(partition);
    lane->tier_ms = tier_of(partition);
    lane->events_read = metrics_series(fleet->events_read, topic, number, NULL, NULL);
    lane->events_settled =
        metrics_series(fleet->events_settled, topic, number, NULL, NULL);
    lane->events_returned =
        metrics_series(fleet->events_returned, topic, number, NULL, NULL);
    lane->intake = ctx_new(NULL, NOW_FOREVER);
    waitgroup_init(&lane->wg);
    MUST(pthread_mutex_init(&lane->mu, NULL));
    MUST(pthread_mutex_init(&lane->look, NULL));
    atomic_store(&lane->since_ms, now_ms());
    lane_turns(lane);
    return lane;
}

void lane_delete(struct lane *lane)
{
    kafka_partition_drop(lane->partition);
    ctx_free(lane->intake);
    waitgroup_release(&lane->wg);
    MUST(pthread_mutex_destroy(&lane->mu));
    MUST(pthread_mutex_destroy(&lane->look));
    free(lane);
}
