/* The corners that were decided, each with its test: what is in the ledger already, late
 * starts, retry lanes, and assignments that end while something is open. */
#include "lane_stage.h"

#include "event/event.h"
#include "fleet/parking.h"
#include "sync/ctx.h"

enum { LEASE_MS = 300000 };

/* Somebody else's claim of this event for target a. The event's texts live in *ev. */
static struct ledger_entry claimed_elsewhere(const char *value, int64_t lease_ms,
                                             struct event *ev)
{
    struct event_input input = {.value = value, .value_len = strlen(value)};
    struct event_reason why;
    assert_int_equal(event_decode(&input, ev, &why), EVENT_OK);
    struct ledger_entry entry = {.target = "a",
                                 .identity = ev->identity,
                                 .content = ev->content,
                                 .lease_ms = lease_ms};
    struct ledger_entry *entries[] = {&entry};
    ledger_entry_init(t.fleet.ledger, &entry);
    assert_int_equal(ledger_claim(t.fleet.ledger, entries, 1), 0);
    assert_int_equal(entry.result, LEDGER_GRANTED);
    return entry;
}

static void let_time_pass(int64_t ms)
{
    struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
    assert_int_equal(ctx_sleep(ctx, now_ms() + ms), 0);
    ctx_free(ctx);
}

/* --- the ledger --- */

static void lane_corners__an_outcome_unknown_elsewhere_is_called_again(void **state)
{
    (void)state;
    struct event ev;
    begin("", "ci", true);
    (void)claimed_elsewhere(EVENT("1", "x", "c1"), 1, &ev); /* and died */
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 1));
    assert_int_equal(calls(), 1);
    event_release(&ev);
    end();
}

static void lane_corners__an_outcome_unknown_elsewhere_is_dead_when_asked(void **state)
{
    (void)state;
    struct event ev;
    begin("    on_uncertain: dead\n", "ci", true);
    (void)claimed_elsewhere(EVENT("1", "x", "c1"), 1, &ev);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 1));
    assert_int_equal(calls(), 0);
    assert_string_equal(fake_sent_header(fake_sent_at(0), PARK_REASON),
                        "outcome-unknown");
    event_release(&ev);
    end();
}

static void lane_corners__what_another_works_on_is_waited_for_not_skipped(void **state)
{
    (void)state;
    struct event ev;
    begin("", "ci", true);
    struct ledger_entry other = claimed_elsewhere(EVENT("1", "x", "c1"), LEASE_MS, &ev);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    await_wait(LANE_CLAIM);
    assert_int_equal(fake_done_offset(t.partition), -1);
    ledger_done(t.fleet.ledger, &other, 200, NULL, NULL);
    assert_true(fake_await_done(t.partition, 1));
    assert_int_equal(calls(), 0);
    assert_int_equal(count_units("a", VERDICT_DUPLICATE), 1);
    event_release(&ev);
    end();
}

/* The next batch would take it for one of its own: both may lie in the same memory. */
static void lane_corners__a_chain_of_duplicates_leaves_no_unit_behind(void **state)
{
    (void)state;
    begin("", "ci", true);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    fake_publish(t.partition, "k", EVENT("2", "x", "c2"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 2));
    stop_lane(LANE_NO_STARTS);
    assign_anew(); /* as if the offset had not been committed */
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    fake_publish(t.partition, "k", EVENT("2", "x", "c2"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 2));
    assert_null(lane_take_posted(t.lane));
    assert_int_equal(calls(), 2);
    assert_int_equal(count_units("a", VERDICT_DUPLICATE), 2);
    end();
}

