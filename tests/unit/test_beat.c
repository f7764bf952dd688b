/* What a worker says of itself, out of made-up views. */
#include "ops/beat.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

static const struct beat_self self = {.id = "c-1",
                                      .host = "h",
                                      .version = "1.2.3",
                                      .revision = "abc",
                                      .boot = "0badcafe",
                                      .config_hash = "9d02",
                                      .started_ms = 1000};

enum { LANES = 3 };

static struct {
    struct view_lane lanes[LANES];
    struct view_target targets[2];
    struct view_limit limits[1];
    struct worker_view view;
} t;

static void set_up(void)
{
    memset(&t, 0, sizeof t);
    for (int i = 0; i < LANES; i++) {
        struct view_lane *lane = &t.lanes[i];
        lane->source = i < 2;
        snprintf(lane->topic, sizeof lane->topic, "%s", i < 2 ? "ci" : "ci.g.retry.1s");
        lane->partition = i < 2 ? i : 0;
        lane->lag = (struct kafka_lag){.committed = 100, .end = 110, .oldest_ms = 2500};
    }
    snprintf(t.targets[0].name, sizeof t.targets[0].name, "argocd");
    t.targets[0].kind = "argocd";
    t.targets[0].open_ms = -1;
    t.targets[0].took.bound_count = 2;
    t.targets[0].took.bounds_s[0] = 0.1;
    t.targets[0].took.bounds_s[1] = 0.2;
    t.targets[0].limit_count = 1;
    snprintf(t.limits[0].name, sizeof t.limits[0].name, "deploys");
    t.view = (struct worker_view){.kafka = KAFKA_RUNNING,
                                  .redis_answers = true,
                                  .batch_size = 50,
                                  .partitions = 9,
                                  .lanes = t.lanes,
                                  .lane_count = LANES,
                                  .targets = t.targets,
                                  .target_count = 1,
                                  .limits = t.limits,
                                  .limit_count = 1};
}

static int64_t number(struct json_object *beat, const char *pointer)
{
    struct json_object *at = json_at(beat, pointer);
    return at ? json_object_get_int64(at) : -999;
}

static double real(struct json_object *beat, const char *pointer)
{
    struct json_object *at = json_at(beat, pointer);
    return at ? json_object_get_double(at) : -999;
}

static void beat__says_who_it_is(void **state)
{
    (void)state;
    set_up();
    struct beat_memory *m = beat_memory_new();
    struct json_object *beat = beat_make(m, &self, NULL, &t.view, 61000);
    assert_string_equal(json_string_at(beat, "/id", NULL), "c-1");
    assert_string_equal(json_string_at(beat, "/boot", NULL), "0badcafe");
    assert_string_equal(json_string_at(beat, "/state", NULL), "running");
    assert_int_equal(number(beat, "/up_s"), 60);
    assert_int_equal(number(beat, "/all_partitions"), 9);
    json_free(beat);
    beat_memory_free(m);
}

