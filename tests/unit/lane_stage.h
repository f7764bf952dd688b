/* A lane on Kafka in memory, a real Redis and a real HTTP target, for the tests of lanes:
 * see begin, go, stop_lane, end. */
#ifndef TESTS_UNIT_LANE_STAGE_H
#define TESTS_UNIT_LANE_STAGE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include "fake_kafka.h"
#include "fleet/intake.h"
#include "fleet/lane_thread.h"
#include "redis_server.h"
#include "wire/httpd.h"

enum { CALLS_MAX = 256, HELD_MAX = 16, OWNERS_MAX = 4 };

/* What the target answers, by the order of calls to one path; the last answer stays. */
struct script {
    const char *path;
    int statuses[8];
    int count;
    const char *body; /* of all its answers; NULL: "{}" */
    bool hang;        /* the first call never gets an answer */
    bool hold;        /* calls are answered by release_calls */
};

static struct {
    struct redis_server redis_server;
    struct httpd *target;
    struct config *config;
    struct metrics *metrics;
    struct fleet fleet;
    char *retry_topics[4];
    struct kafka_partition *partition;
    struct kafka_partition *former[OWNERS_MAX]; /* handles of earlier assignments */
    size_t former_count;
    struct lane *lane;
    pthread_mutex_t mu;
    pthread_cond_t cond;
    /* guarded by mu */
    struct script scripts[8];
    char calls[CALLS_MAX][160]; /* "<path> <idempotency key>" */
    size_t call_count;
    struct httpd_request *held[HELD_MAX];
    size_t held_count;
    bool rested;
} t;

/* How many calls the wire takes, set before begin; 0: as many as in_flight. */
static int wire_width;

/* The path of target a, set before begin; NULL: "/a/${event.app}". */
static const char *target_path;

/* --- the target --- */

static struct script *script_for(const char *path)
{
    for (size_t i = 0; i < sizeof t.scripts / sizeof t.scripts[0]; i++) {
        if (t.scripts[i].path && strcmp(t.scripts[i].path, path) == 0) {
            return &t.scripts[i];
        }
    }
    return NULL;
}

static void serve(void *arg, struct httpd_request *request)
{
    (void)arg;
    int status = 202;
    bool hang = false;
    bool hold = false;
    const char *body = "{}";
    const char *key = httpd_header(request, "idempotency-key");
    MUST(pthread_mutex_lock(&t.mu));
    struct script *script = script_for(httpd_path(request));
    if (script && script->hang) {
        script->hang = false;
        hang = true;
    } else if (script && script->hold) {
        hold = true;
        ASSERT(t.held_count < HELD_MAX);
        t.held[t.held_count++] = request;
    } else if (script && script->count > 0) {
        status = script->statuses[0];
        body = script->body ? script->body : body;
        if (script->count > 1) {
            memmove(script->statuses, script->statuses + 1,
                    sizeof script->statuses - sizeof(int));
            script->count--;
        }
    }
    ASSERT(t.call_count < CALLS_MAX);
    snprintf(t.calls[t.call_count++], sizeof t.calls[0], "%s %s", httpd_path(request),
             key ? key : "-");
    MUST(pthread_cond_broadcast(&t.cond));
    MUST(pthread_mutex_unlock(&t.mu));
    if (hang) {
        httpd_hang(request);
    } else if (!hold) {
        httpd_reply(request, status, NULL, body, strlen(body));
    }
}

/* From now on calls to this path wait for release_calls. */
static inline void hold_calls(size_t i, const char *path)
{
    MUST(pthread_mutex_lock(&t.mu));
    t.scripts[i] = (struct script){.path = path, .hold = true};
    MUST(pthread_mutex_unlock(&t.mu));
}

/* Answer those that wait, and hold no more. */
static inline void release_calls(void)
{
    MUST(pthread_mutex_lock(&t.mu));
    memset(t.scripts, 0, sizeof t.scripts);
    size_t n = t.held_count;
    t.held_count = 0;
    MUST(pthread_mutex_unlock(&t.mu));
    for (size_t i = 0; i < n; i++) {
        httpd_reply(t.held[i], 202, NULL, "{}", 2);
    }
}

