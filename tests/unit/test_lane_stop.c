/* A lane over its rounds, at a stop, and without Redis. */
#include "lane_stage.h"

/* --- rounds --- */

static void lane_stop__a_parked_unit_is_tried_once_when_it_is_due(void **state)
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

static void lane_stop__a_parked_record_carries_the_tries_of_all_rounds(void **state)
{
    (void)state;
    static const char *const headers[] = {PARK_TARGET, "a",
                                          PARK_ROUND,  "1",
                                          PARK_TRIES,  "1764012127560+9:0:timeout@c-7",
                                          NULL};
    begin("    retry: {hold: 10s, backoff: 1ms..5ms}\n", "ci.g.retry.1s", false);
    answer(0, "/a/x", 1, 503);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), headers);
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    struct try_kept one;
    char consumer[TRY_CONSUMER_MAX];
    const char *tries = fake_sent_header(fake_sent_at(0), PARK_TRIES);
    assert_non_null(tries);
    assert_true(tries_next(&tries, &one, consumer));
    assert_string_equal(one.reason, "timeout");
    assert_string_equal(consumer, "c-7");
    assert_true(tries_next(&tries, &one, consumer));
    assert_int_equal(one.status, 503);
    assert_string_equal(one.reason, "http_503");
    assert_true(one.at_wall_ms > 1764012127560);
    assert_string_equal(consumer, t.config->kafka.client_id);
    assert_false(tries_next(&tries, &one, consumer));
    end();
}

static void lane_stop__a_unit_past_its_budget_is_dead(void **state)
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

static void lane_stop__a_target_that_is_gone_makes_its_units_dead(void **state)
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

static void lane_stop__lets_what_was_sent_end_and_returns_the_rest(void **state)
{
    (void)state;
    begin("    timeout: 20s\n", "ci", true);
    t.scripts[0] = (struct script){.path = "/a/x1", .hang = true};
    fake_publish(t.partition, "j", EVENT("0", "x0", "c"), NULL);
    fake_publish(t.partition, "k", EVENT("1", "x1", "c"), NULL);
    fake_publish(t.partition, "k", EVENT("2", "x2", "c"), NULL); /* behind 1 */
    go();
    assert_true(await_calls(2));
    while (http_running(t.fleet.http) > 1) {
        sched_yield(); /* the answer of the other one is on its way */
    }
    lane_stop(t.lane, LANE_NO_STARTS);
    assert_int_equal(stop_lane(LANE_ABORT), 2);
    assert_int_equal(calls(), 2);
    assert_int_equal(fake_done_offset(t.partition), 1);
    assert_int_equal(count_units("a", VERDICT_TRIGGERED), 1);
    assert_int_equal(count_units("a", VERDICT_RETURNED), 2);
    end();
}

static void lane_stop__what_would_be_parked_is_returned_at_a_stop(void **state)
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

static void lane_stop__a_returned_claim_is_free_for_the_next_owner(void **state)
{
    (void)state;
    begin("    timeout: 20s\n", "ci", true);
    t.scripts[0] = (struct script){.path = "/a/x", .hang = true};
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(await_calls(1));
    assert_int_equal(stop_lane(LANE_ABORT), 1);
    assign_anew();
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 2);
    assert_string_equal(t.calls[1], "/a/x a/1");
    end();
}

/* --- Redis --- */

static void lane_stop__without_redis_nothing_is_sent(void **state)
{
    (void)state;
    begin("", "ci", true);
    redis_server_kill(&t.redis_server);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    await_wait(LANE_REDIS);
    assert_int_equal(calls(), 0);
    redis_server_launch(&t.redis_server);
    assert_true(fake_await_done(t.partition, 1));
    assert_int_equal(calls(), 1);
    end();
}

static void lane_stop__a_target_may_do_without_redis(void **state)
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
