/* A target with a gate: what it says is done, and what it holds waits without a call, an
 * attempt or its budget. */
#include "fake_gate.h"

#include "fleet/work_inside.h"

static const char *header(size_t i, const char *name)
{
    const struct fake_sent *sent = fake_sent_at(i);
    assert_non_null(sent);
    return fake_sent_header(sent, name);
}

static void publish(const char *key, const char *text)
{
    fake_publish(t.partition, key, text, NULL);
}

/* --- what it says --- */

static void held__an_open_gate_lets_the_call_go(void **state)
{
    (void)state;
    begin_gated("  b: {url: \"http://127.0.0.1:9/never\", match: {app: other}}\n", "ci",
                true);
    publish("k", EVENT("1", "x", "c"));
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 1);
    assert_int_equal(fake_gate_asks(), 1);
    assert_string_equal(fake_gate.asked[0], "a x");
    assert_int_equal(count_units("a", VERDICT_TRIGGERED), 1);
    end_gated();
}

static void held__a_target_without_a_gate_is_not_asked_about(void **state)
{
    (void)state;
    begin_gated("    match: {app: other}\n  b: {url: \"http://127.0.0.1:9/never\"}\n",
                "ci", true);
    fake_gate_says(GATE_HOLD, "hibernating", 0);
    publish("k", EVENT("1", "x", "c"));
    go();
    assert_true(fake_await_done(t.partition, 1));
    assert_int_equal(fake_gate_asks(), 0);
    end_gated();
}

static void held__a_unit_waits_and_says_why(void **state)
{
    (void)state;
    begin_gated("", "ci", true);
    fake_gate_says(GATE_HOLD, "hibernating", 0);
    publish("k", EVENT("1", "x", "c"));
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 0);
    assert_int_equal(count_units("a", VERDICT_DEFERRED), 1);
    assert_string_equal(fake_sent_at(0)->topic, "ci.g.retry.1s");
    assert_string_equal(header(0, PARK_REASON), "hibernating");
    assert_string_equal(header(0, PARK_CLASS), PARK_CLASS_HELD);
    assert_string_equal(header(0, PARK_DETAIL), "as the test says");
    assert_string_equal(header(0, PARK_ATTEMPTS), "0");
    assert_string_equal(header(0, PARK_TIER), "0");
    assert_string_equal(header(0, PARK_ROUND), "1");
    assert_true(counted("held{t=\"a\",r=\"hibernating\"} 1\n"));
    end_gated();
}

static void held__the_wait_asked_for_chooses_the_tier(void **state)
{
    (void)state;
    begin_gated("", "ci", true);
    fake_gate_says(GATE_HOLD, "waking", 1500);
    publish("k", EVENT("1", "x", "c"));
    go();
    assert_true(fake_await_done(t.partition, 1));
    int64_t left_ms = strtoll(header(0, PARK_NOT_BEFORE), NULL, 10) - now_wall_ms();
    assert_string_equal(fake_sent_at(0)->topic, "ci.g.retry.2s");
    assert_true(left_ms <= 1500);
    end_gated();
}

static void held__no_wait_is_longer_than_an_hour(void **state)
{
    (void)state;
    begin_gated("", "ci", true);
    fake_gate_says(GATE_HOLD, "waking", INT64_MAX);
    publish("k", EVENT("1", "x", "c"));
    go();
    assert_true(fake_await_done(t.partition, 1));
    int64_t left_ms = strtoll(header(0, PARK_NOT_BEFORE), NULL, 10) - now_wall_ms();
    assert_true(left_ms > 0 && left_ms <= UNIT_HOLD_MAX_MS);
    end_gated();
}

