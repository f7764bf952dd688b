/* Design. One lock guards which plan is the present one and who uses what; nothing else
 * happens under it. The present plan has one user that is nobody: being present. */
#include "fleet/plan.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/now.h"
#include "fleet/fleet.h"
#include "fleet/intake.h"

enum {
    LEASE_MARGIN_MS =
        5000, /* a process may stall that long between "sent" and "recorded" */
};

struct plans {
    const struct fleet *fleet; /* read-only */
    pthread_mutex_t mu;
    /* guarded by mu */
    struct plan *present;
    char **paused; /* names of targets, also of such as are not there */
    size_t paused_count;
};

/* --- what plans share --- */

/* No target may hold more than half of all calls, whatever it says itself. */
static int width_of(const struct fleet *f, const struct config_target *target)
{
    int most = f->config->in_flight > 1 ? f->config->in_flight / 2 : 1;
    int asked = target->concurrency;
    return asked > 0 && asked < most ? asked : most;
}

static struct downstream *downstream_new(const struct fleet *f,
                                         const struct config_target *target)
{
    struct downstream *d = mem_zalloc(sizeof *d);
    int width = width_of(f, target);
    d->pool = http_pool_new(f->http, target->name, width, target->public_only);
    d->public_only = target->public_only;
    room_init(&d->room, width);
    breaker_init(&d->breaker);
    return d;
}

static void downstream_free(struct downstream *d)
{
    http_pool_free(d->pool);
    breaker_release(&d->breaker);
    room_release(&d->room);
    free(d);
}

/* Another address: what the one before did says nothing of it. */
static void forget(struct downstream *d)
{
    breaker_report(&d->breaker, false, now_ms());
    atomic_store(&d->silent_until_ms, 0);
}

static struct fleet_target *find(const struct plan *plan, const char *name)
{
    for (size_t i = 0; plan && i < plan->target_count; i++) {
        if (strcmp(plan->targets[i].config->name, name) == 0) {
            return &plan->targets[i];
        }
    }
    return NULL;
}

static struct downstream *share_downstream(const struct plan *plan,
                                           const struct plan *old,
                                           const struct fleet_target *was,
                                           const struct config_target *target)
{
    const struct fleet *f = plan->plans->fleet;
    if (!was || was->downstream->public_only != target->public_only) {
        return downstream_new(f, target);
    }
    if (was->downstream->room.width != width_of(f, target)) {
        struct downstream *d = downstream_new(f, target);
        atomic_store(&d->silent_until_ms, atomic_load(&was->downstream->silent_until_ms));
        return d; /* calls that are out end in the room they are in */
    }
    if (!config_same(old->config, plan->config, "targets.*.url", target->name)) {
        forget(was->downstream);
    }
    return was->downstream;
}

/* --- limits --- */

static bool is_shared(const struct config *c, int limit)
{
    int users = 0;
    for (size_t t = 0; t < c->target_count; t++) {
        for (size_t i = 0; i < c->targets[t].limit_count; i++) {
            users += c->targets[t].limits[i] == limit;
        }
    }
    return users > 1;
}

static size_t buckets_of(const struct config *c, const struct config_target *target,
                         struct limiter_bucket buckets[TARGET_LIMITS_MAX])
{
    for (size_t i = 0; i < target->limit_count; i++) {
        const struct config_limit *limit = &c->limits[target->limits[i]];
        buckets[i] = (struct limiter_bucket){limit->name, limit->rate_per_s, limit->burst,
                                             is_shared(c, target->limits[i])};
    }
    return target->limit_count;
}

/* A set that did not change goes on: it knows when it was last granted something. */
static struct limiter_set *share_limits(const struct plan *plan,
                                        const struct fleet_target *was,
                                        const struct config_target *target)
{
    struct limiter *limiter = plan->plans->fleet->limiter;
    struct limiter_bucket buckets[TARGET_LIMITS_MAX];
    size_t n = buckets_of(plan->config, target, buckets);
    struct limiter_set *set = was && limiter_set_is(was->limits, buckets, n)
                                  ? limiter_set_hold(was->limits)
                                  : limiter_set_new(limiter, target->name, buckets, n);
    limiter_set_version(set, (double)plan->config->loaded_wall_ms);
    return set;
}

/* A slot further away than the patience for retries, and than two turns of the slowest
 * bucket, is not waited for in the lane: the target asked for silence. */
static int64_t grant_patience(const struct config *c, const struct config_target *target)
{
    int64_t patience_ms = target->retry_hold_ms;
    for (size_t i = 0; i < target->limit_count; i++) {
        double turn_ms = 2000 / c->limits[target->limits[i]].rate_per_s;
        patience_ms = turn_ms > (double)patience_ms ? (int64_t)turn_ms : patience_ms;
    }
    return patience_ms + LIMITER_AHEAD_MS;
}

/* --- counters --- */

