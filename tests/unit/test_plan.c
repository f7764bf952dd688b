/* A reload between batches and under them: what changes, what stays. */
#include "lane_stage.h"

#define LIMIT(rate) "    limits: [l]\nlimits: {l: {rate: " rate ", burst: 10}}\n"
#define NOT_THIS    "    match: {app: other}\n"

static void plan__a_batch_ends_under_the_plan_it_began_under(void **state)
{
    (void)state;
    begin("", "ci", true);
    hold_calls(0, "/a/x");
    fake_publish(t.partition, "k", EVENT("1", "x", "c"), NULL);
    go();
    assert_true(await_calls(1));
    change_config(NOT_THIS);
    fake_publish(t.partition, "k", EVENT("2", "x", "c"), NULL);
    release_calls();
    assert_true(fake_await_done(t.partition, 2));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 1);
    assert_int_equal(count_units("a", VERDICT_TRIGGERED), 1);
    assert_int_equal(count_units("none", VERDICT_SKIPPED), 1);
    end();
}

static void plan__an_idle_lane_works_under_the_new_plan(void **state)
{
    (void)state;
    begin(NOT_THIS, "ci", true);
    go();
    await_wait(LANE_IDLE);
    change_config("");
    fake_publish(t.partition, "k", EVENT("1", "x", "c"), NULL);
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(count_units("a", VERDICT_TRIGGERED), 1);
    end();
}

static void plan__the_size_of_a_batch_is_the_new_one(void **state)
{
    (void)state;
    begin("", "ci", true);
    struct plan *old = plan_take(t.fleet.plans);
    struct config *config = make_config("");
    config->batch.size = 1;
    plans_change(t.fleet.plans, config);
    config_free(config);
    assert_int_equal(old->config->batch.size, 5); /* still good for who works under it */
    plan_put(old);
    for (int i = 0; i < 3; i++) {
        fake_publish(t.partition, NULL, EVENT("1", "x", "c"), NULL);
    }
    go();
    assert_true(fake_await_done(t.partition, 3));
    stop_lane(LANE_NO_STARTS);
    assert_true(counted("\nbatches 3\n"));
    end();
}

static void plan__a_breaker_stays_open_through_a_change(void **state)
{
    (void)state;
    begin("    timeout: 1s\n", "ci", true);
    struct downstream *before = target_at(0)->downstream;
    for (int i = 0; i < BREAKER_FAILURES; i++) {
        breaker_report(&before->breaker, true, now_ms());
    }
    change_config("    timeout: 2s\n" LIMIT("1/s"));
    assert_ptr_equal(target_at(0)->downstream, before);
    assert_true(breaker_is_open(&before->breaker, now_ms()));
    end();
}

static void plan__another_address_range_is_another_downstream(void **state)
{
    (void)state;
    begin("", "ci", true);
    struct downstream *before = target_at(0)->downstream;
    struct plan *old = plan_take(t.fleet.plans);
    change_config("    public_only: true\n");
    assert_ptr_not_equal(target_at(0)->downstream, before);
    assert_int_equal(atomic_load(&before->room.out), 0); /* there while old is used */
    plan_put(old);
    end();
}

static void plan__a_target_says_how_many_calls_it_takes(void **state)
{
    (void)state;
    begin("    concurrency: 3\n", "ci", true);
    assert_int_equal(target_at(0)->downstream->room.width, 3);
    struct downstream *before = target_at(0)->downstream;
    struct plan *old = plan_take(t.fleet.plans);
    atomic_store(&before->silent_until_ms, 12345);
    change_config("    concurrency: 4\n");
    assert_ptr_not_equal(target_at(0)->downstream, before);
    assert_int_equal(target_at(0)->downstream->room.width, 4);
    assert_int_equal(atomic_load(&target_at(0)->downstream->silent_until_ms), 12345);
    plan_put(old);
    change_config("    concurrency: 16\n"); /* of sixteen in flight */
    assert_int_equal(target_at(0)->downstream->room.width, 8);
    end();
}

static void plan__no_more_calls_are_out_than_a_target_takes(void **state)
{
    (void)state;
    begin("    concurrency: 2\n    order: none\n", "ci", true);
    hold_calls(0, "/a/x");
    for (int i = 0; i < 5; i++) {
        static const char *const events[] = {EVENT("1", "x", "c"), EVENT("2", "x", "c"),
                                             EVENT("3", "x", "c"), EVENT("4", "x", "c"),
                                             EVENT("5", "x", "c")};
        fake_publish(t.partition, NULL, events[i], NULL);
    }
    go();
    assert_true(await_calls(2));
    await_wait(LANE_TARGET);
    assert_int_equal(http_running(t.fleet.http), 2);
    release_calls();
    assert_true(fake_await_done(t.partition, 5));
    assert_int_equal(count_units("a", VERDICT_TRIGGERED), 5);
    end();
}

static void plan__limits_that_did_not_change_go_on(void **state)
{
    (void)state;
    begin(LIMIT("5/s"), "ci", true);
    struct limiter_set *before = limiter_set_hold(target_at(0)->limits);
    change_config("    timeout: 1s\n" LIMIT("5/s"));
    assert_ptr_equal(target_at(0)->limits, before);
    change_config(LIMIT("6/s"));
    assert_ptr_not_equal(target_at(0)->limits, before);
    limiter_set_free(before);
    end();
}

static void plan__a_unit_whose_target_is_gone_is_dead(void **state)
{
    static const char *const headers[] = {PARK_TARGET, "b", NULL};
    (void)state;
    begin("  b: {url: \"http://127.0.0.1:9/never\"}\n", "ci.g.retry.1s", false);
    change_config("");
    fake_publish(t.partition, "k", EVENT("1", "x", "c"), headers);
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    assert_string_equal(fake_sent_header(fake_sent_at(0), PARK_REASON), "target-gone");
    end();
}

static void plan__changes_under_load_lose_and_double_nothing(void **state)
{
    enum { EVENTS = 150 };
    static char events[EVENTS][96];
    (void)state;
    begin(LIMIT("1000/s"), "ci", true);
    go();
    for (int i = 0; i < EVENTS; i++) {
        snprintf(events[i], sizeof events[i], EVENT("%d", "x", "c"), i);
        fake_publish(t.partition, NULL, events[i], NULL);
        if (i % 5 == 0) {
            change_config(i % 2 ? LIMIT("1000/s") : "    timeout: 1s\n" LIMIT("2000/s"));
        }
    }
    assert_true(fake_await_done(t.partition, EVENTS));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(count_units("a", VERDICT_TRIGGERED), EVENTS);
    assert_int_equal(calls(), EVENTS);
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
