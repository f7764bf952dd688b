/* Design. Rates need a past: for each partition its last committed and end offsets, for
 * each target and limit its counters. A partition that leaves is forgotten with the next
 * beat, so one that comes back is not taken for one that stood still. */
#include "ops/beat.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "ops/put.h"
#include "ops/rates.h"

enum {
    LANE_SAMPLES = BEAT_RATE_MS / BEAT_EVERY_MS + 1,
    SPAN_SAMPLES = BEAT_SPAN_MS / BEAT_EVERY_MS + 1,
    SPREAD_MAX = METRIC_BUCKETS_MAX + 1,
};

/* A partition's counters. */
enum { COMMITTED, END, LANE_COUNTERS };

/* A target's: then one for each bucket, and one for each reason to hold. */
enum {
    CALLS,
    TRIGGERED,
    CODES,
    TOOK = CODES + 6,
    HELD = TOOK + SPREAD_MAX,
    TARGET_COUNTERS = HELD + VIEW_HELD_MAX
};

struct lane_memory {
    char topic[VIEW_TOPIC_MAX];
    int partition;
    struct rates *rates;
    bool seen; /* in this beat */
};

struct named_memory {
    char name[OPTION_NAME_MAX];
    struct rates *rates;
};

struct beat_memory {
    struct lane_memory lanes[BEAT_PARTITIONS_MAX];
    size_t lane_count;
    struct named_memory targets[BEAT_TARGETS_MAX];
    size_t target_count;
    struct named_memory limits[BEAT_LIMITS_MAX];
    size_t limit_count;
    struct rates *latency;
};

struct beat_memory *beat_memory_new(void)
{
    struct beat_memory *m = mem_zalloc(sizeof *m);
    m->latency = rates_new(SPAN_SAMPLES, SPREAD_MAX);
    return m;
}

static void free_named(struct named_memory *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        rates_free(list[i].rates);
    }
}

void beat_memory_free(struct beat_memory *m)
{
    for (size_t i = 0; i < m->lane_count; i++) {
        rates_free(m->lanes[i].rates);
    }
    free_named(m->targets, m->target_count);
    free_named(m->limits, m->limit_count);
    rates_free(m->latency);
    free(m);
}

/* --- remembering --- */

/* i: where it probably is, for lanes keep their order. NULL when there is no place. */
static struct rates *lane_rates(struct beat_memory *m, const struct view_lane *lane,
                                size_t i)
{
    for (size_t k = 0; k < m->lane_count; k++) {
        struct lane_memory *l = &m->lanes[(i + k) % m->lane_count];
        if (l->partition == lane->partition && strcmp(l->topic, lane->topic) == 0) {
            l->seen = true;
            return l->rates;
        }
    }
    if (m->lane_count == BEAT_PARTITIONS_MAX) {
        return NULL;
    }
    struct lane_memory *l = &m->lanes[m->lane_count++];
    *l = (struct lane_memory){.partition = lane->partition, .seen = true};
    memcpy(l->topic, lane->topic, sizeof l->topic);
    l->rates = rates_new(LANE_SAMPLES, LANE_COUNTERS);
    return l->rates;
}

static void forget_unseen(struct beat_memory *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->lane_count; i++) {
        if (m->lanes[i].seen) {
            m->lanes[kept] = m->lanes[i];
            m->lanes[kept++].seen = false;
        } else {
            rates_free(m->lanes[i].rates);
        }
    }
    m->lane_count = kept;
}

static struct rates *named_rates(struct named_memory *list, size_t *count, size_t max,
                                 const char *name, size_t width)
{
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(list[i].name, name) == 0) {
            return list[i].rates;
        }
    }
    if (*count == max) {
        return NULL;
    }
    struct named_memory *n = &list[(*count)++];
    snprintf(n->name, sizeof n->name, "%s", name);
    n->rates = rates_new(SPAN_SAMPLES, width);
    return n->rates;
}

