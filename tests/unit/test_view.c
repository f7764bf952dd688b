/* What operators see of lanes and targets, while these work. */
#include "fleet/view.h"

#include "fake_gate.h"

static void look(struct view_lane *view)
{
    view_lane(t.lane, redis_is_connected(t.fleet.redis), now_ms(), view);
}

/* Look until the lane is seen in that state with so many units ended. */
static struct view_lane await_state(enum view_state state, int ended)
{
    struct view_lane view;
    int64_t until_ms = now_ms() + FAKE_PATIENCE_MS;
    look(&view);
    while (view.state != state || view.ended != ended) {
        if (now_ms() >= until_ms) {
            fail_msg("%s with %d ended, not %s with %d", view_state_name(view.state),
                     view.ended, view_state_name(state), ended);
        }
        sched_yield();
        look(&view);
    }
    return view;
}

/* --- lanes --- */

static void view__a_batch_that_waits_names_who_keeps_it(void **state)
{
    (void)state;
    begin("", "ci", true);
    hold_calls(0, "/a/slow");
    fake_publish(t.partition, "k1", EVENT("1", "x", "c1"), NULL);
    fake_publish(t.partition, "k2", EVENT("2", "slow", "c1"), NULL);
    fake_publish(t.partition, "k3", EVENT("3", "y", "c1"), NULL);
    go();
    struct view_lane view = await_state(VIEW_BARRIER, 2);
    assert_string_equal(view.topic, "ci");
    assert_true(view.source);
    assert_int_equal(view.events, 3);
    assert_int_equal(view.units, 3);
    assert_int_equal(view.waiting_count, 1);
    assert_string_equal(view.waiting[0].target, "a");
    assert_int_equal(view.waiting[0].units, 1);
    release_calls();
    assert_true(fake_await_done(t.partition, 3));
    await_state(VIEW_IDLE, 0);
    end();
}

static void view__a_call_on_the_wire_has_an_age(void **state)
{
    (void)state;
    begin("", "ci", true);
    hold_calls(0, "/a/slow");
    fake_publish(t.partition, "k", EVENT("1", "slow", "c1"), NULL);
    go();
    assert_true(await_calls(1));
    struct view_lane view;
    view_lane(t.lane, true, now_ms() + 60000, &view);
    assert_int_equal(view.state, VIEW_FIRING); /* nothing has ended yet */
    assert_true(view.waiting[0].oldest_ms >= 50000);
    assert_true(view.for_ms >= 50000);
    release_calls();
    assert_true(fake_await_done(t.partition, 1));
    end();
}

static void view__a_gate_that_is_asked_is_said(void **state)
{
    (void)state;
    begin_gated("", "ci", true);
    fake_gate.withholds = true;
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    struct view_lane view = await_state(VIEW_ASKING, 0);
    assert_string_equal(view_state_name(view.state), "asking");
    assert_string_equal(view.waiting[0].target, "a");
    await_wait(LANE_GATE);
    assert_true(fake_gate_answer(GATE_OPEN, "", 0));
    assert_true(fake_await_done(t.partition, 1));
    await_state(VIEW_IDLE, 0);
    end_gated();
}

static void view__a_batch_fills(void **state)
{
    (void)state;
    begin("", "ci", true);
    t.config->batch.age_ms = 60000;
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    fake_publish(t.partition, "k", EVENT("2", "x", "c2"), NULL);
    go();
    struct view_lane view = await_state(VIEW_FILLING, 0);
    int64_t until_ms = now_ms() + FAKE_PATIENCE_MS;
    while (view.events < 2 && now_ms() < until_ms) {
        look(&view);
    }
    assert_int_equal(view.events, 2);
    assert_int_equal(view.units, 0);
    end();
}

static void view__parking_is_said(void **state)
{
    (void)state;
    begin("", "ci", true);
    answer(0, "/a/x", 1, 400);
    fake_broker_silent();
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(fake_await_asked(1));
    struct view_lane view = await_state(VIEW_PARKING, 1);
    assert_int_equal(view.waiting_count, 0);
    fake_broker_answer(0);
    assert_true(fake_await_done(t.partition, 1));
    end();
}

