/* The fleet's frame, out of made-up heartbeats. */
#include "snapshot_made.h"

/* --- a healthy fleet --- */

static void snapshot__a_healthy_fleet_is_called_so(void **state)
{
    (void)state;
    two_healthy();
    make();
    assert_string_equal(text("/schema"), "sluice.fleet/1");
    assert_string_equal(text("/verdict/level"), "ok");
    assert_string_equal(text("/verdict/text"), "Healthy: all targets accepting, no lag");
    assert_int_equal(json_object_array_length(json_at(t.frame, "/notes")), 0);
    assert_int_equal(number("/totals/consumers"), 2);
    assert_int_equal(number("/totals/partitions"), 4);
    assert_int_equal(number("/totals/unowned"), 0);
    assert_int_equal(number("/totals/in_flight"), 4);
    assert_true(json_object_get_boolean(json_at(t.frame, "/kafka/known")));
    tear_down();
}

static void snapshot__joins_consumers_partitions_and_targets(void **state)
{
    (void)state;
    two_healthy();
    make();
    assert_string_equal(text("/consumers/0/id"), "c-1");
    assert_string_equal(text("/consumers/0/state"), "running");
    assert_int_equal(number("/consumers/1/age_ms"), 900);
    assert_string_equal(text("/consumers/0/partitions/0/batch/state"), "barrier");
    assert_int_equal(number("/consumers/0/partitions/0/batch/waiting/0/units"), 3);
    assert_string_equal(text("/partitions/0/owner"), "c-1");
    assert_string_equal(text("/partitions/3/owner"), "c-2");
    assert_string_equal(text("/targets/0/name"), "argocd");
    assert_string_equal(text("/targets/0/kind"), "http");
    assert_string_equal(text("/targets/0/state"), "ok");
    assert_int_equal(number("/targets/0/ok_per_min"), 120);
    assert_int_equal(number("/targets/0/c5xx_per_min"), 4);
    assert_int_equal(number("/targets/0/p95_ms"), 150); /* 180 and 20 calls */
    assert_int_equal(number("/targets/0/token_wait_p95_ms"), 95);
    assert_true(json_object_get_double(json_at(t.frame, "/targets/0/limits/0/used")) ==
                0.9);
    assert_int_equal(number("/totals/p95_ms"), 1950);
    tear_down();
}

static void snapshot__says_what_targets_began_to_hold(void **state)
{
    (void)state;
    struct made m = usual;
    set_up();
    m.held = "\"hibernating\":3,\"paused\":9";
    add_beat("c-1", 0, &m);
    m.held = "\"hibernating\":1,\"waking\":2,\"odd\":\"x\",\"none\":-4";
    m.first = 2;
    m.end = 4;
    add_beat("c-2", 0, &m);
    make();
    assert_int_equal(number("/targets/0/held_per_min/hibernating"), 4);
    assert_int_equal(number("/targets/0/held_per_min/waking"), 2);
    assert_int_equal(number("/targets/0/held_per_min/paused"), 9);
    assert_int_equal(json_object_object_length(
                         json_at(t.frame, "/targets/0/held_per_min")),
                     3);
    assert_string_equal(level_of_note("argocd",
                                      "began to hold 6 units in the last minute: "
                                      "4 hibernating, 2 waking → "),
                        "info");
    assert_string_equal(text("/verdict/level"), "ok");
    tear_down();
}

static void snapshot__consumers_are_in_the_order_of_their_numbers(void **state)
{
    (void)state;
    set_up();
    add_beat("c-10", 0, &usual);
    add_beat("c-2", 0, &usual);
    make();
    assert_string_equal(text("/consumers/0/id"), "c-2");
    tear_down();
}

static void snapshot__says_when_the_lag_is_gone(void **state)
{
    (void)state;
    struct made busy = usual;
    set_up();
    busy.lag = 600;
    busy.out = 15;
    busy.all = 2;
    add_beat("c-1", 0, &busy);
    make();
    assert_int_equal(number("/totals/lag_events"), 1200);
    assert_int_equal(number("/totals/drains_in_s"), 120);
    assert_int_equal(number("/partitions/0/drains_in_s"), 600);
    assert_string_equal(
        text("/verdict/text"),
        "Healthy: all targets accepting, lag 1,200, clears in about 2 min");
    tear_down();
}

/* --- trouble --- */

static void snapshot__without_consumers_nothing_is_delivered(void **state)
{
    (void)state;
    set_up();
    make();
    assert_string_equal(text("/verdict/level"), "bad");
    assert_string_equal(text("/verdict/text"),
                        "Not delivering: no consumer runs, lag not known");
    assert_null(json_at(t.frame, "/totals/lag_events"));
    assert_null(json_at(t.frame, "/totals/in_per_s"));
    tear_down();
}

static void snapshot__a_lag_that_grows_is_said(void **state)
{
    (void)state;
    struct made slow = usual;
    set_up();
    slow.lag = 600;
    slow.in = 20;
    slow.out = 15;
    slow.all = 2;
    add_beat("c-1", 0, &slow);
    make();
    assert_null(json_at(t.frame, "/totals/drains_in_s"));
    assert_string_equal(level_of_note("", "the lag grows: 20/s come, 15/s are done"),
                        "warn");
    assert_string_equal(text("/verdict/level"), "warn");
    tear_down();
}