static inline void answer(size_t i, const char *path, int count, ...)
{
    va_list args;
    va_start(args, count);
    MUST(pthread_mutex_lock(&t.mu));
    t.scripts[i] = (struct script){.path = path, .count = count};
    for (int k = 0; k < count; k++) {
        t.scripts[i].statuses[k] = va_arg(args, int);
    }
    MUST(pthread_mutex_unlock(&t.mu));
    va_end(args);
}

/* The same once, with a body. */
static inline void answer_with(size_t i, const char *path, int status, const char *body)
{
    answer(i, path, 1, status);
    MUST(pthread_mutex_lock(&t.mu));
    t.scripts[i].body = body;
    MUST(pthread_mutex_unlock(&t.mu));
}

static inline size_t calls(void)
{
    MUST(pthread_mutex_lock(&t.mu));
    size_t n = t.call_count;
    MUST(pthread_mutex_unlock(&t.mu));
    return n;
}

static inline bool await_calls(size_t n)
{
    int64_t until_ms = now_ms() + FAKE_PATIENCE_MS;
    MUST(pthread_mutex_lock(&t.mu));
    while (t.call_count < n && fake_wait(&t.cond, &t.mu, until_ms)) {
    }
    bool there = t.call_count >= n;
    MUST(pthread_mutex_unlock(&t.mu));
    return there;
}

/* --- the fleet --- */

static void on_rested(void *arg, struct lane *lane)
{
    (void)arg;
    (void)lane;
    MUST(pthread_mutex_lock(&t.mu));
    t.rested = true;
    MUST(pthread_cond_broadcast(&t.cond));
    MUST(pthread_mutex_unlock(&t.mu));
}

static struct config *make_config(const char *extra)
{
    struct config_report report;
    char path[64];
    char *const no_environment[] = {NULL};
    snprintf(path, sizeof path, "/tmp/sluice-lane-XXXXXX");
    int fd = mkstemp(path);
    ASSERT(fd >= 0);
    dprintf(fd,
            "kafka: {brokers: [none:1], topic: ci, group: g}\n"
            "redis: {url: \"%s\", timeout: 2s}\n"
            "retry: {delays: [1s, 2s]}\n"
            "batch: {size: 5, age: 20ms}\n"
            "targets:\n"
            "  a:\n"
            "    url: \"http://127.0.0.1:%d%s\"\n"
            "%s%s%s",
            t.redis_server.url, httpd_port(t.target),
            target_path ? target_path : "/a/${event.app}",
            strstr(extra, "timeout:") ? "" : "    timeout: 2s\n", extra,
            strstr(extra, "in_flight:") ? "" : "in_flight: 16\n");
    close(fd);
    struct config *config = config_load(path, NULL, 0, no_environment, &report);
    unlink(path);
    for (size_t i = 0; report.errors > 0 && i < report.count; i++) {
        print_error("%s %s\n", report.items[i].where, report.items[i].text);
    }
    config_report_release(&report);
    ASSERT(config);
    return config;
}

/* What a reload does, with another `extra`. */
static inline void change_config(const char *extra)
{
    struct config *config = make_config(extra);
    plans_change(t.fleet.plans, config);
    config_free(config);
}

static struct metric_family *family(const char *name, const char *labels)
{
    return metrics_family(t.metrics, METRIC_COUNTER, name, labels, "for the test", NULL,
                          0);
}

static struct metric *one(const char *name)
{
    return metrics_series(metrics_family(t.metrics, METRIC_GAUGE, name, "",
                                         "for the test", NULL, 0),
                          NULL, NULL, NULL, NULL);
}