static void view__a_retry_lane_waits_until_its_head_is_due(void **state)
{
    (void)state;
    begin("", "ci.g.retry.1h", false);
    const char *const headers[] = {"sluice-target", "a", NULL};
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), headers);
    go();
    struct view_lane view = await_state(VIEW_DUE, 0);
    assert_false(view.source);
    end();
}

static void view__without_redis_the_lane_is_blocked(void **state)
{
    (void)state;
    begin("", "ci", true);
    redis_server_kill(&t.redis_server);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    await_state(VIEW_BLOCKED, 0);
    end();
}

/* For ThreadSanitizer, and for the batch that ends while somebody looks. */
static void view__looking_does_not_disturb(void **state)
{
    (void)state;
    begin("", "ci", true);
    for (int i = 0; i < 100; i++) {
        fake_publish(t.partition, NULL, EVENT("1", "x", "c1"), NULL);
    }
    go();
    struct view_lane view;
    do {
        look(&view);
        assert_true(view.ended <= view.units);
        assert_true(view.events <= 5);
    } while (fake_done_offset(t.partition) < 100);
    end();
}

/* --- targets and limits --- */

static void view__a_target_shows_its_breaker_and_its_silence(void **state)
{
    (void)state;
    begin("", "ci", true);
    struct view_target view;
    struct fleet_target *target = target_at(0);
    view_target(&t.fleet, target, 1000, &view);
    assert_string_equal(view.name, "a");
    assert_string_equal(view.kind, "http");
    assert_int_equal(view.open_ms, -1);
    assert_int_equal(view.silent_ms, 0);
    for (int i = 0; i < BREAKER_FAILURES; i++) {
        breaker_report(&target->downstream->breaker, true, 1000);
    }
    atomic_store(&target->downstream->silent_until_ms, 1700);
    view_target(&t.fleet, target, 1500, &view);
    assert_int_equal(view.open_ms, BREAKER_OPEN_MS - 500);
    assert_int_equal(view.silent_ms, 200);
    view_target(&t.fleet, target, 1000000, &view);
    assert_int_equal(view.open_ms, 0); /* a probe is due */
    end();
}

static void view__a_target_counts_its_answers(void **state)
{
    (void)state;
    begin("", "ci", true);
    struct view_target view;
    static const double bounds[] = {60};
    target_at(0)->duration =
        metrics_series(metrics_family(t.metrics, METRIC_HISTOGRAM, "took", "",
                                      "for the test", bounds, 1),
                       NULL, NULL, NULL, NULL);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 1));
    int64_t until_ms = now_ms() + FAKE_PATIENCE_MS;
    do {
        view_target(&t.fleet, target_at(0), now_ms(), &view);
    } while (view.triggered < 1 && now_ms() < until_ms);
    assert_int_equal(view.calls, 1);
    assert_int_equal(view.took.bound_count, 1);
    assert_int_equal(view.took.counts[0], 1);
    assert_int_equal(view.triggered, 1);
    end();
}

static void view__a_target_counts_what_it_held_by_why(void **state)
{
    (void)state;
    begin("", "ci", true);
    struct view_target view;
    view_target(&t.fleet, target_at(0), 1000, &view);
    size_t before = view.held_count; /* a pause is counted from the start */
    metrics_series(t.fleet.held, "another", "hibernating", NULL, NULL);
    metric_add(metrics_series(t.fleet.held, "a", "hibernating", NULL, NULL), 2);
    view_target(&t.fleet, target_at(0), 1000, &view);
    assert_int_equal(view.held_count, before + 1);
    assert_string_equal(view.held[before].reason, "hibernating");
    assert_int_equal(view.held[before].units, 2);
    end();
}

static void view__a_limit_that_was_never_asked_has_no_tokens(void **state)
{
    (void)state;
    begin("    limits: [l]\nlimits: {l: {rate: 1000/s, burst: 7}}\n", "ci", true);
    struct view_limit view;
    view_limit(&t.fleet, &t.config->limits[0], &view);
    assert_string_equal(view.name, "l");
    assert_true(view.burst == 7);
    assert_false(view.seen);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 1));
    view_limit(&t.fleet, &t.config->limits[0], &view);
    assert_true(view.seen);
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