static void snapshot__a_consumer_is_late_then_gone(void **state)
{
    (void)state;
    two_healthy();
    t.beats[1].at_ms = NOW - SNAPSHOT_LATE_MS;
    make();
    assert_string_equal(text("/consumers/1/state"), "running");
    t.beats[1].at_ms = NOW - SNAPSHOT_LATE_MS - 1;
    make();
    assert_string_equal(text("/consumers/1/state"), "late");
    assert_string_equal(level_of_note("c-2", "is late: no heartbeat for 10 s"), "warn");
    assert_string_equal(text("/partitions/3/owner"), "c-2");
    assert_null(json_at(t.frame, "/consumers/1/in_per_s"));
    t.beats[1].at_ms = NOW - SNAPSHOT_GONE_MS - 1;
    make();
    assert_string_equal(text("/consumers/1/state"), "gone");
    assert_null(json_at(t.frame, "/partitions/3/owner"));
    assert_int_equal(number("/totals/unowned"), 2);
    assert_int_equal(number("/totals/consumers"), 1);
    assert_string_equal(
        level_of_note("c-2", "is gone: no heartbeat for 30 s, 2 of its partitions have"),
        "warn");
    assert_string_equal(
        level_of_note("", "2 partitions have no owner: ci[2], ci[3]; the group"), "warn");
    tear_down();
}

static void snapshot__a_gone_consumer_keeps_its_row(void **state)
{
    (void)state;
    struct made heir = usual;
    two_healthy();
    t.beats[1].at_ms = NOW - 45000;
    heir.end = 4;
    t.in.beat_count = 2;
    add_beat("c-3", 0, &heir);
    make();
    assert_string_equal(text("/consumers/1/state"), "gone");
    assert_int_equal(number("/consumers/1/partitions/0/partition"), 2);
    assert_null(json_at(t.frame, "/consumers/1/partitions/0/batch"));
    assert_string_equal(text("/partitions/2/owner"), "c-3");
    assert_int_equal(json_object_array_length(json_at(t.frame, "/partitions")), 4);
    assert_string_equal(level_of_note("c-2", "others took over its 2 partitions"),
                        "info");
    assert_string_equal(text("/verdict/level"), "ok");
    tear_down();
}

static void snapshot__when_all_are_late_nothing_is_known_to_be_delivered(void **state)
{
    (void)state;
    set_up();
    add_beat("c-1", 20000, &usual);
    make();
    assert_string_equal(text("/verdict/level"), "bad");
    tear_down();
}

static void snapshot__when_all_are_drained_nothing_is_delivered(void **state)
{
    (void)state;
    struct made drained = usual;
    set_up();
    drained.state = "drained";
    drained.first = drained.end = 0;
    add_beat("c-1", 0, &drained);
    make();
    assert_string_equal(text("/verdict/text"),
                        "Not delivering: every consumer is drained, lag not known");
    assert_string_equal(level_of_note("", "sluice-consumer drain --all --undo"), "bad");
    add_beat("c-2", 0, &usual);
    make();
    assert_string_equal(level_of_note("", "every consumer is drained"), "none");
    tear_down();
}

static void snapshot__partitions_that_nobody_speaks_of_have_no_owner(void **state)
{
    (void)state;
    set_up();
    add_beat("c-1", 0, &usual); /* two of four */
    make();
    assert_int_equal(number("/totals/unowned"), 2);
    assert_string_equal(text("/verdict/level"), "warn");
    tear_down();
}

static void snapshot__an_idle_consumer_is_told_what_to_do(void **state)
{
    (void)state;
    struct made idle = usual;
    two_healthy();
    idle.state = "idle";
    idle.first = idle.end = 0;
    add_beat("c-3", 0, &idle);
    make();
    assert_string_equal(level_of_note("c-3", "is idle: 4 partitions, all owned; add"),
                        "info");
    assert_string_equal(text("/verdict/level"), "ok");
    tear_down();
}

static void snapshot__who_runs_another_version_differs(void **state)
{
    (void)state;
    struct made old = usual;
    two_healthy();
    old.first = old.end = 0;
    old.version = "0.9";
    add_beat("c-3", 0, &old);
    make();
    assert_false(json_object_get_boolean(json_at(t.frame, "/consumers/0/skew")));
    assert_true(json_object_get_boolean(json_at(t.frame, "/consumers/2/skew")));
    assert_string_equal(level_of_note("c-3", "runs 0.9, the others 1.0"), "warn");
    tear_down();
}

static void snapshot__who_has_another_configuration_differs(void **state)
{
    (void)state;
    struct made other = usual;
    two_healthy();
    other.first = other.end = 0;
    other.hash = "bb";
    add_beat("c-3", 0, &other);
    make();
    assert_string_equal(level_of_note("c-3", "another configuration (bb)"), "warn");
    tear_down();
}