static void make_counters(struct fleet *f)
{
    static const double buckets[] = {1};
    struct metric *histogram =
        metrics_series(metrics_family(t.metrics, METRIC_HISTOGRAM, "h", "",
                                      "for the test", buckets, 1),
                       NULL, NULL, NULL, NULL);
    f->events_read = family("read", "t,p");
    f->events_settled = family("settled", "t,p");
    f->events_returned = family("returned", "t,p");
    f->events_invalid = family("invalid", "r");
    f->retries = family("retries", "t,r");
    f->parked = family("parked", "v,r");
    f->dead_letters = family("dead_letters", "r");
    f->requests = family("requests", "t,c,e");
    f->units_opened = family("opened", "t");
    f->units = family("units", "t,v");
    f->durations =
        metrics_family(t.metrics, METRIC_HISTOGRAM, "d", "t", "for the test", buckets, 1);
    f->paused =
        metrics_family(t.metrics, METRIC_GAUGE, "paused", "t", "for the test", NULL, 0);
    f->held = family("held", "t,r");
    f->circuit_open =
        metrics_family(t.metrics, METRIC_GAUGE, "open", "t", "for the test", NULL, 0);
    f->events_in_flight = one("events_in_flight");
    f->units_in_flight = one("units_in_flight");
    f->latency = f->batch_events = f->barrier_wait = histogram;
    for (size_t i = 0; i < 3; i++) {
        f->batches[i] = one("batches");
    }
    f->opened_no_target = metrics_series(family("opened", "t"), "none", NULL, NULL, NULL);
    for (int v = 0; v < VERDICT_COUNT; v++) {
        f->no_target[v] = metrics_series(family("units", "t,v"), "none",
                                         verdict_name((enum verdict)v), NULL, NULL);
    }
}

static void make_fleet(void)
{
    struct err err = ERR_INIT;
    struct http_options http = {.in_flight =
                                    wire_width ? wire_width : t.config->in_flight,
                                .user_agent = "test"};
    struct redis_options redis = {.url = t.redis_server.url, .connect_timeout_ms = 1000};
    struct ledger_options ledger = {"s", "g", 60000, 2000};
    t.metrics = metrics_new();
    struct limiter_options limiter = {.prefix = "s",
                                      .version = 1,
                                      .timeout_ms = 2000,
                                      .metrics = t.metrics};
    t.fleet = (struct fleet){.config = t.config,
                             .metrics = t.metrics,
                             .dead_topic = config_dead_topic(t.config),
                             .retry_topics = t.retry_topics,
                             .rested = on_rested};
    t.fleet.http = http_start(&http, &err);
    t.fleet.redis = redis_start(&redis, &err);
    ASSERT(t.fleet.http && t.fleet.redis);
    t.fleet.ledger = ledger_new(t.fleet.redis, &ledger);
    t.fleet.limiter = limiter_new(t.fleet.redis, &limiter);
    for (size_t i = 0; i < t.config->retry.tier_count; i++) {
        t.retry_topics[i] = config_retry_topic(t.config, i);
    }
    make_counters(&t.fleet);
    t.fleet.plans = plans_new(&t.fleet, t.config);
}

/* A lane on this topic; `extra` goes on with target a in the configuration. */
static void begin(const char *extra, const char *topic, bool source)
{
    struct err err = ERR_INIT;
    memset(&t, 0, sizeof t);
    MUST(pthread_mutex_init(&t.mu, NULL));
    fake_cond_init(&t.cond);
    fake_broker_reset();
    redis_server_start(&t.redis_server, false, NULL);
    struct httpd_options options = {.address = "127.0.0.1",
                                    .connections_max = 64,
                                    .body_max = 65536,
                                    .threads = 1,
                                    .handle = serve};
    t.target = httpd_start(&options, &err);
    ASSERT(t.target);
    t.config = make_config(extra);
    make_fleet();
    t.partition = fake_partition_new(topic, source);
}

static void go(void)
{
    t.lane = lane_start(&t.fleet, t.partition);
}

/* Another assignment of the partition: its lane reads from the beginning. The lane before
 * must be stopped, or be let go as an orphan. */
