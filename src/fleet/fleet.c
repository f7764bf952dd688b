#include "fleet/fleet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"

enum {
    REDIS_CONNECT_MS = 2000,
    REDIS_KEY_MAX = 96, /* the prefix has at most 64 */
};

/* --- counters --- */

static struct metric *one(struct metrics *m, enum metric_type type, const char *name,
                          const char *help)
{
    return metrics_series(metrics_family(m, type, name, "", help, NULL, 0), NULL, NULL,
                          NULL, NULL);
}

static struct metric *histogram(struct metrics *m, const char *name, const char *help,
                                const double *buckets, size_t n)
{
    return metrics_series(metrics_family(m, METRIC_HISTOGRAM, name, "", help, buckets, n),
                          NULL, NULL, NULL, NULL);
}

static void make_event_counters(struct fleet *f)
{
    struct metrics *m = f->metrics;
    static const double latency[] = {0.05, 0.1, 0.25, 0.5, 1,   2.5, 5,
                                     10,   30,  60,   120, 300, 600};
    static const double sizes[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000};
    static const double waits[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                   1,     2.5,  5,     10,   30,  60};
    static const char *const invalid[] = {"bad-json", "bad-utf8", "invalid-field",
                                          "missing-field", "too-large"};
    f->events_read =
        metrics_family(m, METRIC_COUNTER, "sluice_events_read_total", "topic,partition",
                       "Events taken into a batch", NULL, 0);
    f->events_settled = metrics_family(m, METRIC_COUNTER, "sluice_events_settled_total",
                                       "topic,partition",
                                       "Events whose offset may be committed", NULL, 0);
    f->events_returned =
        metrics_family(m, METRIC_COUNTER, "sluice_events_returned_total",
                       "topic,partition",
                       "Events given back at a revoke or stop, to be delivered again",
                       NULL, 0);
    f->events_invalid = metrics_family(m, METRIC_COUNTER, "sluice_events_invalid_total",
                                       "reason", "Events that cannot be read", NULL, 0);
    for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
        metrics_series(f->events_invalid, invalid[i], NULL, NULL, NULL);
    }
    f->events_in_flight =
        one(m, METRIC_GAUGE, "sluice_events_in_flight", "Events in open batches");
    f->units_in_flight = one(m, METRIC_GAUGE, "sluice_units_in_flight",
                             "Units, event and target, in open batches");
    f->latency = histogram(m, "sluice_event_latency_seconds",
                           "From the event's time to the accepted trigger", latency,
                           sizeof latency / sizeof latency[0]);
    f->batch_events = histogram(m, "sluice_batch_events", "Events in a batch", sizes,
                                sizeof sizes / sizeof sizes[0]);
    f->barrier_wait = histogram(m, "sluice_barrier_wait_seconds",
                                "From a batch's start until all its units have ended",
                                waits, sizeof waits / sizeof waits[0]);
    struct metric_family *closed =
        metrics_family(m, METRIC_COUNTER, "sluice_batches_closed_total", "reason",
                       "Batches by what closed them", NULL, 0);
    static const char *const reasons[] = {"size", "age", "stop"};
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        f->batches[i] = metrics_series(closed, reasons[i], NULL, NULL, NULL);
    }
}

static void make_unit_counters(struct fleet *f)
{
    struct metrics *m = f->metrics;
    static const double took[] = {0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25,
                                  0.5,   0.75, 1,     2.5,  5,     7.5, 10};
    static const char *const dead[] = {"bad-json",        "bad-utf8",    "invalid-field",
                                       "missing-field",   "conflict",    "template",
                                       "outcome-unknown", "target-gone", "too-large"};
    f->units_opened =
        metrics_family(m, METRIC_COUNTER, "sluice_units_opened_total", "target",
                       "Units, event and target, taken to be worked", NULL, 0);
    f->units = metrics_family(m, METRIC_COUNTER, "sluice_units_total", "target,verdict",
                              "Units by how they ended here", NULL, 0);
    f->requests = metrics_family(m, METRIC_COUNTER, "sluice_trigger_requests_total",
                                 "target,code,error_type",
                                 "Calls to targets, by class of answer; code none: by "
                                 "what came instead of one",
                                 NULL, 0);
    f->durations =
        metrics_family(m, METRIC_HISTOGRAM, "sluice_trigger_request_duration_seconds",
                       "target", "How long calls took", took,
                       sizeof took / sizeof took[0]);
    f->paused = metrics_family(m, METRIC_GAUGE, "sluice_target_paused", "target",
                               "1 while an operator keeps calls away", NULL, 0);
    f->held =
        metrics_family(m, METRIC_COUNTER, "sluice_units_held_total", "target,reason",
                       "Units that began to wait for something that is no failure", NULL,
                       0);
    f->circuit_open =
        metrics_family(m, METRIC_GAUGE, "sluice_target_circuit_open", "target",
                       "1 while the breaker keeps calls away", NULL, 0);
    f->retries =
        metrics_family(m, METRIC_COUNTER, "sluice_trigger_retries_total", "target,reason",
                       "Calls that failed in a way that may pass", NULL, 0);
    f->parked =
        metrics_family(m, METRIC_COUNTER, "sluice_parked_total", "verdict,reason",
                       "Units acknowledged in a retry or dead-letter topic", NULL, 0);
    f->dead_letters =
        metrics_family(m, METRIC_COUNTER, "sluice_dlq_events_total", "reason",
                       "Units acknowledged in the dead-letter topic", NULL, 0);
    for (size_t i = 0; i < sizeof dead / sizeof dead[0]; i++) {
        metrics_series(f->dead_letters, dead[i], NULL, NULL, NULL);
    }
    f->opened_no_target = metrics_series(f->units_opened, "none", NULL, NULL, NULL);
    for (int v = VERDICT_TRIGGERED; v < VERDICT_COUNT; v++) {
        f->no_target[v] = metrics_series(f->units, "none", verdict_name(v), NULL, NULL);
    }
}

