/* A lane on Kafka in memory, a real Redis and a real HTTP target: what is called, what is
 * parked, what may be committed. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include "fake_kafka.h"
#include "fleet/intake.h"
#include "fleet/lane.h"
#include "redis_server.h"
#include "wire/httpd.h"

enum { CALLS_MAX = 256 };

/* What the target answers, by the order of calls to one path; the last answer stays. */
struct script {
    const char *path;
    int statuses[8];
    int count;
    bool hang; /* the first call never gets an answer */
};

static struct {
    struct redis_server redis_server;
    struct httpd *target;
    struct config *config;
    struct metrics *metrics;
    struct fleet fleet;
    struct fleet_target targets[2];
    char *retry_topics[4];
    struct kafka_partition *partition;
    struct lane *lane;
    char path[64]; /* of the configuration */
    pthread_mutex_t mu;
    pthread_cond_t cond;
    /* guarded by mu */
    struct script scripts[8];
    char calls[CALLS_MAX][160]; /* "<path> <idempotency key>" */
    size_t call_count;
    bool rested;
} t;

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
    const char *key = httpd_header(request, "idempotency-key");
    MUST(pthread_mutex_lock(&t.mu));
    struct script *script = script_for(httpd_path(request));
    if (script && script->hang) {
        script->hang = false;
        hang = true;
    } else if (script && script->count > 0) {
        status = script->statuses[0];
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
    } else {
        httpd_reply(request, status, NULL, "{}", 2);
    }
}

static void answer(size_t i, const char *path, int count, ...)
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

static size_t calls(void)
{
    MUST(pthread_mutex_lock(&t.mu));
    size_t n = t.call_count;
    MUST(pthread_mutex_unlock(&t.mu));
    return n;
}

static bool await_calls(size_t n)
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

static void make_config(const char *extra)
{
    struct config_report report;
    char *const no_environment[] = {NULL};
    snprintf(t.path, sizeof t.path, "/tmp/sluice-lane-XXXXXX");
    int fd = mkstemp(t.path);
    ASSERT(fd >= 0);
    dprintf(fd,
            "kafka: {brokers: [none:1], topic: ci, group: g}\n"
            "redis: {url: \"%s\", timeout: 2s}\n"
            "retry: {delays: [1s, 2s]}\n"
            "batch: {size: 5, age: 20ms}\n"
            "targets:\n"
            "  a:\n"
            "    url: \"http://127.0.0.1:%d/a/${event.app}\"\n"
            "%s%s",
            t.redis_server.url, httpd_port(t.target),
            strstr(extra, "timeout:") ? "" : "    timeout: 2s\n", extra);
    close(fd);
    t.config = config_load(t.path, NULL, 0, no_environment, &report);
    for (size_t i = 0; i < report.errors; i++) {
        print_error("%s %s\n", report.items[i].where, report.items[i].text);
    }
    config_report_release(&report);
    ASSERT(t.config);
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
    f->events_in_flight = one("events_in_flight");
    f->units_in_flight = one("units_in_flight");
    f->latency = f->batch_events = f->barrier_wait = histogram;
    for (size_t i = 0; i < 3; i++) {
        f->batches[i] = one("batches");
    }
    for (int v = 0; v < VERDICT_COUNT; v++) {
        f->no_target[v] = metrics_series(family("units", "t,v"), "none",
                                         verdict_name((enum verdict)v), NULL, NULL);
        for (size_t i = 0; i < f->target_count; i++) {
            f->targets[i].verdicts[v] =
                metrics_series(family("units", "t,v"), f->targets[i].config->name,
                               verdict_name((enum verdict)v), NULL, NULL);
        }
    }
    for (size_t i = 0; i < f->target_count; i++) {
        f->targets[i].duration = histogram;
        for (size_t c = 0; c < 6; c++) {
            f->targets[i].codes[c] = one("codes");
        }
    }
}

