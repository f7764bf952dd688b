/* Design. The worker owns lanes, not their work. Kafka's poll thread calls the four
 * functions below: a lane is made at an assign; at a revoke lanes are told to stop,
 * waited for, and let go. A lane that still has a call open when the drain is over lives
 * on as an orphan: its queue is gone, its commits are ignored, it renews and records, and
 * is joined when it has ended.
 *
 * Lock order: the worker's lock is a leaf except that lane_stop and view_lane may be
 * called under it.
 */
#include "fleet/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cgroup.h"
#include "base/command.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "fleet/lane_thread.h"
#include "fleet/memory.h"
#include "worker_inside.h"

enum {
    STEP_MS = 10,
    ABORTED_MS = 5000,  /* for aborted calls to end and their releases to go out */
    RETENTION_MS = 500, /* for a warning: the start does not wait longer for it */
    REDIS_LAST_MS = 1000,
    PRODUCER_LAST_MS = 1000,
};

/* --- lanes, as Kafka's poll thread wants them --- */

static void on_rested(void *arg, struct lane *lane)
{
    struct worker *w = arg;
    MUST(pthread_mutex_lock(&w->mu));
    lane->rested = true;
    MUST(pthread_cond_broadcast(&w->rested));
    MUST(pthread_mutex_unlock(&w->mu));
}

static void on_assigned(void *arg, struct kafka_partition *partition)
{
    struct worker *w = arg;
    MUST(pthread_mutex_lock(&w->mu));
    bool stopping = w->stopping;
    MUST(pthread_mutex_unlock(&w->mu));
    if (stopping) {
        return;
    }
    struct lane *lane = lane_start(&w->fleet, partition);
    MUST(pthread_mutex_lock(&w->mu));
    lane->next = w->lanes;
    w->lanes = lane;
    if (w->stopping) {
        lane_stop(lane, LANE_NO_STARTS);
    }
    MUST(pthread_mutex_unlock(&w->mu));
}

static void stop_lanes_locked(struct lane *lanes, enum lane_stop how)
{
    for (struct lane *lane = lanes; lane; lane = lane->next) {
        lane_stop(lane, how);
    }
}

static void on_revoking(void *arg, bool lost)
{
    (void)lost; /* the same: what was sent ends, the rest is given back; only the commit
                   differs */
    struct worker *w = arg;
    MUST(pthread_mutex_lock(&w->mu));
    stop_lanes_locked(w->lanes, LANE_NO_STARTS);
    MUST(pthread_mutex_unlock(&w->mu));
}

static bool all_rested_locked(const struct lane *lanes)
{
    for (const struct lane *lane = lanes; lane; lane = lane->next) {
        if (!lane->rested) {
            return false;
        }
    }
    return true;
}

/* Wait for a lane to rest, or until then. Returns false at until_ms. */
static bool wait_locked(struct worker *w, int64_t until_ms)
{
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                             .tv_nsec = (long)(until_ms % 1000) * 1000000};
    return pthread_cond_timedwait(&w->rested, &w->mu, &until) == 0;
}

static void on_drain(void *arg, int64_t until_ms)
{
    struct worker *w = arg;
    MUST(pthread_mutex_lock(&w->mu));
    while (!all_rested_locked(w->lanes) && wait_locked(w, until_ms)) {
    }
    MUST(pthread_mutex_unlock(&w->mu));
}

/* Take those that have rested out of a list. */
static struct lane *take_rested_locked(struct lane **list)
{
    struct lane *rested = NULL;
    while (*list) {
        struct lane *lane = *list;
        if (lane->rested) {
            *list = lane->next;
            lane->next = rested;
            rested = lane;
        } else {
            list = &lane->next;
        }
    }
    return rested;
}

static void free_lanes(struct worker *w, struct lane *rested)
{
    int64_t returned = 0;
    while (rested) {
        struct lane *next = rested->next;
        returned += atomic_load(&rested->returned_units);
        lane_free(rested);
        rested = next;
    }
    MUST(pthread_mutex_lock(&w->mu));
    w->returned += returned;
    MUST(pthread_mutex_unlock(&w->mu));
}

