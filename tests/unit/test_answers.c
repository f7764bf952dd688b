/* What a lane makes of answers that only the target's kind understands. */
#include "lane_stage.h"

#define ARGOCD "    kind: argocd\n    order: none\n"
#define WINDOW \
    "{\"error\":\"cannot sync: blocked by sync window\",\"code\":7," \
    "\"message\":\"cannot sync: blocked by sync window\"}"
#define BUSY \
    "{\"error\":\"another operation is already in progress\",\"code\":9," \
    "\"message\":\"another operation is already in progress\"}"

static const char *header(size_t i, const char *name)
{
    const struct fake_sent *sent = fake_sent_at(i);
    assert_non_null(sent);
    return fake_sent_header(sent, name);
}

static void publish(const char *text)
{
    fake_publish(t.partition, "k", text, NULL);
}

/* --- not now --- */

static void answers__not_now_is_held_without_a_try(void **state)
{
    (void)state;
    begin(ARGOCD "    retry: {hold: 10s, backoff: 1ms..5ms}\n", "ci", true);
    answer_with(0, "/a/x", 403, WINDOW);
    publish(EVENT("1", "x", "c"));
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 1);
    assert_int_equal(count_units("a", VERDICT_DEFERRED), 1);
    assert_string_equal(header(0, PARK_REASON), "sync-window");
    assert_string_equal(header(0, PARK_CLASS), PARK_CLASS_HELD);
    assert_string_equal(header(0, PARK_TIER), "0");
    assert_string_equal(header(0, PARK_ATTEMPTS), "1"); /* it was sent */
    assert_non_null(strstr(header(0, PARK_DETAIL), "sync window"));
    int64_t left_ms = strtoll(header(0, PARK_NOT_BEFORE), NULL, 10) - now_wall_ms();
    assert_true(left_ms > 0 && left_ms <= 60000);
    assert_true(counted("held{t=\"a\",r=\"sync-window\"} 1\n"));
    assert_false(counted("retries{t=\"a\",r=\"sync-window\"}"));
    assert_false(breaker_is_open(&target_at(0)->downstream->breaker, now_ms()));
    end();
}

/* What failed before in the round is not why it waits. */
static void answers__not_now_after_a_failure_makes_no_longer_wait(void **state)
{
    (void)state;
    begin(ARGOCD "    retry: {hold: 10s, backoff: 1ms..5ms}\n", "ci", true);
    answer(0, "/a/x", 2, 503, 403);
    t.scripts[0].body = WINDOW;
    publish(EVENT("1", "x", "c"));
    go();
    assert_true(fake_await_done(t.partition, 1));
    assert_int_equal(calls(), 2);
    assert_string_equal(header(0, PARK_REASON), "sync-window");
    assert_string_equal(header(0, PARK_TIER), "0");
    end();
}

static void answers__not_now_past_the_budget_is_no_death(void **state)
{
    static const char *const headers[] = {PARK_TARGET,     "a", PARK_ROUND, "7",
                                          PARK_FIRST_SEEN, "1", NULL};
    (void)state;
    begin(ARGOCD, "ci.g.retry.1ms", false);
    answer_with(0, "/a/x", 403, WINDOW);
    fake_publish(t.partition, "k", EVENT("1", "x", "c"), headers);
    go();
    assert_true(fake_await_done(t.partition, 1));
    assert_string_equal(fake_sent_at(0)->topic, "ci.g.retry.2s");
    assert_string_equal(header(0, PARK_TIER), "7");
    end();
}

static void answers__not_now_holds_what_is_behind_it(void **state)
{
    (void)state;
    begin("    kind: argocd\n", "ci", true);
    answer_with(0, "/a/x", 403, WINDOW);
    publish(EVENT("1", "x", "c"));
    publish(EVENT("2", "y", "c"));
    go();
    assert_true(fake_await_done(t.partition, 2));
    assert_int_equal(calls(), 1);
    assert_string_equal(header(1, PARK_EVENT_ID), "2");
    assert_string_equal(header(1, PARK_REASON), "sync-window");
    assert_string_equal(header(1, PARK_CLASS), PARK_CLASS_HELD);
    end();
}