static void make_fleet(void)
{
    struct err err = ERR_INIT;
    struct http_options http = {.in_flight = 16, .user_agent = "test"};
    struct redis_options redis = {.url = t.redis_server.url, .connect_timeout_ms = 1000};
    struct ledger_options ledger = {"s", "g", 60000, 2000};
    struct limiter_options limiter = {.prefix = "s", .version = 1, .timeout_ms = 2000};
    t.metrics = metrics_new();
    t.fleet = (struct fleet){.config = t.config,
                             .metrics = t.metrics,
                             .targets = t.targets,
                             .target_count = t.config->target_count,
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
    for (size_t i = 0; i < t.config->target_count; i++) {
        t.targets[i] = (struct fleet_target){.config = &t.config->targets[i],
                                             .out_max = 8,
                                             .lease_ms = 30000,
                                             .grant_patience_ms = 10000};
        t.targets[i].pool =
            http_pool_new(t.fleet.http, t.config->targets[i].name, 8, false);
        t.targets[i].limits = limiter_set_new(t.fleet.limiter, NULL, 0);
        breaker_init(&t.targets[i].breaker);
    }
    make_counters(&t.fleet);
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
    make_config(extra);
    make_fleet();
    t.partition = fake_partition_new(topic, source);
}

static void go(void)
{
    t.lane = lane_start(&t.fleet, t.partition);
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

static void end(void)
{
    if (t.lane) {
        stop_lane(LANE_NO_STARTS);
    }
    assert_true(metric_value(t.fleet.events_in_flight) == 0);
    assert_true(metric_value(t.fleet.units_in_flight) == 0);
    http_stop(t.fleet.http);
    redis_stop(t.fleet.redis, now_ms() + 1000);
    ledger_free(t.fleet.ledger);
    limiter_free(t.fleet.limiter);
    for (size_t i = 0; i < t.config->target_count; i++) {
        breaker_release(&t.targets[i].breaker);
    }
    for (size_t i = 0; i < t.config->retry.tier_count; i++) {
        free(t.retry_topics[i]);
    }
    free(t.fleet.dead_topic);
    fake_partition_free(t.partition);
    metrics_free(t.metrics);
    config_free(t.config);
    httpd_stop(t.target);
    redis_server_stop(&t.redis_server);
    unlink(t.path);
    MUST(pthread_cond_destroy(&t.cond));
    MUST(pthread_mutex_destroy(&t.mu));
}

static int count_units(const char *target, enum verdict verdict)
{
    return (int)metric_value(metrics_series(family("units", "t,v"), target,
                                            verdict_name(verdict), NULL, NULL));
}

#define EVENT(id, app, commit) \
    "{\"id\":\"" id "\",\"app\":\"" app "\",\"repo\":\"r\",\"commit\":\"" commit "\"}"

/* --- what is called and what is done --- */

static void lane__calls_each_target_once_and_says_done(void **state)
{
    (void)state;
    begin("  b: {url: \"http://127.0.0.1:9/never\", match: {app: other}}\n", "ci", true);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    fake_publish(t.partition, "k", EVENT("2", "y", "c1"), NULL);
    fake_publish(t.partition, NULL, EVENT("3", "z", "c1"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 3));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 3);
    assert_int_equal(count_units("a", VERDICT_TRIGGERED), 3);
    end();
}

static void lane__an_event_that_no_target_wants_is_skipped(void **state)
{
    (void)state;
    begin("    match: {app: other}\n", "ci", true);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    fake_publish(t.partition, "k", NULL, NULL);
    go();
    assert_true(fake_await_done(t.partition, 2));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 0);
    assert_int_equal(count_units("none", VERDICT_SKIPPED), 2);
    end();
}

static void lane__the_same_event_again_is_a_duplicate(void **state)
{
    (void)state;
    begin("", "ci", true);
    for (int i = 0; i < 7; i++) { /* more than a batch: twins and the ledger */
        fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    }
    go();
    assert_true(fake_await_done(t.partition, 7));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 1);
    assert_int_equal(count_units("a", VERDICT_TRIGGERED), 1);
    assert_int_equal(count_units("a", VERDICT_DUPLICATE), 6);
    end();
}

static void lane__the_same_id_with_other_content_is_a_conflict(void **state)
{
    (void)state;
    begin("", "ci", true);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    fake_publish(t.partition, "k", EVENT("1", "x", "c2"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 2));
    fake_publish(t.partition, "k", EVENT("1", "x", "c3"),
                 NULL); /* in another batch: by the ledger */
    assert_true(fake_await_done(t.partition, 3));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 1);
    assert_int_equal(count_units("a", VERDICT_DEAD), 2);
    assert_string_equal(fake_sent_header(fake_sent_at(0), PARK_REASON), "conflict");
    assert_string_equal(fake_sent_header(fake_sent_at(1), PARK_REASON), "conflict");
    end();
}

/* --- failures --- */