static void held__a_skipped_unit_is_decided_for_good(void **state)
{
    (void)state;
    begin_gated("", "ci", true);
    fake_gate_says(GATE_SKIP, "hibernating", 0);
    publish("k", EVENT("1", "x", "c"));
    go();
    assert_true(fake_await_done(t.partition, 1));
    fake_gate_says(GATE_OPEN, "", 0);
    publish("k", EVENT("1", "x", "c"));
    assert_true(fake_await_done(t.partition, 2));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 0);
    assert_int_equal(count_units("a", VERDICT_SKIPPED), 1);
    assert_int_equal(count_units("a", VERDICT_DUPLICATE), 1);
    assert_null(fake_sent_at(0));
    end_gated();
}

static void held__without_anybody_to_ask_units_wait(void **state)
{
    (void)state;
    begin_gated("", "ci", true);
    t.fleet.gate = NULL;
    publish("k", EVENT("1", "x", "c"));
    go();
    assert_true(fake_await_done(t.partition, 1));
    assert_int_equal(calls(), 0);
    assert_string_equal(header(0, PARK_REASON), "no-gate");
    end_gated();
}

static void held__an_open_gate_is_not_asked_again_for_a_retry(void **state)
{
    (void)state;
    begin_gated("    retry: {hold: 10s, backoff: 1ms..5ms}\n", "ci", true);
    answer(0, "/a/x", 3, 503, 503, 202);
    publish("k", EVENT("1", "x", "c"));
    go();
    assert_true(fake_await_done(t.partition, 1));
    assert_int_equal(calls(), 3);
    assert_int_equal(fake_gate_asks(), 1);
    end_gated();
}

/* --- order, twins --- */

static void held__those_behind_wait_in_order_for_the_same(void **state)
{
    (void)state;
    begin_gated("", "ci", true);
    fake_gate_says(GATE_HOLD, "hibernating", 0);
    publish("k", EVENT("1", "x", "c"));
    publish("k", EVENT("2", "y", "c"));
    publish("k", EVENT("3", "z", "c"));
    go();
    assert_true(fake_await_done(t.partition, 3));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(fake_gate_asks(), 1);
    for (size_t i = 0; i < 3; i++) {
        char id[] = {(char)('1' + i), '\0'};
        assert_string_equal(header(i, PARK_EVENT_ID), id);
        assert_string_equal(header(i, PARK_REASON), "hibernating");
        assert_string_equal(header(i, PARK_CLASS), PARK_CLASS_HELD);
        assert_string_equal(header(i, PARK_TIER), "0");
    }
    end_gated();
}

static void held__those_behind_a_skipped_one_are_asked_about(void **state)
{
    (void)state;
    begin_gated("", "ci", true);
    fake_gate.withholds = true;
    publish("k", EVENT("1", "x", "c"));
    publish("k", EVENT("2", "y", "c"));
    go();
    assert_true(fake_gate_await(&fake_gate.asks, 1));
    assert_true(fake_gate_answer(GATE_SKIP, "hibernating", 0));
    assert_true(fake_gate_await(&fake_gate.asks, 2));
    assert_true(fake_gate_answer(GATE_OPEN, "", 0));
    assert_true(fake_await_done(t.partition, 2));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 1);
    assert_string_equal(t.calls[0], "/a/y a/2");
    end_gated();
}

static void held__a_twin_is_in_the_record_of_the_first(void **state)
{
    (void)state;
    begin_gated("", "ci", true);
    fake_gate_says(GATE_HOLD, "hibernating", 0);
    publish("k", EVENT("1", "x", "c"));
    publish("k", EVENT("1", "x", "c"));
    go();
    assert_true(fake_await_done(t.partition, 2));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(count_units("a", VERDICT_DEFERRED), 1);
    assert_int_equal(count_units("a", VERDICT_DUPLICATE), 1);
    assert_null(fake_sent_at(1));
    end_gated();
}

/* Published twice, or delivered again because nobody committed: it waits once. */
static void held__a_copy_of_what_waits_is_a_duplicate(void **state)
{
    (void)state;
    begin_gated("", "ci", true);
    fake_gate_says(GATE_HOLD, "hibernating", 0);
    publish("k", EVENT("1", "x", "c"));
    go();
    assert_true(fake_await_done(t.partition, 1));
    fake_gate_says(GATE_OPEN, "", 0);
    publish("k", EVENT("1", "x", "c"));
    assert_true(fake_await_done(t.partition, 2));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 0);
    assert_int_equal(count_units("a", VERDICT_DUPLICATE), 1);
    assert_null(fake_sent_at(1));
    end_gated();
}