static bool any_taking_locked(const struct lane *lanes)
{
    for (const struct lane *lane = lanes; lane; lane = lane->next) {
        if (!lane->rested && !atomic_load(&lane->in_batch)) {
            return true;
        }
    }
    return false;
}

static void on_revoked(void *arg)
{
    struct worker *w = arg;
    MUST(pthread_mutex_lock(&w->mu));
    stop_lanes_locked(w->lanes, LANE_NO_STARTS);
    /* A lane that was taking records leaves its queue at once, for it was woken. */
    while (any_taking_locked(w->lanes)) {
        wait_locked(w, now_ms() + STEP_MS);
    }
    struct lane *rested = take_rested_locked(&w->lanes);
    while (w->lanes) {
        struct lane *lane = w->lanes;
        w->lanes = lane->next;
        lane->next = w->orphans;
        w->orphans = lane;
        LOG(LOG_WARN,
            "a call is still open after the revoke, it ends without the partition",
            LI("partition", kafka_partition_id(lane->partition)), LEND);
    }
    MUST(pthread_mutex_unlock(&w->mu));
    free_lanes(w, rested);
}

static void reap_orphans(struct worker *w)
{
    MUST(pthread_mutex_lock(&w->mu));
    struct lane *rested = take_rested_locked(&w->orphans);
    MUST(pthread_mutex_unlock(&w->mu));
    free_lanes(w, rested);
}

/* --- start --- */