static void lane_corners__a_crash_after_parking_parks_once(void **state)
{
    (void)state;
    static const char *const headers[] = {PARK_TARGET, "a", PARK_ROUND, "1", NULL};
    begin("    retry: {hold: 0ms, backoff: 1ms..5ms}\n", "ci", true);
    answer(0, "/a/x", 1, 503);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    assign_anew(); /* as if the offset had not been committed */
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 1));
    assert_int_equal(calls(), 1);
    assert_null(fake_sent_at(1));
    assert_int_equal(count_units("a", VERDICT_DUPLICATE), 1);
    stop_lane(LANE_NO_STARTS);
    assign_anew(); /* the parked record itself is granted */
    t.partition->topic = "ci.g.retry.1s";
    t.partition->source = false;
    answer(0, "/a/x", 1, 202);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), headers);
    go();
    assert_true(fake_await_done(t.partition, 1));
    assert_int_equal(calls(), 2);
    assert_int_equal(count_units("a", VERDICT_TRIGGERED), 1);
    end();
}

/* A record of the topic that operators send again to. */
static void send_again(const char *const *headers)
{
    if (!t.partition->source) {
        stop_lane(LANE_NO_STARTS);
        assign_anew();
    }
    t.partition->topic = "ci.g.retry.1s";
    t.partition->source = false;
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), headers);
    go();
    assert_true(fake_await_done(t.partition, 1));
}

static void lane_corners__a_redriven_letter_may_die_and_be_redriven_again(void **state)
{
    (void)state;
    static const char *const once[] = {PARK_TARGET,     "a",   PARK_ROUND, "1000000",
                                       PARK_REDRIVE_OF, "0:5", NULL};
    static const char *const twice[] = {PARK_TARGET, "a", PARK_ROUND, "1000001", NULL};
    begin("", "ci", true);
    answer(0, "/a/x", 2, 404, 404);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    assign_anew();
    send_again(once);
    assert_int_equal(calls(), 2);
    const struct fake_sent *sent = fake_sent_at(1);
    assert_non_null(sent);
    assert_string_equal(fake_sent_header(sent, PARK_ROUND), "1000001");
    assert_string_equal(fake_sent_header(sent, PARK_REDRIVE_OF), "0:5");
    send_again(once); /* delivered twice: it lies dead above that */
    assert_int_equal(calls(), 2);
    answer(0, "/a/x", 1, 202);
    send_again(twice);
    assert_int_equal(calls(), 3);
    assert_int_equal(count_units("a", VERDICT_TRIGGERED), 1);
    end();
}

static void lane_corners__sent_again_on_purpose_it_triggers_once_more(void **state)
{
    (void)state;
    static const char *const headers[] = {PARK_TARGET, "a",      PARK_ROUND, "1",
                                          PARK_RESEND, "r-0007", NULL};
    begin("", "ci", true);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), headers);
    go(); /* a publisher's header does nothing on the source topic */
    assert_true(fake_await_done(t.partition, 1));
    assert_int_equal(calls(), 1);
    stop_lane(LANE_NO_STARTS);
    assign_anew();
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 1));
    assert_int_equal(calls(), 1);
    stop_lane(LANE_NO_STARTS);
    assign_anew();
    send_again(headers);
    assert_int_equal(calls(), 2);
    send_again(headers);
    assert_int_equal(calls(), 2);
    end();
}

static void lane_corners__a_crash_after_a_dead_letter_leaves_one(void **state)
{
    (void)state;
    begin("", "ci", true);
    answer(0, "/a/x", 1, 404);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    assign_anew();
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 1));
    assert_int_equal(calls(), 1);
    assert_null(fake_sent_at(1));
    end();
}

static void lane_corners__redis_gone_after_the_call_does_not_undo_it(void **state)
{
    (void)state;
    begin("", "ci", true);
    hold_calls(0, "/a/x");
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(await_calls(1));
    redis_server_kill(&t.redis_server);
    release_calls();
    assert_true(fake_await_done(t.partition, 1)); /* past Redis' deadline, not for ever */
    assert_int_equal(count_units("a", VERDICT_TRIGGERED), 1);
    redis_server_launch(&t.redis_server); /* empty: only a late DONE can be there */
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    assert_true(fake_await_done(t.partition, 2));
    assert_int_equal(calls(), 1);
    assert_int_equal(count_units("a", VERDICT_DUPLICATE), 1);
    end();
}