/* The copy in the retry topic is the one that goes on, and knows it is. */
static void held__the_parked_copy_is_granted_its_round(void **state)
{
    static const char *const headers[] = {PARK_TARGET,   "a",        PARK_REASON,
                                          "hibernating", PARK_CLASS, PARK_CLASS_HELD,
                                          PARK_ROUND,    "1",        NULL};
    (void)state;
    begin_gated("", "ci", true);
    fake_gate_says(GATE_HOLD, "hibernating", 0);
    publish("k", EVENT("1", "x", "c"));
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    t.former[t.former_count++] = t.partition;
    t.partition = fake_partition_new("ci.g.retry.1ms", false);
    t.rested = false;
    fake_gate_says(GATE_OPEN, "", 0);
    fake_publish(t.partition, "k", EVENT("1", "x", "c"), headers);
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 1);
    assert_int_equal(count_units("a", VERDICT_TRIGGERED), 1);
    end_gated();
}

/* --- rounds --- */

/* Of a unit that was held before, and whose budget would long be over. */
static const char *const waited[] =
    {PARK_TARGET,     "a",         PARK_REASON,    "hibernating", PARK_CLASS,
     PARK_CLASS_HELD, PARK_DETAIL, "2 of 2 sleep", PARK_HELD,     "500000",
     PARK_ROUND,      "3",         PARK_TIER,      "0",           PARK_FIRST_SEEN,
     "1000",          NULL};

static void held__never_is_the_death_of_a_unit(void **state)
{
    (void)state;
    begin_gated("    retry: {hold: 0ms, budget: 1s}\n", "ci.g.retry.1s", false);
    fake_gate_says(GATE_HOLD, "hibernating", 0);
    fake_publish(t.partition, "k", EVENT("1", "x", "c"), waited);
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    assert_string_equal(fake_sent_at(0)->topic, "ci.g.retry.1s");
    assert_string_equal(header(0, PARK_ROUND), "4");
    assert_string_equal(header(0, PARK_TIER), "0");
    assert_true(strtoll(header(0, PARK_HELD), NULL, 10) > 500500);
    assert_true(counted("parked{v=\"deferred\",r=\"hibernating\"} 1\n"));
    assert_false(counted("held{t=\"a\",r=\"hibernating\"}")); /* it was, the first time */
    end_gated();
}

static void held__it_is_called_when_the_gate_opens(void **state)
{
    (void)state;
    begin_gated("    retry: {hold: 0ms, budget: 1s}\n", "ci.g.retry.1ms", false);
    fake_publish(t.partition, "k", EVENT("1", "x", "c"), waited);
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 1);
    assert_int_equal(count_units("a", VERDICT_TRIGGERED), 1);
    end_gated();
}

static void held__time_in_it_is_not_taken_from_the_budget(void **state)
{
    char first_seen[24];
    const char *const headers[] =
        {PARK_TARGET,     "a",       PARK_REASON,     "hibernating", PARK_CLASS,
         PARK_CLASS_HELD, PARK_HELD, "500000",        PARK_ROUND,    "3",
         PARK_TIER,       "0",       PARK_FIRST_SEEN, first_seen,    NULL};
    (void)state;
    begin_gated("    retry: {hold: 0ms, budget: 60s}\n", "ci.g.retry.1ms", false);
    snprintf(first_seen, sizeof first_seen, "%lld", (long long)now_wall_ms() - 510000);
    answer(0, "/a/x", 1, 503);
    fake_publish(t.partition, "k", EVENT("1", "x", "c"), headers);
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    assert_string_equal(fake_sent_at(0)->topic, "ci.g.retry.1s"); /* ten seconds old */
    assert_string_equal(header(0, PARK_REASON), "http_503");
    assert_string_equal(header(0, PARK_CLASS), "deferred");
    assert_string_equal(header(0, PARK_TIER), "1");
    end_gated();
}