static void put_spread_in(uint64_t *counters, const struct view_spread *spread)
{
    memset(counters, 0, SPREAD_MAX * sizeof *counters);
    memcpy(counters, spread->counts, (spread->bound_count + 1) * sizeof *counters);
}

/* --- spreads --- */

/* "took":{"bounds_s":[...],"counts":[...]}, what was observed in the last BEAT_SPAN_MS;
 * first: of its buckets in the rates. Adds the counts to sum when that is not NULL. */
static void put_spread(struct json_object *o, const char *name,
                       const struct view_spread *spread, const struct rates *rates,
                       size_t first, uint64_t *sum)
{
    struct json_object *both = json_object_new_object();
    struct json_object *bounds = json_object_new_array();
    struct json_object *counts = json_object_new_array();
    for (size_t i = 0; i < spread->bound_count; i++) {
        json_object_array_add(bounds, real_of(spread->bounds_s[i], 3));
    }
    for (size_t i = 0; i <= spread->bound_count; i++) {
        int64_t n = rates_growth(rates, first + i, BEAT_SPAN_MS, NULL);
        json_object_array_add(counts, json_object_new_int64(n > 0 ? n : 0));
        if (sum && n > 0) {
            sum[i] += (uint64_t)n;
        }
    }
    json_object_object_add(both, "bounds_s", bounds);
    json_object_object_add(both, "counts", counts);
    json_object_object_add(o, name, both);
}

/* --- partitions --- */

struct totals {
    int64_t lag;      /* of the source topic */
    int64_t deferred; /* of the retry topics */
    bool known;
    double in_per_s;
    double out_per_s;
    bool rated;
    uint64_t took[SPREAD_MAX];
    const struct view_target *any; /* for the bounds */
    int in_flight;
};

static struct json_object *batch_object(const struct view_lane *lane, int size)
{
    struct json_object *o = json_object_new_object();
    put_text(o, "state", view_state_name(lane->state));
    put_count(o, "size", size);
    put_count(o, "events", lane->events);
    put_count(o, "units", lane->units);
    put_count(o, "ended", lane->ended);
    put_count(o, "for_ms", lane->for_ms);
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < lane->waiting_count; i++) {
        struct json_object *w = json_object_new_object();
        put_text(w, "target", lane->waiting[i].target);
        put_count(w, "units", lane->waiting[i].units);
        put_count(w, "oldest_ms", lane->waiting[i].oldest_ms);
        json_object_array_add(list, w);
    }
    json_object_object_add(o, "waiting", list);
    return o;
}

static int64_t lag_of(const struct kafka_lag *lag)
{
    if (lag->committed < 0 || lag->end < 0) {
        return -1;
    }
    return lag->end > lag->committed ? lag->end - lag->committed : 0;
}

static void add_lag(struct totals *totals, const struct view_lane *lane)
{
    int64_t lag = lag_of(&lane->lag);
    totals->known = totals->known && lag >= 0;
    if (lag > 0 && lane->source) {
        totals->lag += lag;
    } else if (lag > 0) {
        totals->deferred += lag;
    }
}

static struct json_object *partition_object(const struct view_lane *lane, int size,
                                            double in_per_s, double out_per_s)
{
    struct json_object *o = json_object_new_object();
    put_text(o, "topic", lane->topic);
    put_count(o, "partition", lane->partition);
    put_flag(o, "source", lane->source);
    int64_t lag = lag_of(&lane->lag);
    int64_t oldest_ms = lag == 0 ? 0 : lane->lag.oldest_ms; /* that is of a second ago */
    put_count(o, "lag_events", lag);
    put_real(o, "lag_s", oldest_ms < 0 ? -1 : (double)oldest_ms / 1000);
    put_count(o, "committed", lane->lag.committed);
    put_count(o, "end", lane->lag.end);
    put_real(o, "in_per_s", in_per_s);
    put_real(o, "out_per_s", out_per_s);
    json_object_object_add(o, "batch", batch_object(lane, size));
    return o;
}

