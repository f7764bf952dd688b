/* What there is to see of a worker: its status for those who watch it, its view for
 * operators. */
#include "worker_inside.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/now.h"

enum { POLL_AGE_MAX_MS = 30000 /* drains included */ };

static void suspect(struct worker_status *status, const char *part, int64_t ms)
{
    if (ms > status->stuck_ms) {
        status->stuck_ms = ms;
        status->stuck = part;
    }
}

/* A lane comes by every second; a turn may hold one round trip to Redis for each of
 * claims, grants and renewals. */
static void look_at_lane(const struct worker *w, struct worker_status *status,
                         const struct lane *lane, int64_t now)
{
    int64_t redis_ms = 3 * w->config->redis.timeout_ms;
    suspect(status, "a lane does not turn",
            now - atomic_load(&lane->turned_ms) - redis_ms);
    suspect(status, "a call does not come back", atomic_load(&lane->late_ms));
}

void worker_status(struct worker *w, struct worker_status *status)
{
    *status = (struct worker_status){.poll_age_ms = -1};
    if (w->consumer) {
        status->kafka = kafka_consumer_state(w->consumer);
        kafka_consumer_reason(w->consumer, status->kafka_reason,
                              sizeof status->kafka_reason);
        status->poll_age_ms = kafka_consumer_poll_age_ms(w->consumer);
        status->assigned = kafka_consumer_assigned(w->consumer);
        status->lag_events = kafka_consumer_lag(w->consumer);
        /* inside a revoke it waits for calls that are open */
        suspect(status, "the poll loop does not turn",
                status->poll_age_ms - w->config->revoke_drain_ms);
    }
    status->redis_connected = redis_is_connected(w->fleet.redis);
    redis_last_error(w->fleet.redis, status->redis_reason, sizeof status->redis_reason);
    int64_t now = now_ms();
    MUST(pthread_mutex_lock(&w->mu));
    for (const struct lane *lane = w->lanes; lane; lane = lane->next) {
        status->lanes++;
        status->waits[atomic_load(&lane->wait)]++;
        look_at_lane(w, status, lane, now);
    }
    for (const struct lane *lane = w->orphans; lane; lane = lane->next) {
        status->orphans++;
        look_at_lane(w, status, lane, now);
    }
    MUST(pthread_mutex_unlock(&w->mu));
}

bool worker_turns(const struct worker_status *status)
{
    return status->poll_age_ms < POLL_AGE_MAX_MS;
}

/* --- for those who look --- */

static void view_lanes(struct worker *w, struct worker_view *view, int64_t now)
{
    MUST(pthread_mutex_lock(&w->mu));
    view->stopping = w->stopping;
    view->partitions = w->partitions;
    view->kafka =
        w->consumer && !w->stopping ? kafka_consumer_state(w->consumer) : KAFKA_JOINING;
    size_t n = 0;
    for (const struct lane *lane = w->lanes; lane; lane = lane->next) {
        n++;
    }
    view->lanes = mem_array(n, sizeof *view->lanes);
    for (struct lane *lane = w->lanes; lane; lane = lane->next) {
        view_lane(lane, view->redis_answers, now, &view->lanes[view->lane_count++]);
    }
    MUST(pthread_mutex_unlock(&w->mu));
}

void worker_view(struct worker *w, struct worker_view *view)
{
    const struct fleet *f = &w->fleet;
    int64_t now = now_ms();
    *view = (struct worker_view){.redis_answers = redis_is_connected(f->redis)};
    view_lanes(w, view, now);
    struct plan *plan = plan_take(f->plans);
    const struct config *c = plan->config;
    view->batch_size = c->batch.size;
    view->targets = mem_array(plan->target_count, sizeof *view->targets);
    for (size_t i = 0; i < plan->target_count; i++) {
        view_target(f, &plan->targets[i], now, &view->targets[view->target_count++]);
    }
    view->limits = mem_array(c->limit_count, sizeof *view->limits);
    for (size_t i = 0; i < c->limit_count; i++) {
        view_limit(f, &c->limits[i], &view->limits[view->limit_count++]);
    }
    plan_put(plan);
    view_spread(f->latency, &view->latency);
}

void worker_view_release(struct worker_view *view)
{
    free(view->lanes);
    free(view->targets);
    free(view->limits);
}