static void snapshot__an_open_circuit_names_its_next_probe(void **state)
{
    (void)state;
    struct made sick = usual;
    two_healthy();
    sick.open_ms = 12000;
    sick.first = sick.end = 0;
    add_beat("c-3", 0, &sick);
    make();
    assert_string_equal(text("/targets/0/state"), "open");
    assert_int_equal(number("/targets/0/for_ms"), 12000);
    assert_int_equal(number("/targets/0/open_at"), 1);
    assert_string_equal(level_of_note("argocd",
                                      "at 1 of 3 consumers, next probe in 12 s"),
                        "warn");
    assert_string_equal(text("/verdict/text"),
                        "Delivering, but argocd has its circuit open, no lag");
    tear_down();
}

static void snapshot__when_no_target_accepts_it_is_bad(void **state)
{
    (void)state;
    struct made sick = usual;
    set_up();
    sick.open_ms = 0;
    sick.all = 2;
    add_beat("c-1", 0, &sick);
    make();
    assert_string_equal(text("/verdict/text"),
                        "Not delivering: no target accepts, no lag");
    tear_down();
}

static void snapshot__a_pause_says_who_and_why(void **state)
{
    (void)state;
    two_healthy();
    t.control[0] = (struct snapshot_pair){
        "pause:argocd",
        "{\"until_ms\":1000720000,\"reason\":\"INC-42\",\"who\":\"ann\",\"at_ms\":1}"};
    t.in.control_count = 1;
    make();
    assert_string_equal(text("/targets/0/state"), "paused");
    assert_string_equal(text("/targets/0/reason"), "INC-42");
    assert_int_equal(number("/targets/0/for_ms"), 720000);
    assert_string_equal(
        level_of_note("argocd", "is paused by ann for 12 min more: INC-42; its units"),
        "warn");
    t.in.now_ms = 1000720001; /* it is over */
    t.beats[0].at_ms = t.beats[1].at_ms = t.in.now_ms;
    make();
    assert_string_equal(text("/targets/0/state"), "ok");
    tear_down();
}

static void snapshot__a_pause_without_end_has_no_time_left(void **state)
{
    (void)state;
    two_healthy();
    t.control[0] = (struct snapshot_pair){"pause:argocd", "{\"until_ms\":0}"};
    t.control[1] = (struct snapshot_pair){"pause:argocd", "no json"};
    t.in.control_count = 2;
    make();
    assert_string_equal(text("/targets/0/state"), "paused");
    assert_null(json_at(t.frame, "/targets/0/for_ms"));
    tear_down();
}

static void snapshot__a_batch_that_stays_open_is_said(void **state)
{
    (void)state;
    struct made stuck = usual;
    set_up();
    stuck.batch_ms = 41000;
    stuck.all = 2;
    add_beat("c-1", 0, &stuck);
    make();
    assert_string_equal(
        level_of_note("c-1", "has a batch of ci[0] open for 41 s, it waits for argocd"),
        "warn");
    tear_down();
}

static void snapshot__who_is_blocked_is_said(void **state)
{
    (void)state;
    struct made stuck = usual;
    set_up();
    stuck.batch = "blocked";
    stuck.batch_ms = 6000;
    stuck.all = 2;
    add_beat("c-1", 0, &stuck);
    make();
    assert_string_equal(level_of_note("c-1", "works nothing on 2 partitions"), "warn");
    tear_down();
}

static void snapshot__dead_letters_are_counted_most_first(void **state)
{
    (void)state;
    two_healthy();
    t.dead[0] = (struct snapshot_pair){"argocd|timeout", "3"};
    t.dead[1] = (struct snapshot_pair){"gh-deploy|http-401", "14"};
    t.dead[2] = (struct snapshot_pair){"gh-deploy|http-500", "0"};
    t.dead[3] = (struct snapshot_pair){"|bad-json", "-1"};
    t.in.dead_count = 4;
    make();
    assert_int_equal(number("/totals/dead"), 17);
    assert_string_equal(text("/dead/0/target"), "gh-deploy");
    assert_string_equal(text("/dead/0/reason"), "http-401");
    assert_int_equal(json_object_array_length(json_at(t.frame, "/dead")), 2);
    assert_string_equal(level_of_note("", "17 dead letters (14 http-401 gh-deploy, 3 "
                                          "timeout argocd) → sluice-consumer dlq list"),
                        "info");
    tear_down();
}

/* --- many --- */

static void snapshot__five_hundred_partitions_each_once(void **state)
{
    (void)state;
    struct made m = usual;
    set_up();
    m.all = 500;
    for (int i = 0; i < 50; i++) {
        char id[16];
        snprintf(id, sizeof id, "c-%d", i);
        m.first = i * 10;
        m.end = m.first + 10;
        add_beat(id, 0, &m);
    }
    make();
    assert_int_equal(json_object_array_length(json_at(t.frame, "/partitions")), 500);
    assert_int_equal(number("/partitions/499/partition"), 499);
    assert_int_equal(number("/totals/unowned"), 0);
    assert_int_equal(number("/targets/0/ok_per_min"), 3000);
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