static void beat__the_state_follows_the_worker(void **state)
{
    (void)state;
    set_up();
    struct beat_memory *m = beat_memory_new();
    const struct {
        enum kafka_state kafka;
        size_t lanes;
        bool stopping;
        const char *asked;
        const char *want;
    } cases[] = {{KAFKA_JOINING, 0, false, NULL, "starting"},
                 {KAFKA_RUNNING, 0, false, NULL, "idle"},
                 {KAFKA_RUNNING, 3, false, NULL, "running"},
                 {KAFKA_JOINING, 3, true, NULL, "draining"},
                 {KAFKA_RUNNING, 0, false, "drained", "drained"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        t.view.kafka = cases[i].kafka;
        t.view.lane_count = cases[i].lanes;
        t.view.stopping = cases[i].stopping;
        struct json_object *beat = beat_make(m, &self, cases[i].asked, &t.view, 2000);
        assert_string_equal(json_string_at(beat, "/state", NULL), cases[i].want);
        json_free(beat);
    }
    beat_memory_free(m);
}

static void beat__what_is_not_known_is_null(void **state)
{
    (void)state;
    set_up();
    t.lanes[0].lag = (struct kafka_lag){-1, -1, -1};
    struct beat_memory *m = beat_memory_new();
    struct json_object *beat = beat_make(m, &self, NULL, &t.view, 2000);
    assert_null(json_at(beat, "/lag_events"));
    assert_null(json_at(beat, "/in_per_s")); /* one beat is no rate */
    assert_null(json_at(beat, "/partitions/0/lag_events"));
    assert_null(json_at(beat, "/partitions/0/lag_s"));
    assert_int_equal(number(beat, "/partitions/1/lag_events"), 10);
    assert_null(json_at(beat, "/limits/0/tokens"));
    assert_null(json_at(beat, "/p95_ms"));
    assert_null(json_at(beat, "/targets/0/triggered"));
    json_free(beat);
    beat_memory_free(m);
}

static void beat__lag_is_the_source_topics_and_the_rest_is_deferred(void **state)
{
    (void)state;
    set_up();
    struct beat_memory *m = beat_memory_new();
    struct json_object *beat = beat_make(m, &self, NULL, &t.view, 2000);
    assert_int_equal(number(beat, "/lag_events"), 20);
    assert_int_equal(number(beat, "/deferred"), 10);
    json_free(beat);
    beat_memory_free(m);
}

static void beat__rates_are_arrivals_and_commits(void **state)
{
    (void)state;
    set_up();
    struct beat_memory *m = beat_memory_new();
    json_free(beat_make(m, &self, NULL, &t.view, 10000));
    for (int i = 0; i < LANES; i++) {
        t.lanes[i].lag.committed += 40;
        t.lanes[i].lag.end += 20;
    }
    struct json_object *beat = beat_make(m, &self, NULL, &t.view, 12000);
    assert_true(real(beat, "/in_per_s") == 20); /* two source partitions of 10/s */
    assert_true(real(beat, "/out_per_s") == 40);
    assert_true(real(beat, "/partitions/0/in_per_s") == 10);
    json_free(beat);
    beat_memory_free(m);
}

static void beat__a_partition_that_comes_back_has_no_past(void **state)
{
    (void)state;
    set_up();
    struct beat_memory *m = beat_memory_new();
    json_free(beat_make(m, &self, NULL, &t.view, 10000));
    t.view.lane_count = 0;
    json_free(beat_make(m, &self, NULL, &t.view, 12000));
    t.view.lane_count = LANES;
    t.lanes[0].lag.committed += 5000; /* by another worker meanwhile */
    struct json_object *beat = beat_make(m, &self, NULL, &t.view, 14000);
    assert_null(json_at(beat, "/partitions/0/out_per_s"));
    json_free(beat);
    beat_memory_free(m);
}

static void beat__counts_calls_of_the_last_minute(void **state)
{
    (void)state;
    set_up();
    struct beat_memory *m = beat_memory_new();
    struct view_target *target = &t.targets[0];
    json_free(beat_make(m, &self, NULL, &t.view, 10000));
    target->calls = 20;
    target->triggered = 18;
    target->codes[2] = 18;
    target->codes[5] = 2;
    target->took.counts[0] = 10;
    target->took.counts[1] = 10;
    struct json_object *beat = beat_make(m, &self, NULL, &t.view, 12000);
    assert_string_equal(json_string_at(beat, "/targets/0/kind", NULL), "argocd");
    assert_int_equal(number(beat, "/targets/0/triggered"), 18);
    assert_int_equal(number(beat, "/targets/0/c5xx"), 2);
    assert_true(real(beat, "/targets/0/calls_per_s") == 10);
    assert_int_equal(number(beat, "/targets/0/took/counts/1"), 10);
    assert_string_equal(json_string_at(beat, "/targets/0/limits/0", NULL), "deploys");
    assert_int_equal(number(beat, "/p95_ms"), 190);
    json_free(beat);
    for (int i = 1; i <= 31; i++) { /* a minute later nothing is new */
        json_free(beat_make(m, &self, NULL, &t.view, 12000 + i * 2000));
    }
    beat = beat_make(m, &self, NULL, &t.view, 76000);
    assert_int_equal(number(beat, "/targets/0/triggered"), 0);
    assert_null(json_at(beat, "/p95_ms"));
    json_free(beat);
    beat_memory_free(m);
}

static void beat__counts_what_began_to_wait_by_why(void **state)
{
    (void)state;
    set_up();
    struct beat_memory *m = beat_memory_new();
    struct view_target *target = &t.targets[0];
    target->held_count = 1;
    target->held[0] = (struct view_held){"paused", 7};
    json_free(beat_make(m, &self, NULL, &t.view, 10000));
    target->held_count = 2; /* the first that ever waits for that */
    target->held[1] = (struct view_held){"hibernating", 3};
    struct json_object *beat = beat_make(m, &self, NULL, &t.view, 12000);
    assert_int_equal(number(beat, "/targets/0/held/hibernating"), 3);
    assert_null(json_at(beat, "/targets/0/held/paused")); /* longer ago */
    json_free(beat);
    for (int i = 1; i <= 31; i++) {
        json_free(beat_make(m, &self, NULL, &t.view, 12000 + i * 2000));
    }
    beat = beat_make(m, &self, NULL, &t.view, 76000);
    assert_int_equal(json_object_object_length(json_at(beat, "/targets/0/held")), 0);
    json_free(beat);
    beat_memory_free(m);
}

static void beat__a_batch_names_who_keeps_it(void **state)
{
    (void)state;
    set_up();
    struct view_lane *lane = &t.lanes[0];
    lane->state = VIEW_BARRIER;
    lane->events = lane->units = 50;
    lane->ended = 47;
    lane->waiting_count = 1;
    lane->waiting[0] = (struct view_waiting){"argocd", 3, 3100};
    struct beat_memory *m = beat_memory_new();
    struct json_object *beat = beat_make(m, &self, NULL, &t.view, 2000);
    assert_string_equal(json_string_at(beat, "/partitions/0/batch/state", NULL),
                        "barrier");
    assert_int_equal(number(beat, "/partitions/0/batch/size"), 50);
    assert_int_equal(number(beat, "/partitions/0/batch/ended"), 47);
    assert_int_equal(number(beat, "/partitions/0/batch/waiting/0/units"), 3);
    json_free(beat);
    beat_memory_free(m);
}

static void beat__its_size_is_bounded(void **state)
{
    (void)state;
    set_up();
    size_t n = BEAT_PARTITIONS_MAX + 100;
    struct view_lane *lanes = test_calloc(n, sizeof *lanes);
    struct view_target *targets = test_calloc(n, sizeof *targets);
    for (size_t i = 0; i < n; i++) {
        lanes[i] = t.lanes[0];
        lanes[i].partition = (int)i;
        targets[i] = t.targets[0];
        snprintf(targets[i].name, sizeof targets[i].name, "target-%zu", i);
    }
    t.view.lanes = lanes;
    t.view.lane_count = n;
    t.view.targets = targets;
    t.view.target_count = n;
    struct beat_memory *m = beat_memory_new();
    struct json_object *beat = beat_make(m, &self, NULL, &t.view, 2000);
    assert_int_equal(json_object_array_length(json_at(beat, "/partitions")),
                     BEAT_PARTITIONS_MAX);
    assert_int_equal(number(beat, "/more_partitions"), 100);
    assert_int_equal(json_object_array_length(json_at(beat, "/targets")),
                     BEAT_TARGETS_MAX);
    assert_int_equal(number(beat, "/lag_events"), 10 * (int64_t)n); /* of all */
    struct str text;
    str_init(&text);
    json_print(beat, &text);
    assert_true(text.len < 256 * 1024);
    str_release(&text);
    json_free(beat);
    beat_memory_free(m);
    test_free(lanes);
    test_free(targets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