/* At 0, so that a first error is visible to rate(). */
static void make_counters(const struct fleet *f, struct fleet_target *t)
{
    static const char *const codes[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    static const char *const errors[] = {"timeout", "resolve", "connect", "tls", "reset"};
    const char *name = t->config->name;
    t->opened = metrics_series(f->units_opened, name, NULL, NULL, NULL);
    for (int v = VERDICT_TRIGGERED; v < VERDICT_COUNT; v++) {
        t->verdicts[v] = metrics_series(f->units, name, verdict_name(v), NULL, NULL);
    }
    t->duration = metrics_series(f->durations, name, NULL, NULL, NULL);
    t->breaker_open = metrics_series(f->circuit_open, name, NULL, NULL, NULL);
    t->paused = metrics_series(f->paused, name, NULL, NULL, NULL);
    metrics_series(f->held, name, PARK_PAUSED, NULL, NULL);
    for (size_t c = 1; c < sizeof codes / sizeof codes[0]; c++) {
        t->codes[c] = metrics_series(f->requests, name, codes[c], "", NULL);
    }
    for (size_t e = 0; e < sizeof errors / sizeof errors[0]; e++) {
        metrics_series(f->requests, name, codes[0], errors[e], NULL);
    }
}

/* --- plans --- */

static void make_target(struct plan *plan, size_t i, const struct plan *old)
{
    const struct fleet *f = plan->plans->fleet;
    const struct config_target *from = &plan->config->targets[i];
    const struct fleet_target *was = find(old, from->name);
    plan->targets[i] = (struct fleet_target){
        .config = from,
        .downstream = share_downstream(plan, old, was, from),
        .limits = share_limits(plan, was, from),
        .lease_ms = from->timeout_ms + f->config->redis.timeout_ms + LIMITER_AHEAD_MS +
                    LIMITER_USE_MS + LEASE_MARGIN_MS,
        .grant_patience_ms = grant_patience(plan->config, from),
    };
    make_counters(f, &plan->targets[i]);
}

static bool is_paused_locked(const struct plans *plans, const char *name)
{
    for (size_t i = 0; i < plans->paused_count; i++) {
        if (strcmp(plans->paused[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void pause_locked(const struct plan *plan)
{
    for (size_t i = 0; i < plan->target_count; i++) {
        const struct fleet_target *t = &plan->targets[i];
        bool paused = is_paused_locked(plan->plans, t->config->name);
        atomic_store(&t->downstream->paused, paused);
        metric_set(t->paused, paused);
    }
}

static void forget_names(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(names[i]);
    }
    free(names);
}

void plans_pause(struct plans *plans, const char *const *names, size_t n)
{
    char **copy = mem_array(n + 1, sizeof *copy);
    for (size_t i = 0; i < n; i++) {
        copy[i] = mem_strdup(names[i]);
    }
    MUST(pthread_mutex_lock(&plans->mu));
    char **before = plans->paused;
    size_t before_count = plans->paused_count;
    plans->paused = copy;
    plans->paused_count = n;
    pause_locked(plans->present);
    MUST(pthread_mutex_unlock(&plans->mu));
    forget_names(before, before_count);
}

/* old: the one before, which nobody may free meanwhile; NULL: none. */
static struct plan *plan_new(struct plans *plans, struct config *config,
                             const struct plan *old)
{
    struct plan *plan = mem_zalloc(sizeof *plan);
    plan->plans = plans;
    plan->config = config_hold(config);
    plan->target_count = config->target_count;
    plan->targets = mem_array(config->target_count + 1, sizeof *plan->targets);
    plan->users = 1;
    for (size_t i = 0; i < plan->target_count; i++) {
        make_target(plan, i, old);
    }
    MUST(pthread_mutex_lock(&plans->mu));
    for (size_t i = 0; i < plan->target_count; i++) {
        plan->targets[i].downstream->plans++;
    }
    pause_locked(plan);
    MUST(pthread_mutex_unlock(&plans->mu));
    return plan;
}

struct plans *plans_new(const struct fleet *fleet, struct config *config)
{
    struct plans *plans = mem_zalloc(sizeof *plans);
    plans->fleet = fleet;
    MUST(pthread_mutex_init(&plans->mu, NULL));
    plans->present = plan_new(plans, config, NULL);
    return plans;
}

void plans_free(struct plans *plans)
{
    ASSERT(plans->present->users == 1);
    plan_put(plans->present);
    forget_names(plans->paused, plans->paused_count);
    MUST(pthread_mutex_destroy(&plans->mu));
    free(plans);
}

struct plan *plan_take(struct plans *plans)
{
    MUST(pthread_mutex_lock(&plans->mu));
    struct plan *plan = plans->present;
    plan->users++;
    MUST(pthread_mutex_unlock(&plans->mu));
    return plan;
}

static void leave(struct plan *plan, int users)
{
    MUST(pthread_mutex_lock(&plan->plans->mu));
    plan->users -= users;
    bool last = plan->users == 0;
    for (size_t i = 0; last && i < plan->target_count; i++) {
        if (--plan->targets[i].downstream->plans > 0) {
            plan->targets[i].downstream = NULL; /* another's now */
        }
    }
    MUST(pthread_mutex_unlock(&plan->plans->mu));
    if (!last) {
        return;
    }
    for (size_t i = 0; i < plan->target_count; i++) {
        if (plan->targets[i].downstream) {
            downstream_free(plan->targets[i].downstream);
        }
        limiter_set_free(plan->targets[i].limits);
    }
    config_free(plan->config);
    free(plan->targets);
    free(plan);
}

void plan_put(struct plan *plan)
{
    leave(plan, 1);
}

/* The gauges of a target that is gone do not stay as they were. */
static void close_gauges(const struct plan *old, const struct plan *plan)
{
    for (size_t i = 0; i < old->target_count; i++) {
        if (!find(plan, old->targets[i].config->name)) {
            metric_set(old->targets[i].breaker_open, 0);
            metric_set(old->targets[i].paused, 0);
        }
    }
}

void plans_change(struct plans *plans, struct config *config)
{
    struct plan *old = plan_take(plans);
    struct plan *plan = plan_new(plans, config, old);
    MUST(pthread_mutex_lock(&plans->mu));
    plans->present = plan;
    MUST(pthread_mutex_unlock(&plans->mu));
    close_gauges(old, plan);
    leave(old, 2); /* this function, and being present */
}
