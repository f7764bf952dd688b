/* What a lane calls, what it parks, what may be committed. */
#include "lane_stage.h"

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
    assert_true(counted("opened{t=\"none\"} 2\n"));
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
    assert_true(counted("opened{t=\"a\"} 7\n"));
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
    assert_string_equal(fake_sent_header(fake_sent_at(0), PARK_TIER), "1");
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
    assert_string_equal(fake_sent_header(fake_sent_at(1), PARK_TIER), "0");
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

static void lane__a_record_whose_key_and_headers_are_too_large_loses_them(void **state)
{
    (void)state;
    static const char *const headers[] = {"story", "long", NULL};
    begin("", "ci", true);
    answer(0, "/a/x", 1, 404);
    fake_broker_fail(-EINVAL, 2);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), headers);
    go();
    assert_true(fake_await_done(t.partition, 1));
    assert_null(fake_sent_header(fake_sent_at(0), "story"));
    assert_string_equal(fake_sent_header(fake_sent_at(0), PARK_REASON), "http_404");
    assert_string_equal(fake_sent_at(0)->key, "k"); /* short enough */
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
    assert_true(counted("requests{t=\"a\",c=\"none\",e=\"timeout\"} 1\n"));
    assert_true(counted("dead_letters{r=\"outcome-unknown\"} 1\n"));
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