static inline void assign_anew(void)
{
    ASSERT(t.former_count < OWNERS_MAX);
    const struct kafka_partition *before = t.partition;
    t.former[t.former_count++] = t.partition;
    t.partition = fake_partition_new(before->topic, before->source);
    MUST(pthread_mutex_lock(&t.mu));
    t.rested = false;
    MUST(pthread_mutex_unlock(&t.mu));
}

static inline void await_wait(enum lane_wait wait)
{
    int64_t until_ms = now_ms() + FAKE_PATIENCE_MS;
    while (atomic_load(&t.lane->wait) != (int)wait) {
        assert_true(now_ms() < until_ms);
        sched_yield();
    }
}

/* Tell the lane to stop and wait until its thread is about to end. Returns how many units
 * it gave back. */
static int64_t stop_lane(enum lane_stop how)
{
    int64_t until_ms = now_ms() + FAKE_PATIENCE_MS;
    lane_stop(t.lane, how);
    MUST(pthread_mutex_lock(&t.mu));
    while (!t.rested && fake_wait(&t.cond, &t.mu, until_ms)) {
    }
    assert_true(t.rested);
    MUST(pthread_mutex_unlock(&t.mu));
    int64_t returned = atomic_load(&t.lane->returned_units);
    lane_free(t.lane);
    t.lane = NULL;
    return returned;
}

/* With no batch open: each unit that was opened has one verdict. */
static void assert_units_balance(const struct metric *opened,
                                 struct metric *const verdicts[VERDICT_COUNT])
{
    double ended = 0;
    for (int v = VERDICT_TRIGGERED; v < VERDICT_COUNT; v++) {
        ended += metric_value(verdicts[v]);
    }
    assert_true(metric_value(opened) == ended);
}

/* Of the present plan. */
static inline struct fleet_target *target_at(size_t i)
{
    struct plan *plan = plan_take(t.fleet.plans);
    struct fleet_target *target = &plan->targets[i];
    plan_put(plan);
    return target;
}

static void end(void)
{
    wire_width = 0;
    target_path = NULL;
    if (t.lane) {
        stop_lane(LANE_NO_STARTS);
    }
    assert_true(metric_value(t.fleet.events_in_flight) == 0);
    assert_true(metric_value(t.fleet.units_in_flight) == 0);
    assert_units_balance(t.fleet.opened_no_target, t.fleet.no_target);
    struct plan *plan = plan_take(t.fleet.plans);
    for (size_t i = 0; i < plan->target_count; i++) {
        assert_units_balance(plan->targets[i].opened, plan->targets[i].verdicts);
    }
    plan_put(plan);
    plans_free(t.fleet.plans);
    http_stop(t.fleet.http);
    redis_stop(t.fleet.redis, now_ms() + 1000);
    ledger_free(t.fleet.ledger);
    limiter_free(t.fleet.limiter);
    for (size_t i = 0; i < t.config->retry.tier_count; i++) {
        free(t.retry_topics[i]);
    }
    free(t.fleet.dead_topic);
    fake_partition_free(t.partition);
    for (size_t i = 0; i < t.former_count; i++) {
        fake_partition_free(t.former[i]);
    }
    metrics_free(t.metrics);
    config_free(t.config);
    httpd_stop(t.target);
    redis_server_stop(&t.redis_server);
    MUST(pthread_cond_destroy(&t.cond));
    MUST(pthread_mutex_destroy(&t.mu));
}

static inline int count_units(const char *target, enum verdict verdict)
{
    return (int)metric_value(metrics_series(family("units", "t,v"), target,
                                            verdict_name(verdict), NULL, NULL));
}

/* Is this line in the metrics? */
static inline bool counted(const char *line)
{
    struct str out;
    str_init(&out);
    metrics_write(t.metrics, &out);
    bool there = strstr(out.data, line) != NULL;
    str_release(&out);
    return there;
}

#define EVENT(id, app, commit) \
    "{\"id\":\"" id "\",\"app\":\"" app "\",\"repo\":\"r\",\"commit\":\"" commit "\"}"

#endif