static void lane__a_brief_failure_is_tried_again_with_the_same_key(void **state)
{
    (void)state;
    begin("    retry: {hold: 10s, backoff: 1ms..5ms}\n", "ci", true);
    answer(0, "/a/x", 3, 503, 503, 202);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 3);
    assert_string_equal(t.calls[0], "/a/x a/1");
    assert_string_equal(t.calls[2], "/a/x a/1");
    assert_int_equal(count_units("a", VERDICT_TRIGGERED), 1);
    assert_null(fake_sent_at(0));
    end();
}

static void lane__what_is_refused_for_good_lies_in_the_dead_letter_topic(void **state)
{
    (void)state;
    static const char *const headers[] =
        {"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", NULL};
    begin("", "ci", true);
    answer(0, "/a/x", 1, 404);
    fake_publish(t.partition, "the-key", EVENT("1", "x", "c1"), headers);
    go();
    assert_true(fake_await_done(t.partition, 1));
    const struct fake_sent *dead = fake_sent_at(0);
    assert_non_null(dead);
    assert_string_equal(dead->topic, "ci.g.dlq");
    assert_string_equal(dead->key, "the-key");
    assert_string_equal(dead->value, EVENT("1", "x", "c1"));
    assert_string_equal(fake_sent_header(dead, PARK_TARGET), "a");
    assert_string_equal(fake_sent_header(dead, PARK_EVENT_ID), "1");
    assert_string_equal(fake_sent_header(dead, PARK_REASON), "http_404");
    assert_string_equal(fake_sent_header(dead, PARK_CLASS), "dead");
    assert_string_equal(fake_sent_header(dead, PARK_ATTEMPTS), "1");
    assert_string_equal(fake_sent_header(dead, PARK_ROUND), "1");
    assert_string_equal(fake_sent_header(dead, PARK_TOPIC), "ci");
    assert_string_equal(fake_sent_header(dead, PARK_OFFSET), "0");
    assert_non_null(fake_sent_header(dead, PARK_FIRST_SEEN));
    assert_string_equal(fake_sent_header(dead, "traceparent"), headers[1]);
    end();
}

static void lane__what_cannot_be_read_is_dead_and_the_next_goes_on(void **state)
{
    (void)state;
    begin("", "ci", true);
    fake_publish(t.partition, "k", "{\"id\": \"1\", ", NULL);
    fake_publish(t.partition, "k", EVENT("2", "x", "c1"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 2));
    assert_int_equal(calls(), 1);
    assert_string_equal(fake_sent_at(0)->topic, "ci.g.dlq");
    assert_string_equal(fake_sent_header(fake_sent_at(0), PARK_REASON), "bad-json");
    end();
}

static void lane__when_the_patience_is_over_the_unit_waits_in_a_retry_topic(void **state)
{
    (void)state;
    begin("    retry: {hold: 0ms, backoff: 1ms..5ms}\n", "ci", true);
    answer(0, "/a/x", 1, 503);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    fake_publish(t.partition, "other", EVENT("2", "y", "c1"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 2));
    stop_lane(LANE_NO_STARTS);
    assert_string_equal(fake_sent_at(0)->topic, "ci.g.retry.1s");
    assert_string_equal(fake_sent_header(fake_sent_at(0), PARK_REASON), "http_503");
    assert_string_equal(fake_sent_header(fake_sent_at(0), PARK_CLASS), "deferred");
    assert_int_equal(count_units("a", VERDICT_DEFERRED), 1);
    assert_int_equal(count_units("a", VERDICT_TRIGGERED), 1);
    end();
}

static void lane__successors_of_a_parked_unit_are_parked_with_it(void **state)
{
    (void)state;
    begin("    retry: {hold: 0ms, backoff: 1ms..5ms}\n", "ci", true);
    answer(0, "/a/x", 1, 503);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    fake_publish(t.partition, "k", EVENT("2", "y", "c1"), NULL);
    fake_publish(t.partition, "k", EVENT("3", "z", "c1"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 3));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 1);
    assert_int_equal(count_units("a", VERDICT_DEFERRED), 3);
    assert_string_equal(fake_sent_header(fake_sent_at(1), PARK_REASON), "order");
    assert_string_equal(fake_sent_header(fake_sent_at(1), PARK_ATTEMPTS), "0");
    end();
}