static void collect(void *arg)
{
    struct fleet *f = arg;
    struct plan *plan = plan_take(f->plans);
    for (size_t i = 0; i < plan->target_count; i++) {
        struct fleet_target *t = &plan->targets[i];
        metric_set(t->breaker_open, breaker_is_open(&t->downstream->breaker, now_ms()));
    }
    plan_put(plan);
}

/* --- connections and targets --- */

static const char trial_text[] =
#include "fleet/fleet_trial.lua.inc"
    ;

static void on_redis(void *arg, const char *run_id, bool changed)
{
    (void)run_id;
    struct fleet *f = arg;
    if (changed && f->limiter) {
        limiter_fence(f->limiter);
    }
}

struct redis_options fleet_redis_options(const struct config *config)
{
    return (struct redis_options){.url = config->redis.url,
                                  .username = config->redis.username,
                                  .password = config->redis.password,
                                  .ca_file = config->redis.ca_file,
                                  .cert_file = config->redis.cert_file,
                                  .key_file = config->redis.key_file,
                                  .connect_timeout_ms = REDIS_CONNECT_MS};
}

static struct redis *start_redis(struct fleet *f, struct err *err)
{
    char trial_key[REDIS_KEY_MAX];
    struct redis_options options = fleet_redis_options(f->config);
    snprintf(trial_key, sizeof trial_key, "%s:trial", f->config->redis.prefix);
    options.trial_text = trial_text;
    options.trial_key = trial_key;
    options.metrics = f->metrics;
    options.connected = on_redis;
    options.arg = f;
    return redis_start(&options, err);
}

static int make_connections(struct fleet *f, struct err *err)
{
    const struct config *c = f->config;
    struct http_options http = {.in_flight = c->in_flight,
                                .ca_file = c->ca_file,
                                .user_agent = "sluice/" SLUICE_VERSION,
                                .metrics = f->metrics};
    struct kafka_producer_options producer = {.brokers = c->kafka.brokers,
                                              .client_id = c->kafka.client_id,
                                              .buffer_bytes = FLEET_PRODUCER_BYTES,
                                              .properties = c->kafka.properties,
                                              .property_count = c->kafka.property_count};
    f->producer = kafka_producer_start(&producer, err);
    if (!f->producer) {
        return -EINVAL;
    }
    f->http = http_start(&http, err);
    f->redis = f->http ? start_redis(f, err) : NULL;
    if (!f->redis) {
        if (f->http) {
            http_stop(f->http);
        }
        kafka_producer_stop(f->producer, now_ms());
        return -EINVAL;
    }
    struct ledger_options ledger = {.prefix = c->redis.prefix,
                                    .group = c->kafka.group,
                                    .done_ttl_ms = c->done_ttl_ms,
                                    .timeout_ms = c->redis.timeout_ms};
    struct limiter_options limiter = {.prefix = c->redis.prefix,
                                      .version = (double)c->loaded_wall_ms,
                                      .timeout_ms = c->redis.timeout_ms,
                                      .metrics = f->metrics};
    f->ledger = ledger_new(f->redis, &ledger);
    f->limiter = limiter_new(f->redis, &limiter);
    return 0;
}

static void name_topics(struct fleet *f)
{
    const struct config *c = f->config;
    f->retry_topics = mem_array(c->retry.tier_count + 1, sizeof(char *));
    for (size_t i = 0; i < c->retry.tier_count; i++) {
        f->retry_topics[i] = config_retry_topic(c, i);
    }
    f->dead_topic = config_dead_topic(c);
}

int fleet_init(struct fleet *fleet, struct config *config, struct metrics *metrics,
               struct err *err)
{
    *fleet = (struct fleet){.config = config_hold(config), .metrics = metrics};
    int rc = make_connections(fleet, err);
    if (rc) {
        config_free(config);
        return rc;
    }
    name_topics(fleet);
    make_event_counters(fleet);
    make_unit_counters(fleet);
    fleet->plans = plans_new(fleet, config);
    metrics_on_collect(metrics, collect, fleet);
    return 0;
}

void fleet_release(struct fleet *fleet, int64_t redis_until_ms, int64_t producer_until_ms)
{
    metrics_off_collect(fleet->metrics, collect, fleet);
    plans_free(fleet->plans);
    http_stop(fleet->http);
    redis_stop(fleet->redis, redis_until_ms);
    kafka_producer_stop(fleet->producer, producer_until_ms);
    ledger_free(fleet->ledger);
    limiter_free(fleet->limiter);
    for (size_t i = 0; i < fleet->config->retry.tier_count; i++) {
        free(fleet->retry_topics[i]);
    }
    free(fleet->retry_topics);
    free(fleet->dead_topic);
    config_free(fleet->config);
}