static void answers__not_now_at_a_stop_is_given_back(void **state)
{
    (void)state;
    begin(ARGOCD, "ci", true);
    hold_calls(0, "/a/x");
    publish(EVENT("1", "x", "c"));
    go();
    assert_true(await_calls(1));
    lane_stop(t.lane, LANE_NO_STARTS);
    httpd_reply(t.held[0], 403, NULL, WINDOW, strlen(WINDOW));
    t.held_count = 0;
    assert_int_equal(stop_lane(LANE_NO_STARTS), 1);
    assert_null(fake_sent_at(0));
    assert_int_equal(fake_done_offset(t.partition), -1);
    end();
}

/* --- this unit alone --- */

/* Longer than the patience: it waits elsewhere, at least so long, and others go on. */
static void answers__a_unit_may_be_told_to_wait_alone(void **state)
{
    (void)state;
    begin(ARGOCD "    retry: {hold: 1s, backoff: 1ms..5ms}\n", "ci", true);
    answer_with(0, "/a/x", 400, BUSY);
    publish(EVENT("1", "x", "c"));
    publish(EVENT("2", "y", "c"));
    go();
    assert_true(fake_await_done(t.partition, 2));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 2);
    assert_int_equal(count_units("a", VERDICT_TRIGGERED), 1);
    assert_string_equal(header(0, PARK_REASON), "in-progress");
    assert_string_equal(header(0, PARK_CLASS), "deferred");
    assert_string_equal(header(0, PARK_TIER), "1");
    int64_t left_ms = strtoll(header(0, PARK_NOT_BEFORE), NULL, 10) - now_wall_ms();
    assert_true(left_ms > 2000 && left_ms <= 5000);
    assert_true(atomic_load(&target_at(0)->downstream->silent_until_ms) == 0);
    end();
}

/* --- done before --- */

static void answers__done_before_is_a_duplicate_for_good(void **state)
{
    (void)state;
    begin("    kind: argo-workflows\n    body: {resourceKind: W, resourceName: d}\n",
          "ci", true);
    answer_with(0, "/a/x", 409, "{\"code\":6,\"message\":\"workflows already exists\"}");
    publish(EVENT("1", "x", "c"));
    publish(EVENT("2", "y", "c")); /* behind it */
    go();
    assert_true(fake_await_done(t.partition, 2));
    answer(0, "/a/x", 1, 202);
    publish(EVENT("1", "x", "c"));
    assert_true(fake_await_done(t.partition, 3));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 2);
    assert_int_equal(count_units("a", VERDICT_DUPLICATE), 2);
    assert_int_equal(count_units("a", VERDICT_TRIGGERED), 1);
    assert_null(fake_sent_at(0));
    end();
}

/* --- what is kept of them --- */

static void answers__the_targets_own_words_go_into_the_dead_letter(void **state)
{
    (void)state;
    begin(ARGOCD, "ci", true);
    answer_with(0, "/a/x", 400, "{\"code\":9,\"message\":\"application is deleting\"}");
    publish(EVENT("1", "x", "c"));
    go();
    assert_true(fake_await_done(t.partition, 1));
    assert_string_equal(header(0, PARK_REASON), "deleting");
    assert_string_equal(header(0, PARK_DETAIL), "application is deleting");
    end();
}

static char followed[KIND_FOLLOW_MAX];

static void keep_follow(void *arg, const struct lane *lane,
                        const struct batch_of_events *batch)
{
    const char *follow = batch->units[0].follow;
    (void)arg;
    (void)lane;
    snprintf(followed, sizeof followed, "%s", follow ? follow : "nothing");
}

static void assert_followed(const char *path)
{
    t.fleet.settled = keep_follow;
    publish(EVENT("1", "x", "c"));
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(count_units("a", VERDICT_TRIGGERED), 1);
    assert_string_equal(followed, path);
    end();
}

static void answers__how_to_follow_the_run_is_kept(void **state)
{
    (void)state;
    target_path = "/applications/${event.app}/sync";
    begin("    kind: argocd\n", "ci", true);
    assert_followed("/applications/x");
}

static void answers__of_a_target_without_a_kind_there_is_nothing_to_follow(void **state)
{
    (void)state;
    begin("", "ci", true);
    assert_followed("nothing");
}

int main(void)
{
    log_setup(LOG_ERROR, LOG_TEXT, NULL);
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