static void lane__without_order_the_others_of_the_key_go_on(void **state)
{
    (void)state;
    begin("    order: none\n    retry: {hold: 0ms, backoff: 1ms..5ms}\n", "ci", true);
    answer(0, "/a/x", 1, 503);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    fake_publish(t.partition, "k", EVENT("2", "y", "c1"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 2));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(count_units("a", VERDICT_DEFERRED), 1);
    assert_int_equal(count_units("a", VERDICT_TRIGGERED), 1);
    end();
}

static void lane__one_key_is_called_in_order(void **state)
{
    (void)state;
    begin("", "ci", true);
    for (int i = 0; i < 2; i++) {
        fake_publish(t.partition, "k", i ? EVENT("4", "x4", "c") : EVENT("0", "x0", "c"),
                     NULL);
        fake_publish(t.partition, "k", i ? EVENT("5", "x5", "c") : EVENT("1", "x1", "c"),
                     NULL);
        fake_publish(t.partition, "k", i ? EVENT("6", "x6", "c") : EVENT("2", "x2", "c"),
                     NULL);
        fake_publish(t.partition, "k", i ? EVENT("7", "x7", "c") : EVENT("3", "x3", "c"),
                     NULL);
    }
    go();
    assert_true(fake_await_done(t.partition, 8));
    for (int i = 0; i < 8; i++) {
        char expected[32];
        snprintf(expected, sizeof expected, "/a/x%d a/%d", i, i);
        assert_string_equal(t.calls[i], expected);
    }
    end();
}

static void lane__a_duplicate_in_the_middle_does_not_break_the_order(void **state)
{
    (void)state;
    begin("    timeout: 20s\n    retry: {hold: 10s, backoff: 1ms..5ms}\n", "ci", true);
    fake_publish(t.partition, "k", EVENT("b", "xb", "c"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 1));
    answer(0, "/a/xa", 4, 503, 503, 503, 202);
    fake_publish(t.partition, "k", EVENT("a", "xa", "c"), NULL);
    fake_publish(t.partition, "k", EVENT("b", "xb", "c"), NULL); /* done before */
    fake_publish(t.partition, "k", EVENT("c", "xc", "c"), NULL);
    assert_true(fake_await_done(t.partition, 4));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 6);
    assert_string_equal(t.calls[4], "/a/xa a/a");
    assert_string_equal(t.calls[5], "/a/xc a/c");
    assert_int_equal(count_units("a", VERDICT_DUPLICATE), 1);
    end();
}

static void lane__holds_while_parking_fails(void **state)
{
    (void)state;
    begin("", "ci", true);
    answer(0, "/a/x", 1, 404);
    fake_broker_fail(-EIO, 2);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(fake_await_refused(1));
    assert_int_equal(fake_done_offset(t.partition), -1);
    assert_true(fake_await_done(t.partition, 1));
    assert_string_equal(fake_sent_at(0)->topic, "ci.g.dlq");
    end();
}

static void lane__a_record_too_large_for_its_topic_is_stored_cut(void **state)
{
    (void)state;
    begin("", "ci", true);
    answer(0, "/a/x", 1, 404);
    fake_broker_fail(-EINVAL, 1);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 1));
    assert_non_null(strstr(fake_sent_header(fake_sent_at(0), PARK_CUT), "bytes="));
    end();
}

static void lane__an_unknown_outcome_is_dead_when_the_target_says_so(void **state)
{
    (void)state;
    begin("    on_uncertain: dead\n", "ci", true);
    t.scripts[0] = (struct script){.path = "/a/x", .hang = true};
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 1);
    assert_string_equal(fake_sent_header(fake_sent_at(0), PARK_REASON),
                        "outcome-unknown");
    end();
}

/* --- rounds --- */

static void lane__a_parked_unit_is_tried_once_when_it_is_due(void **state)
{
    (void)state;
    char seen[24];
    snprintf(seen, sizeof seen, "%lld", (long long)now_wall_ms() - 5000);
    const char *const headers[] = {PARK_TARGET,   "a", PARK_ROUND,      "1",
                                   PARK_ATTEMPTS, "3", PARK_FIRST_SEEN, seen,
                                   NULL};
    begin("    retry: {hold: 10s, backoff: 1ms..5ms}\n", "ci.g.retry.1s", false);
    answer(0, "/a/x", 1, 503);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), headers);
    int64_t began_ms = now_ms();
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    assert_true(now_ms() - began_ms >= 900); /* never early: a promise, not a speed */
    assert_int_equal(calls(), 1);
    assert_string_equal(fake_sent_at(0)->topic, "ci.g.retry.2s");
    assert_string_equal(fake_sent_header(fake_sent_at(0), PARK_ROUND), "2");
    assert_string_equal(fake_sent_header(fake_sent_at(0), PARK_ATTEMPTS), "4");
    assert_string_equal(fake_sent_header(fake_sent_at(0), PARK_FIRST_SEEN), seen);
    end();
}