struct worker *worker_new(struct config *config, struct metrics *metrics, struct err *err)
{
    struct worker *w = mem_zalloc(sizeof *w);
    w->config = config;
    pthread_condattr_t attr;
    MUST(pthread_condattr_init(&attr));
    MUST(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
    MUST(pthread_cond_init(&w->rested, &attr));
    MUST(pthread_condattr_destroy(&attr));
    MUST(pthread_mutex_init(&w->mu, NULL));
    w->admin = kafka_admin_open(config->kafka.brokers, config->kafka.properties,
                                config->kafka.property_count, err);
    if (!w->admin || fleet_init(&w->fleet, config, metrics, err)) {
        kafka_admin_close(w->admin);
        MUST(pthread_cond_destroy(&w->rested));
        MUST(pthread_mutex_destroy(&w->mu));
        free(w);
        return NULL;
    }
    w->fleet.rested = on_rested;
    w->fleet.arg = w;
    return w;
}

void worker_observe(struct worker *w, fleet_settled_fn *settled, void *arg)
{
    w->fleet.settled = settled;
    w->fleet.settled_arg = arg;
}

void worker_set_gate(struct worker *w, const struct gate *gate)
{
    w->fleet.gate = gate;
}

/* A done mark that ends before its event does lets an old event trigger again. */
static void warn_retention(struct worker *w, int64_t until_ms)
{
    char text[32];
    int64_t retention_ms;
    if (kafka_topic_config(w->admin, w->config->kafka.topic, "retention.ms", until_ms,
                           text, sizeof text, NULL) ||
        text_parse_int(text, 0, INT64_MAX, &retention_ms)) {
        return; /* unlimited, not permitted or not known: nothing to compare */
    }
    if (retention_ms > w->config->done_ttl_ms) {
        LOG(LOG_WARN,
            "ledger.done_ttl is shorter than the topic's retention: an event replayed "
            "from before it "
            "would trigger again",
            LI("done_ttl_ms", w->config->done_ttl_ms), LI("retention_ms", retention_ms),
            LEND);
    }
}

int worker_find_topics(struct worker *w, int64_t until_ms, struct err *err)
{
    int rc = topics_ready(w->config, w->admin, until_ms, &w->topics, err);
    if (rc == 0) {
        MUST(pthread_mutex_lock(&w->mu));
        w->partitions = w->topics.partitions;
        MUST(pthread_mutex_unlock(&w->mu));
        warn_retention(w, now_ms() + RETENTION_MS);
        kafka_admin_close(w->admin);
        w->admin = NULL;
    }
    return rc;
}

void worker_memory(const struct worker *w, uint64_t *bound, uint64_t *limit)
{
    struct plan *plan = plan_take(w->fleet.plans);
    *bound = memory_bound(plan->config, w->topics.partitions);
    *limit = cgroup_memory_limit("/proc/self/cgroup", "/sys/fs/cgroup");
    plan_put(plan);
}

int worker_reload(struct worker *w, struct config *config, struct err *err)
{
    uint64_t bound = memory_bound(config, w->topics.partitions);
    uint64_t limit = cgroup_memory_limit("/proc/self/cgroup", "/sys/fs/cgroup");
    if (limit && bound > limit) {
        return err_set(err, -EINVAL,
                       "it may need %llu MiB, the memory limit is %llu MiB; lower "
                       "batch.size",
                       (unsigned long long)(bound >> 20),
                       (unsigned long long)(limit >> 20));
    }
    plans_change(w->fleet.plans, config);
    return 0;
}

void worker_pause(struct worker *w, const char *const *names, size_t n)
{
    plans_pause(w->fleet.plans, names, n);
}

int worker_join(struct worker *w, struct err *err)
{
    MUST(pthread_mutex_lock(&w->mu));
    w->stopping = false; /* before the first partition comes */
    MUST(pthread_mutex_unlock(&w->mu));
    const struct config *c = w->config;
    struct kafka_options options = {
        .brokers = c->kafka.brokers,
        .group = c->kafka.group,
        .client_id = c->kafka.client_id,
        .topics = (const char *const *)w->topics.names,
        .topic_count = w->topics.count,
        .source_count = 1,
        .start_earliest = c->kafka.start_earliest,
        .on_gap = c->kafka.on_gap,
        .prefetch_bytes = c->kafka.prefetch_bytes,
        .partition_count = w->topics.partitions,
        .revoke_drain_ms = c->revoke_drain_ms,
        .properties = c->kafka.properties,
        .property_count = c->kafka.property_count,
        .metrics = w->fleet.metrics,
        .assigned = on_assigned,
        .revoking = on_revoking,
        .drain = on_drain,
        .revoked = on_revoked,
        .arg = w,
    };
    struct kafka_consumer *consumer = kafka_consumer_start(&options, err);
    MUST(pthread_mutex_lock(&w->mu));
    w->consumer = consumer; /* others look at it under the lock */
    MUST(pthread_mutex_unlock(&w->mu));
    return consumer ? 0 : -EINVAL;
}

/* --- while it runs --- */

static int check_redis(struct worker *w, struct err *err)
{
    char policy[64];
    if (w->redis_checked) {
        return 0;
    }
    if (redis_is_refused(w->fleet.redis)) {
        char why[ERR_TEXT_MAX];
        redis_last_error(w->fleet.redis, why, sizeof why);
        err_set(err, -EACCES, "Redis cannot be used: %s", why);
        return EXIT_REFUSED;
    }
    redis_eviction_policy(w->fleet.redis, policy, sizeof policy);
    if (policy[0] && strcmp(policy, "noeviction") != 0 &&
        !w->config->redis.allow_eviction) {
        err_set(
            err, -EINVAL,
            "Redis may evict keys (maxmemory-policy %s): an evicted mark is a second "
            "deploy; set "
            "maxmemory-policy noeviction, or redis.allow_eviction: true to accept that",
            policy);
        return EXIT_CONFIG;
    }
    w->redis_checked = redis_is_connected(w->fleet.redis);
    return 0;
}

int worker_check(struct worker *w, struct err *err)
{
    char why[256];
    reap_orphans(w);
    if (w->consumer) {
        kafka_consumer_reason(w->consumer, why, sizeof why);
        switch (kafka_consumer_state(w->consumer)) {
        case KAFKA_FENCED:
            err_set(err, -EPIPE, "the group put this worker out: %s", why);
            return EXIT_FENCED;
        case KAFKA_REFUSED:
            err_set(err, -EACCES, "Kafka refuses us: %s", why);
            return EXIT_REFUSED;
        case KAFKA_NO_TOPIC:
            err_set(err, -ENOENT, "%s; create it with: sluice-producer topics ensure",
                    why);
            return EXIT_CONFIG;
        case KAFKA_JOINING:
        case KAFKA_RUNNING:
            break;
        }
    }
    return check_redis(w, err);
}

struct redis *worker_redis(struct worker *w)
{
    return w->fleet.redis;
}

void worker_on_release(struct worker *w, void (*fn)(void *arg), void *arg)
{
    w->releasing = fn;
    w->releasing_arg = arg;
}

/* --- stop --- */

static bool drain_lanes(struct worker *w, enum lane_stop how, int64_t until_ms)
{
    MUST(pthread_mutex_lock(&w->mu));
    w->stopping = true;
    stop_lanes_locked(w->lanes, how);
    stop_lanes_locked(w->orphans, how);
    while (!(all_rested_locked(w->lanes) && all_rested_locked(w->orphans)) &&
           wait_locked(w, until_ms)) {
    }
    bool all = all_rested_locked(w->lanes) && all_rested_locked(w->orphans);
    MUST(pthread_mutex_unlock(&w->mu));
    return all;
}

/* Everything that was read is settled or returned, every unit has a verdict. */
static bool books_balance(const struct worker *w)
{
    const struct fleet *f = &w->fleet;
    return metric_value(f->events_in_flight) == 0 &&
           metric_value(f->units_in_flight) == 0;
}

/* What is with the group ends; the connections stay. all: out, every lane has ended.
 * Returns 0, or 75 when the last commit was not confirmed. */
static int leave(struct worker *w, int64_t drain_ms, bool *all)
{
    int code = 0;
    MUST(pthread_mutex_lock(&w->mu));
    w->returned = 0; /* what rebalances gave back earlier was taken up long ago */
    MUST(pthread_mutex_unlock(&w->mu));
    *all = drain_lanes(w, LANE_NO_STARTS, now_ms() + drain_ms);
    if (!*all) {
        LOG(LOG_WARN, "calls are still open after stop.drain, ending them", LEND);
        *all = drain_lanes(w, LANE_ABORT, now_ms() + ABORTED_MS);
    }
    if (w->consumer && kafka_consumer_stop(w->consumer)) {
        LOG(LOG_WARN,
            "the last commit was not confirmed, its events will be delivered again",
            LEND);
        code = EXIT_AGAIN;
    }
    MUST(pthread_mutex_lock(&w->mu));
    w->consumer = NULL;
    MUST(pthread_mutex_unlock(&w->mu));
    return code;
}

void worker_drain(struct worker *w)
{
    MUST(pthread_mutex_lock(&w->mu));
    w->stopping = true;
    stop_lanes_locked(w->lanes, LANE_LAST);
    MUST(pthread_mutex_unlock(&w->mu));
}

bool worker_rests(struct worker *w)
{
    MUST(pthread_mutex_lock(&w->mu));
    bool all = all_rested_locked(w->lanes) && all_rested_locked(w->orphans);
    MUST(pthread_mutex_unlock(&w->mu));
    return all;
}

int worker_leave(struct worker *w, int64_t drain_ms)
{
    bool all;
    int code = leave(w, drain_ms, &all);
    reap_orphans(w); /* one that has not ended is looked after as before */
    return w->returned > 0 ? EXIT_AGAIN : code;
}

int worker_stop(struct worker *w, int64_t drain_ms)
{
    bool rested;
    int code = leave(w, drain_ms, &rested);
    if (w->releasing) {
        w->releasing(w->releasing_arg);
    }
    if (!rested) {
        LOG(LOG_ERROR, "lanes do not end", LEND);
        return EXIT_BUG; /* the process ends with what it has; nothing was committed past
                          * them
                          */
    }
    reap_orphans(w);
    if (w->returned > 0) {
        code = EXIT_AGAIN;
    }
    if (!books_balance(w)) {
        LOG(LOG_ERROR, "the books do not balance", LEND);
        code = EXIT_BUG;
    }
    kafka_admin_close(w->admin);
    fleet_release(&w->fleet, now_ms() + REDIS_LAST_MS,
                  now_ms() + REDIS_LAST_MS + PRODUCER_LAST_MS);
    topics_release(&w->topics);
    MUST(pthread_cond_destroy(&w->rested));
    MUST(pthread_mutex_destroy(&w->mu));
    free(w);
    return code;
}