static void put_partitions(struct json_object *beat, struct beat_memory *m,
                           const struct worker_view *view, int64_t now,
                           struct totals *totals)
{
    struct json_object *list = json_object_new_array();
    size_t more = 0;
    for (size_t i = 0; i < view->lane_count; i++) {
        const struct view_lane *lane = &view->lanes[i];
        struct rates *rates = lane_rates(m, lane, i);
        double in = -1;
        double out = -1;
        add_lag(totals, lane);
        if (rates && lag_of(&lane->lag) >= 0) {
            const uint64_t counters[] = {(uint64_t)lane->lag.committed,
                                         (uint64_t)lane->lag.end};
            rates_put(rates, now, counters);
            in = rates_per_s(rates, END, BEAT_RATE_MS);
            out = rates_per_s(rates, COMMITTED, BEAT_RATE_MS);
        }
        if (lane->source && in >= 0 && out >= 0) {
            totals->rated = true;
            totals->in_per_s += in;
            totals->out_per_s += out;
        }
        if (i < BEAT_PARTITIONS_MAX) {
            json_object_array_add(list,
                                  partition_object(lane, view->batch_size, in, out));
        } else {
            more++;
        }
    }
    forget_unseen(m);
    json_object_object_add(beat, "partitions", list);
    put_count(beat, "more_partitions", (int64_t)more);
}

/* --- targets and limits --- */

/* {"hibernating": 3}: units that began to wait in the last BEAT_SPAN_MS, by why. */
static struct json_object *held_object(const struct view_target *target,
                                       const struct rates *rates)
{
    struct json_object *o = json_object_new_object();
    for (size_t i = 0; i < target->held_count; i++) {
        int64_t n = rates_growth(rates, HELD + i, BEAT_SPAN_MS, NULL);
        if (n > 0) {
            put_count(o, target->held[i].reason, n);
        }
    }
    return o;
}

static struct json_object *target_object(const struct view_target *target,
                                         const struct worker_view *view,
                                         struct rates *rates, int64_t now,
                                         struct totals *totals)
{
    static const char *const codes[] = {"none", "c1xx", "c2xx", "c3xx", "c4xx", "c5xx"};
    uint64_t counters[TARGET_COUNTERS] = {target->calls, target->triggered};
    memcpy(&counters[CODES], target->codes, sizeof target->codes);
    put_spread_in(&counters[TOOK], &target->took);
    for (size_t i = 0; i < target->held_count; i++) {
        counters[HELD + i] = target->held[i].units;
    }
    rates_put(rates, now, counters);
    struct json_object *o = json_object_new_object();
    put_text(o, "name", target->name);
    put_text(o, "kind", target->kind);
    put_count(o, "open_ms", target->open_ms);
    put_count(o, "silent_ms", target->silent_ms);
    put_count(o, "in_flight", target->in_flight);
    put_count(o, "triggered", rates_growth(rates, TRIGGERED, BEAT_SPAN_MS, NULL));
    for (size_t c = 0; c < sizeof codes / sizeof codes[0]; c++) {
        put_count(o, codes[c], rates_growth(rates, CODES + c, BEAT_SPAN_MS, NULL));
    }
    put_real(o, "calls_per_s", rates_per_s(rates, CALLS, BEAT_RATE_MS));
    json_object_object_add(o, "held", held_object(target, rates));
    put_spread(o, "took", &target->took, rates, TOOK, totals->took);
    struct json_object *limits = json_object_new_array();
    for (size_t i = 0; i < target->limit_count; i++) {
        size_t at = (size_t)target->limits[i];
        json_object_array_add(limits, json_object_new_string(view->limits[at].name));
    }
    json_object_object_add(o, "limits", limits);
    totals->in_flight += target->in_flight;
    totals->any = target;
    return o;
}