static void lane__a_unit_past_its_budget_is_dead(void **state)
{
    (void)state;
    static const char *const headers[] = {PARK_TARGET,     "a", PARK_ROUND, "7",
                                          PARK_FIRST_SEEN, "1", NULL};
    begin("", "ci.g.retry.1s", false);
    answer(0, "/a/x", 1, 503);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), headers);
    go();
    assert_true(fake_await_done(t.partition, 1));
    assert_string_equal(fake_sent_at(0)->topic, "ci.g.dlq");
    assert_string_equal(fake_sent_header(fake_sent_at(0), PARK_REASON), "http_503");
    end();
}

static void lane__a_target_that_is_gone_makes_its_units_dead(void **state)
{
    (void)state;
    static const char *const headers[] = {PARK_TARGET, "removed", PARK_ROUND, "1", NULL};
    begin("", "ci.g.retry.1s", false);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), headers);
    go();
    assert_true(fake_await_done(t.partition, 1));
    assert_int_equal(calls(), 0);
    assert_string_equal(fake_sent_header(fake_sent_at(0), PARK_REASON), "target-gone");
    assert_string_equal(fake_sent_header(fake_sent_at(0), PARK_TARGET), "removed");
    end();
}

/* --- stop --- */

static void lane__a_stop_lets_what_was_sent_end_and_returns_the_rest(void **state)
{
    (void)state;
    begin("    timeout: 20s\n", "ci", true);
    t.scripts[0] = (struct script){.path = "/a/x1", .hang = true};
    fake_publish(t.partition, "j", EVENT("0", "x0", "c"), NULL);
    fake_publish(t.partition, "k", EVENT("1", "x1", "c"), NULL);
    fake_publish(t.partition, "k", EVENT("2", "x2", "c"), NULL); /* behind 1 */
    go();
    assert_true(await_calls(2));
    lane_stop(t.lane, LANE_NO_STARTS);
    assert_int_equal(stop_lane(LANE_ABORT), 2);
    assert_int_equal(calls(), 2);
    assert_int_equal(fake_done_offset(t.partition), 1);
    assert_int_equal(count_units("a", VERDICT_TRIGGERED), 1);
    assert_int_equal(count_units("a", VERDICT_RETURNED), 2);
    end();
}

static void lane__what_would_be_parked_is_returned_at_a_stop(void **state)
{
    (void)state;
    begin("", "ci", true);
    answer(0, "/a/x", 1, 404);
    fake_broker_fail(-EIO, 1000000);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(fake_await_refused(1));
    assert_int_equal(stop_lane(LANE_NO_STARTS), 1);
    assert_int_equal(fake_done_offset(t.partition), -1);
    end();
}

static void lane__a_returned_claim_is_free_for_the_next_owner(void **state)
{
    (void)state;
    begin("    timeout: 20s\n", "ci", true);
    t.scripts[0] = (struct script){.path = "/a/x", .hang = true};
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(await_calls(1));
    assert_int_equal(stop_lane(LANE_ABORT), 1);
    struct kafka_partition *first = t.partition;
    t.rested = false;
    t.partition = fake_partition_new("ci", true);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 2);
    assert_string_equal(t.calls[1], "/a/x a/1");
    fake_partition_free(first);
    end();
}

/* --- Redis --- */

static void lane__without_redis_nothing_is_sent_and_it_goes_on_by_itself(void **state)
{
    (void)state;
    begin("", "ci", true);
    redis_server_kill(&t.redis_server);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    while (atomic_load(&t.lane->wait) != LANE_REDIS) {
        sched_yield();
    }
    assert_int_equal(calls(), 0);
    redis_server_launch(&t.redis_server);
    assert_true(fake_await_done(t.partition, 1));
    assert_int_equal(calls(), 1);
    end();
}

static void lane__a_target_may_say_that_it_is_sent_to_without_redis(void **state)
{
    (void)state;
    begin("    on_redis_loss: send\n", "ci", true);
    redis_server_kill(&t.redis_server);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 1));
    assert_int_equal(calls(), 1);
    end();
}

int main(void)
{
    log_setup(LOG_ERROR, LOG_TEXT, NULL);
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