/* --- slots --- */

#define LIMIT(rate) "    limits: [l]\nlimits: {l: {rate: " rate ", burst: 10}}\n"

static void lane_corners__a_call_that_would_start_late_asks_again(void **state)
{
    (void)state;
    wire_width = 1;
    begin(LIMIT("1000/s"), "ci", true);
    hold_calls(0, "/a/x");
    fake_publish(t.partition, "j", EVENT("1", "x", "c"), NULL);
    fake_publish(t.partition, "k", EVENT("2", "x", "c"), NULL);
    go();
    assert_true(await_calls(1));
    let_time_pass(LIMITER_AHEAD_MS + LIMITER_USE_MS); /* the target is that slow */
    release_calls();
    assert_true(fake_await_done(t.partition, 2));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 2);
    assert_int_equal(count_units("a", VERDICT_TRIGGERED), 2);
    assert_true(counted("sluice_rate_limit_wait_seconds_count{limit=\"l\"} 2\n"));
    end();
}

static void lane_corners__slots_are_asked_for_heads_of_chains_only(void **state)
{
    (void)state;
    begin(LIMIT("1000/s"), "ci", true);
    fake_publish(t.partition, "k", EVENT("1", "x", "c"), NULL);
    fake_publish(t.partition, "k", EVENT("2", "x", "c"), NULL);
    fake_publish(t.partition, "k", EVENT("3", "x", "c"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 3));
    stop_lane(LANE_NO_STARTS);
    assert_true(counted("sluice_rate_limit_wait_seconds_count{limit=\"l\"} 3\n"));
    end();
}

static void lane_corners__unused_slots_are_given_back_at_a_stop(void **state)
{
    (void)state;
    begin(LIMIT("4/s"), "ci", true); /* the first slot is 250 ms away */
    fake_publish(t.partition, "j", EVENT("1", "x", "c"), NULL);
    fake_publish(t.partition, "k", EVENT("2", "y", "c"), NULL);
    go();
    await_wait(LANE_TARGET);
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 0);
    struct limiter_ask ask = {.set = target_at(0)->limits, .want = 1};
    assert_int_equal(limiter_reserve(t.fleet.limiter, &ask, 1), 0);
    assert_int_equal(ask.granted, 1); /* two slots in debt it would have been refused */
    end();
}

static void lane_corners__a_target_that_is_down_is_left_alone(void **state)
{
    (void)state;
    begin("    order: none\n    retry: {hold: 0ms, backoff: 1ms..5ms}\n", "ci", true);
    answer(0, "/a/x", 1, 503);
    for (int i = 0; i < BREAKER_FAILURES; i++) {
        static const char *const down[] = {EVENT("0", "x", "c"), EVENT("1", "x", "c"),
                                           EVENT("2", "x", "c"), EVENT("3", "x", "c"),
                                           EVENT("4", "x", "c")};
        fake_publish(t.partition, NULL, down[i], NULL);
    }
    go();
    assert_true(fake_await_done(t.partition, BREAKER_FAILURES));
    fake_publish(t.partition, NULL, EVENT("9", "y", "c"), NULL);
    assert_true(fake_await_done(t.partition, BREAKER_FAILURES + 1));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), BREAKER_FAILURES);
    assert_string_equal(fake_sent_at(BREAKER_FAILURES)->topic, "ci.g.retry.1s");
    assert_string_equal(fake_sent_header(fake_sent_at(BREAKER_FAILURES), PARK_REASON),
                        "breaker-open");
    end();
}

/* --- retry lanes --- */

static void lane_corners__a_parked_record_is_not_routed_again(void **state)
{
    (void)state;
    static const char *const headers[] = {PARK_TARGET, "a", PARK_ROUND, "1", NULL};
    begin("    match: {app: other}\n" /* as it says by now */
          "  b: {url: \"http://127.0.0.1:9/never\"}\n",
          "ci.g.retry.1s", false);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), headers);
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 1);
    assert_int_equal(count_units("a", VERDICT_TRIGGERED), 1);
    assert_int_equal(count_units("b", VERDICT_DEFERRED), 0);
    end();
}

