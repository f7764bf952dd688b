/* A paused target: its units wait without a call, an attempt or their budget. */
#include "lane_stage.h"

static const char *const paused[] = {"a"};

static const char *header(size_t i, const char *name)
{
    const struct fake_sent *sent = fake_sent_at(i);
    assert_non_null(sent);
    return fake_sent_header(sent, name);
}

static void pause__units_wait_without_a_call(void **state)
{
    (void)state;
    begin("  b: {url: \"http://127.0.0.1:9/never\", match: {app: other}}\n", "ci", true);
    plans_pause(t.fleet.plans, paused, 1);
    fake_publish(t.partition, "k", EVENT("1", "x", "c"), NULL);
    fake_publish(t.partition, "k", EVENT("2", "x", "c"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 2));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 0);
    assert_int_equal(count_units("a", VERDICT_DEFERRED), 2);
    assert_string_equal(fake_sent_at(0)->topic, "ci.g.retry.1s");
    assert_string_equal(header(0, PARK_REASON), "paused");
    assert_string_equal(header(0, PARK_ATTEMPTS), "0");
    assert_string_equal(header(0, PARK_TIER), "0");
    assert_string_equal(header(1, PARK_EVENT_ID), "2");
    assert_true(counted("paused{t=\"a\"} 1\n"));
    assert_true(counted("paused{t=\"b\"} 0\n"));
    end();
}

static void pause__a_resumed_target_is_called(void **state)
{
    (void)state;
    begin("", "ci", true);
    plans_pause(t.fleet.plans, paused, 1);
    plans_pause(t.fleet.plans, NULL, 0);
    fake_publish(t.partition, "k", EVENT("1", "x", "c"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 1);
    assert_true(counted("paused{t=\"a\"} 0\n"));
    end();
}

static void pause__outlives_a_change_of_the_target(void **state)
{
    (void)state;
    begin("", "ci", true);
    plans_pause(t.fleet.plans, paused, 1);
    change_config("    public_only: true\n"); /* another downstream */
    assert_true(atomic_load(&target_at(0)->downstream->paused));
    end();
}

/* Of a unit that waited for a resume, and whose budget would long be over. */
static const char *const waited[] = {PARK_TARGET, "a",      PARK_REASON,     "paused",
                                     PARK_HELD,   "500000", PARK_ROUND,      "3",
                                     PARK_TIER,   "0",      PARK_FIRST_SEEN, "1000",
                                     NULL};

static void pause__never_is_the_death_of_a_unit(void **state)
{
    (void)state;
    begin("    retry: {hold: 0ms, budget: 1s}\n", "ci.g.retry.1s", false);
    plans_pause(t.fleet.plans, paused, 1);
    fake_publish(t.partition, "k", EVENT("1", "x", "c"), waited);
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    assert_string_equal(fake_sent_at(0)->topic, "ci.g.retry.1s");
    int64_t held_ms = strtoll(header(0, PARK_HELD), NULL, 10);
    assert_true(held_ms > 500500); /* and the second it waited in the topic */
    assert_string_equal(header(0, PARK_FIRST_SEEN), "1000");
    end();
}

static void pause__time_in_it_is_not_taken_from_the_budget(void **state)
{
    char first_seen[24];
    const char *const headers[] = {PARK_TARGET, "a",      PARK_REASON,     "paused",
                                   PARK_HELD,   "500000", PARK_ROUND,      "3",
                                   PARK_TIER,   "0",      PARK_FIRST_SEEN, first_seen,
                                   NULL};
    (void)state;
    begin("    retry: {hold: 0ms, budget: 60s}\n", "ci.g.retry.1s", false);
    snprintf(first_seen, sizeof first_seen, "%lld", (long long)now_wall_ms() - 510000);
    answer(0, "/a/x", 1, 503);
    fake_publish(t.partition, "k", EVENT("1", "x", "c"), headers);
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 1);
    assert_int_equal(count_units("a", VERDICT_DEFERRED),
                     1); /* ten seconds old, not 510 */
    end();
}

/* Parked by a worker that knew no class for it; and by one that does. */
static void pause__is_counted_and_named_in_the_record(void **state)
{
    (void)state;
    begin("", "ci", true);
    plans_pause(t.fleet.plans, paused, 1);
    assert_true(counted("held{t=\"a\",r=\"paused\"} 0\n"));
    fake_publish(t.partition, "k", EVENT("1", "x", "c"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    assert_string_equal(header(0, PARK_CLASS), PARK_CLASS_HELD);
    assert_true(counted("held{t=\"a\",r=\"paused\"} 1\n"));
    end();
}

static void pause__that_goes_on_is_counted_once(void **state)
{
    (void)state;
    begin("", "ci.g.retry.1s", false);
    plans_pause(t.fleet.plans, paused, 1);
    fake_publish(t.partition, "k", EVENT("1", "x", "c"), waited);
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    assert_true(counted("held{t=\"a\",r=\"paused\"} 0\n"));
    assert_string_equal(header(0, PARK_CLASS), PARK_CLASS_HELD);
    end();
}

static void pause__reaches_a_batch_that_is_worked(void **state)
{
    (void)state;
    begin("", "ci", true);
    hold_calls(0, "/a/x");
    fake_publish(t.partition, "k", EVENT("1", "x", "c"), NULL);
    fake_publish(t.partition, "k", EVENT("2", "y", "c"), NULL);
    fake_publish(t.partition, "k", EVENT("3", "y", "c"), NULL);
    go();
    assert_true(await_calls(1));
    plans_pause(t.fleet.plans, paused, 1);
    release_calls();
    assert_true(fake_await_done(t.partition, 3));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 1); /* what is out ends, those behind it wait */
    assert_int_equal(count_units("a", VERDICT_TRIGGERED), 1);
    assert_int_equal(count_units("a", VERDICT_DEFERRED), 2);
    assert_string_equal(header(0, PARK_REASON), "paused");
    assert_string_equal(header(1, PARK_REASON), "paused");
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