static void held__longer_than_the_tier_goes_round_without_being_asked_about(void **state)
{
    char not_before[24];
    const char *headers[sizeof waited / sizeof *waited + 2];
    (void)state;
    begin_gated("", "ci.g.retry.1ms", false);
    snprintf(not_before, sizeof not_before, "%lld", (long long)now_wall_ms() + 3600000);
    headers[0] = PARK_NOT_BEFORE;
    headers[1] = not_before;
    memcpy(headers + 2, waited, sizeof waited);
    fake_publish(t.partition, "k", EVENT("1", "x", "c"), headers);
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(fake_gate_asks(), 0);
    assert_string_equal(fake_sent_at(0)->topic, "ci.g.retry.2s");
    assert_string_equal(header(0, PARK_REASON), "hibernating");
    assert_string_equal(header(0, PARK_CLASS), PARK_CLASS_HELD);
    assert_string_equal(header(0, PARK_DETAIL), "2 of 2 sleep");
    end_gated();
}

/* Else a head that is held once more would stand behind them. */
static void held__those_behind_come_back_behind(void **state)
{
    (void)state;
    begin_gated("", "ci.g.retry.1ms", false);
    fake_gate_says(GATE_HOLD, "hibernating", 0);
    fake_publish(t.partition, "k", EVENT("1", "x", "c"), waited);
    fake_publish(t.partition, "k", EVENT("2", "x", "c"), waited);
    t.partition->queue[1]->timestamp_ms += LANE_TOGETHER_MS / 2;
    go();
    assert_true(fake_await_done(t.partition, 2));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(fake_gate_asks(), 1);
    assert_string_equal(header(0, PARK_EVENT_ID), "1");
    assert_string_equal(header(1, PARK_EVENT_ID), "2");
    end_gated();
}

static void held__what_is_due_goes_round_behind_the_one_ahead_in_its_key(void **state)
{
    char not_before[24];
    const char *headers[sizeof waited / sizeof *waited + 2];
    (void)state;
    begin_gated("", "ci.g.retry.1ms", false);
    snprintf(not_before, sizeof not_before, "%lld", (long long)now_wall_ms() + 3600000);
    headers[0] = PARK_NOT_BEFORE;
    headers[1] = not_before;
    memcpy(headers + 2, waited, sizeof waited);
    fake_publish(t.partition, "k", EVENT("1", "x", "c"), headers);
    fake_publish(t.partition, "k", EVENT("2", "x", "c"), waited);
    fake_publish(t.partition, "k", EVENT("3", "x", "c"), waited);
    fake_publish(t.partition, "other", EVENT("4", "x", "c"), waited);
    go();
    assert_true(fake_await_done(t.partition, 4));
    stop_lane(LANE_NO_STARTS);
    assert_int_equal(calls(), 1);
    assert_int_equal(count_units("a", VERDICT_DEFERRED), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(fake_sent_at(i)->topic, "ci.g.retry.2s");
        assert_string_equal(header(i, PARK_REASON), "hibernating");
        assert_string_equal(header(i, PARK_CLASS), PARK_CLASS_HELD);
    }
    end_gated();
}

static void held__what_is_too_large_to_wait_dies_of_that(void **state)
{
    (void)state;
    begin_gated("", "ci", true);
    fake_gate_says(GATE_HOLD, "hibernating", 0);
    fake_broker_fail(-EINVAL, 1);
    publish("k", EVENT("1", "x", "c"));
    go();
    assert_true(fake_await_done(t.partition, 1));
    assert_string_equal(fake_sent_at(0)->topic, "ci.g.dlq");
    assert_string_equal(header(0, PARK_REASON), "too-large");
    end_gated();
}