static void put_targets(struct json_object *beat, struct beat_memory *m,
                        const struct worker_view *view, int64_t now,
                        struct totals *totals)
{
    struct json_object *list = json_object_new_array();
    size_t more = 0;
    for (size_t i = 0; i < view->target_count; i++) {
        const struct view_target *target = &view->targets[i];
        struct rates *rates = named_rates(m->targets, &m->target_count, BEAT_TARGETS_MAX,
                                          target->name, TARGET_COUNTERS);
        if (rates) {
            json_object_array_add(list, target_object(target, view, rates, now, totals));
        } else {
            more++;
        }
    }
    json_object_object_add(beat, "targets", list);
    put_count(beat, "more_targets", (int64_t)more);
}

static void put_limits(struct json_object *beat, struct beat_memory *m,
                       const struct worker_view *view, int64_t now)
{
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < view->limit_count; i++) {
        const struct view_limit *limit = &view->limits[i];
        struct rates *rates = named_rates(m->limits, &m->limit_count, BEAT_LIMITS_MAX,
                                          limit->name, SPREAD_MAX);
        if (!rates) {
            continue; /* a limit without a row; its targets are there */
        }
        uint64_t counters[SPREAD_MAX];
        put_spread_in(counters, &limit->waited);
        rates_put(rates, now, counters);
        struct json_object *o = json_object_new_object();
        put_text(o, "name", limit->name);
        put_real(o, "rate_per_s", limit->rate_per_s);
        put_real(o, "burst", limit->burst);
        json_object_object_add(o, "tokens",
                               limit->seen ? real_of(limit->tokens, 1) : NULL);
        put_spread(o, "waited", &limit->waited, rates, 0, NULL);
        json_object_array_add(list, o);
    }
    json_object_object_add(beat, "limits", list);
}

/* --- the whole --- */

static const char *state_of(const struct worker_view *view)
{
    if (view->stopping) {
        return "draining";
    }
    if (view->kafka != KAFKA_RUNNING) {
        return "starting";
    }
    return view->lane_count > 0 ? "running" : "idle";
}

static void put_self(struct json_object *beat, const struct beat_self *self, int64_t now)
{
    put_count(beat, "v", 1);
    put_text(beat, "id", self->id);
    put_text(beat, "boot", self->boot);
    put_text(beat, "host", self->host);
    put_count(beat, "pid", (int64_t)getpid());
    put_text(beat, "version", self->version);
    put_text(beat, "revision", self->revision);
    put_text(beat, "config_hash", self->config_hash);
    put_count(beat, "up_s", (now - self->started_ms) / 1000);
}

static void put_totals(struct json_object *beat, const struct worker_view *view,
                       const struct totals *totals)
{
    bool none = view->lane_count == 0;
    put_count(beat, "lag_events", totals->known ? totals->lag : -1);
    put_count(beat, "deferred", totals->known ? totals->deferred : -1);
    put_real(beat, "in_per_s", totals->rated ? totals->in_per_s : none ? 0 : -1);
    put_real(beat, "out_per_s", totals->rated ? totals->out_per_s : none ? 0 : -1);
    put_count(beat, "in_flight", totals->in_flight);
    put_count(beat, "p95_ms",
              totals->any
                  ? rates_quantile_ms(totals->any->took.bounds_s,
                                      totals->any->took.bound_count, totals->took, 0.95)
                  : -1);
}

struct json_object *beat_make(struct beat_memory *m, const struct beat_self *self,
                              const char *state, const struct worker_view *view,
                              int64_t now)
{
    struct totals totals = {.known = true};
    uint64_t latency[SPREAD_MAX];
    struct json_object *beat = json_object_new_object();
    put_self(beat, self, now);
    put_text(beat, "state", state ? state : state_of(view));
    put_count(beat, "all_partitions", view->partitions > 0 ? view->partitions : -1);
    put_partitions(beat, m, view, now, &totals);
    put_targets(beat, m, view, now, &totals);
    put_limits(beat, m, view, now);
    put_totals(beat, view, &totals);
    put_spread_in(latency, &view->latency);
    rates_put(m->latency, now, latency);
    put_spread(beat, "latency", &view->latency, m->latency, 0, NULL);
    return beat;
}