static void lane_corners__a_longer_silence_than_the_tier_goes_round_again(void **state)
{
    (void)state;
    char until[24];
    char seen[24];
    snprintf(until, sizeof until, "%lld", (long long)now_wall_ms() + 600000);
    snprintf(seen, sizeof seen, "%lld", (long long)now_wall_ms());
    const char *const headers[] =
        {PARK_TARGET,     "a",  PARK_ROUND, "1", PARK_NOT_BEFORE, until,
         PARK_FIRST_SEEN, seen, NULL};
    begin("", "ci.g.retry.1s", false);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), headers);
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 0);
    assert_string_equal(fake_sent_at(0)->topic, "ci.g.retry.2s");
    assert_string_equal(fake_sent_header(fake_sent_at(0), PARK_REASON), "retry-after");
    assert_non_null(fake_sent_header(fake_sent_at(0), PARK_NOT_BEFORE));
    end();
}

static void lane_corners__a_clock_ahead_does_not_hold_a_retry_lane(void **state)
{
    (void)state;
    static const char *const headers[] = {PARK_TARGET, "a", PARK_ROUND, "1", NULL};
    begin("", "ci.g.retry.1s", false);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), headers);
    t.partition->queue[0]->timestamp_ms += 3600000; /* the broker's clock */
    go();
    assert_true(fake_await_done(t.partition, 1)); /* the tier, not the hour */
    assert_int_equal(calls(), 1);
    end();
}

static void lane_corners__a_cut_record_is_dead_for_it_cannot_be_tried(void **state)
{
    (void)state;
    char value[40000];
    snprintf(
        value, sizeof value,
        "{\"id\":\"1\",\"app\":\"x\",\"repo\":\"r\",\"commit\":\"c\",\"x\":\"%0*d\"}",
        30000, 0);
    begin("    retry: {hold: 0ms, backoff: 1ms..5ms}\n", "ci", true);
    answer(0, "/a/x", 1, 503);
    fake_broker_fail(-EINVAL, 1); /* the retry topic does not take it */
    fake_publish(t.partition, "k", value, NULL);
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    const struct fake_sent *dead = fake_sent_at(0);
    assert_string_equal(dead->topic, "ci.g.dlq");
    assert_int_equal(dead->value_len, PARKING_CUT_BYTES);
    assert_non_null(strstr(fake_sent_header(dead, PARK_CUT), "hash="));
    assert_int_equal(count_units("a", VERDICT_DEAD), 1);
    end();
}

/* --- assignments that end --- */

static void lane_corners__a_call_open_past_the_drain_ends_as_one_trigger(void **state)
{
    (void)state;
    begin("    timeout: 20s\n", "ci", true);
    hold_calls(0, "/a/x");
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(await_calls(1));
    struct lane *orphan = t.lane;
    lane_stop(orphan, LANE_NO_STARTS);
    assign_anew();
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go(); /* the new owner waits for the orphan's end */
    await_wait(LANE_CLAIM);
    release_calls();
    assert_true(fake_await_done(t.partition, 1));
    lane_free(orphan);
    t.rested = false;
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 1);
    assert_int_equal(count_units("a", VERDICT_TRIGGERED), 1);
    assert_int_equal(count_units("a", VERDICT_DUPLICATE), 1);
    end();
}

static void lane_corners__an_acknowledgement_may_come_after_its_lane(void **state)
{
    (void)state;
    begin("", "ci", true);
    answer(0, "/a/x", 1, 404);
    fake_broker_silent();
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(fake_await_asked(1));
    assert_int_equal(stop_lane(LANE_NO_STARTS), 1); /* gone after PARKING_LAST_MS */
    fake_broker_answer(0);
    assert_int_equal(fake_done_offset(t.partition), -1);
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