static void held__counts_in_headers_are_bounded(void **state)
{
    (void)state;
    static const char *const headers[] = {PARK_TARGET, "a",
                                          PARK_ROUND,  "9223372036854775807",
                                          PARK_TIER,   "9223372036854775807",
                                          NULL};
    begin_gated("", "ci.g.retry.1ms", false);
    fake_gate_says(GATE_HOLD, "hibernating", 0);
    fake_publish(t.partition, "k", EVENT("1", "x", "c"), headers);
    go();
    assert_true(fake_await_done(t.partition, 1));
    assert_string_equal(header(0, PARK_ROUND), "2147483647");
    end_gated();
}

/* --- an answer that takes its time --- */

static void held__a_pause_comes_before_an_open_gate(void **state)
{
    static const char *const paused[] = {"a"};
    (void)state;
    begin_gated("", "ci", true);
    fake_gate.withholds = true;
    publish("k", EVENT("1", "x", "c"));
    go();
    assert_true(fake_gate_await(&fake_gate.asks, 1));
    plans_pause(t.fleet.plans, paused, 1);
    assert_true(fake_gate_answer(GATE_OPEN, "", 0));
    assert_true(fake_await_done(t.partition, 1));
    assert_int_equal(calls(), 0);
    assert_string_equal(header(0, PARK_REASON), "paused");
    end_gated();
}

static void held__a_gate_that_does_not_answer_holds_no_barrier(void **state)
{
    (void)state;
    fake_gate_patience_ms = 20;
    begin_gated("", "ci", true);
    fake_gate.withholds = true;
    publish("k", EVENT("1", "x", "c"));
    go();
    assert_true(fake_await_done(t.partition, 1));
    assert_int_equal(fake_gate.recalls, 1);
    assert_string_equal(header(0, PARK_REASON), "gate-timeout");
    assert_string_equal(header(0, PARK_CLASS), PARK_CLASS_HELD);
    end_gated();
}

static void held__an_answer_that_crosses_its_recall_counts(void **state)
{
    (void)state;
    fake_gate_patience_ms = 20;
    begin_gated("", "ci", true);
    fake_gate.withholds = true;
    fake_gate.recall_answers = false;
    publish("k", EVENT("1", "x", "c"));
    go();
    assert_true(fake_gate_await(&fake_gate.recalls, 1));
    assert_true(fake_gate_answer(GATE_OPEN, "", 0));
    assert_true(fake_await_done(t.partition, 1));
    assert_int_equal(calls(), 1);
    assert_int_equal(fake_gate.recalls, 1); /* said once */
    end_gated();
}

/* Redis lost its memory and another took the unit while its gate was asked: it is claimed
 * again, whatever the gate says. */
static void held__a_claim_lost_meanwhile_is_asked_for_again(void **state)
{
    struct ledger_entry other = {.target = "a", .identity = "i", .lease_ms = 10000};
    struct ledger_entry *others[] = {&other};
    struct ledger_entry *entries[1];
    struct unit *picked[1];
    struct unit unit = {.entry = other, .claimed = true};
    struct gate_ask ask = {.says = GATE_OPEN};
    (void)state;
    begin_gated("", "ci", true);
    ledger_entry_init(t.fleet.ledger, &other);
    assert_int_equal(ledger_claim(t.fleet.ledger, others, 1), 0);
    assert_int_equal(other.result, LEDGER_GRANTED);
    ledger_entry_init(t.fleet.ledger, &unit.entry);
    unit.entry.lease_end_boot_ms = now_boot_ms() + 1000;
    unit.ask = &ask;
    atomic_store(&unit.state, UNIT_ASKING);
    struct work w = {.fleet = &t.fleet,
                     .units = &unit,
                     .count = 1,
                     .asking = 1,
                     .picked = picked,
                     .entries = entries};
    work_renew_due(&w, now_ms());
    assert_false(unit.claimed);
    assert_int_equal(unit_state_now(&unit), UNIT_ASKING); /* its gate has it still */
    work_gate_answered(&w, &unit);
    assert_int_equal(unit_state_now(&unit), UNIT_CLAIM);
    end_gated();
}

/* --- stop --- */

/* A lane that was told to stop while its gate was asked. */
static void begin_stopped(bool recall_answers)
{
    begin_gated("", "ci", true);
    fake_gate.withholds = true;
    fake_gate.recall_answers = recall_answers;
    publish("k", EVENT("1", "x", "c"));
    publish("k", EVENT("2", "x", "c")); /* behind it */
    go();
    assert_true(fake_gate_await(&fake_gate.asks, 1));
    lane_stop(t.lane, LANE_NO_STARTS);
    assert_true(fake_gate_await(&fake_gate.recalls, 1));
}

static void held__what_is_asked_about_at_a_stop_is_given_back(void **state)
{
    (void)state;
    begin_stopped(true);
    assert_int_equal(stop_lane(LANE_ABORT), 2);
    assert_int_equal(fake_gate.recalls, 1);
    assert_int_equal(fake_done_offset(t.partition), -1);
    assert_null(fake_sent_at(0));
    fake_gate.withholds = false; /* its claim is free for the next owner */
    assign_anew();
    publish("k", EVENT("1", "x", "c"));
    go();
    assert_true(fake_await_done(t.partition, 1));
    assert_int_equal(calls(), 1);
    end_gated();
}

static void held__an_open_gate_after_a_stop_starts_nothing(void **state)
{
    (void)state;
    begin_stopped(false);
    assert_true(fake_gate_answer(GATE_OPEN, "", 0));
    assert_int_equal(stop_lane(LANE_NO_STARTS), 2);
    assert_int_equal(calls(), 0);
    end_gated();
}

static void held__a_hold_after_a_stop_parks_nothing(void **state)
{
    (void)state;
    begin_stopped(false);
    assert_true(fake_gate_answer(GATE_HOLD, "hibernating", 0));
    assert_int_equal(stop_lane(LANE_NO_STARTS), 2);
    assert_null(fake_sent_at(0));
    end_gated();
}

static void held__a_skip_after_a_stop_stands(void **state)
{
    (void)state;
    begin_stopped(false);
    assert_true(fake_gate_answer(GATE_SKIP, "hibernating", 0));
    assert_int_equal(stop_lane(LANE_NO_STARTS), 1);
    assert_int_equal(count_units("a", VERDICT_SKIPPED), 1);
    assert_int_equal(fake_done_offset(t.partition), 1);
    end_gated();
}

static void *answer_all(void *arg)
{
    const enum gate_says says[] = {GATE_OPEN, GATE_HOLD, GATE_SKIP};
    atomic_bool *over = arg;
    for (size_t i = 0; !atomic_load(over); i++) {
        if (!fake_gate_answer(says[i % 3], "hibernating", 0)) {
            sched_yield();
        }
    }
    return NULL;
}

/* The gate answers from a thread of its own while lanes come and go: each unit ends once
 * (end counts), and none is called twice. */
static void held__answers_may_race_with_stops(void **state)
{
    pthread_t thread;
    atomic_bool over = false;
    (void)state;
    begin_gated("", "ci", true);
    fake_gate.withholds = true;
    MUST(pthread_create(&thread, NULL, answer_all, &over));
    for (int round = 0; round < OWNERS_MAX; round++) {
        publish("k", EVENT("1", "x", "c"));
        publish("l", EVENT("2", "x", "c"));
        publish("m", EVENT("3", "x", "c"));
        publish("n", EVENT("4", "x", "c"));
        go();
        assert_true(fake_gate_await(&fake_gate.asks, round + 1));
        stop_lane(round % 2 ? LANE_ABORT : LANE_NO_STARTS);
        assign_anew();
    }
    atomic_store(&over, true);
    MUST(pthread_join(thread, NULL));
    assert_true(calls() <= 4);
    end_gated();
}

int main(void)
{
    log_setup(LOG_ERROR, LOG_TEXT, NULL);
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
