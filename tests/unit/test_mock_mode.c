#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../producer/mock_mode.h"

static struct mock_mode mode;

static int set(const char *name, const char *text)
{
    return mock_mode_set(&mode, name, text, NULL);
}

static int change(const char *text)
{
    struct json_object *doc;
    assert_int_equal(json_parse(text, strlen(text), &doc, NULL), 0);
    int rc = mock_mode_change(&mode, doc, NULL);
    json_free(doc);
    return rc;
}

static void mock_mode__refuses_what_is_no_setting(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"latency", "120"},   {"latency", "2s..1s"}, {"latency", "-5ms"},
        {"latency", ""},      {"fail", "101%"},      {"fail", "1.5"},
        {"fail", "-1%"},      {"fail", "nan"},       {"fail", "%"},
        {"status", "99"},     {"status", "600"},     {"status", "20x"},
        {"retry-after", "5"}, {"retry-after", "x"},  {"retry-after", "date:x"},
        {"byte-every", "0"},  {"nonsense", "1"},     {"hang", ""},
    };
    mock_mode_init(&mode);
    struct mock_mode before = mode;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (set(bad[i][0], bad[i][1]) == 0) {
            fail_msg("%s took \"%s\"", bad[i][0], bad[i][1]);
        }
    }
    assert_memory_equal(&mode, &before, sizeof mode);
}

static void mock_mode__reads_every_setting(void **state)
{
    (void)state;
    mock_mode_init(&mode);
    assert_int_equal(set("latency", "120ms..1s"), 0);
    assert_int_equal(mode.latency_ms, 120);
    assert_int_equal(mode.latency_max_ms, 1000);
    assert_int_equal(set("latency", "7ms"), 0);
    assert_int_equal(mode.latency_max_ms, 7);
    assert_int_equal(set("fail", "2%"), 0);
    assert_true(mode.fail > 0.0199 && mode.fail < 0.0201);
    assert_int_equal(set("hang", "0.5"), 0);
    assert_int_equal(set("reset", "100%"), 0);
    assert_int_equal(set("slow-body", "0"), 0);
    assert_true(mode.hang == 0.5 && mode.reset == 1 && mode.slow_body == 0);
    assert_int_equal(set("status", "429"), 0);
    assert_int_equal(set("fail-status", "500"), 0);
    assert_int_equal(mode.status, 429);
    assert_int_equal(mode.fail_status, 500);
    assert_int_equal(set("retry-after", "1500ms"), 0);
    assert_int_equal(mode.retry_after_s, 2); /* never sooner than asked */
    assert_false(mode.retry_after_date);
    assert_int_equal(set("retry-after", "date:30s"), 0);
    assert_int_equal(mode.retry_after_s, 30);
    assert_true(mode.retry_after_date);
    assert_int_equal(set("retry-after", "none"), 0);
    assert_int_equal(mode.retry_after_s, -1);
}

static void mock_mode__changes_all_or_nothing(void **state)
{
    (void)state;
    mock_mode_init(&mode);
    assert_int_equal(change("{\"latency_ms\":120,\"fail\":0.5,\"retry_after\":\"5s\"}"),
                     0);
    assert_int_equal(mode.latency_ms, 120);
    assert_int_equal(mode.retry_after_s, 5);
    assert_true(mode.fail == 0.5);
    struct mock_mode before = mode;
    assert_int_not_equal(change("{\"latency_ms\":9,\"fail\":2}"), 0);
    assert_int_not_equal(change("[1]"), 0);
    assert_memory_equal(&mode, &before, sizeof mode);
    assert_int_equal(change("{\"retry_after\":null,\"slow_body\":\"10%\"}"), 0);
    assert_int_equal(mode.retry_after_s, -1);
    assert_true(mode.slow_body == 0.1);
}

static void mock_mode__what_it_shows_it_takes_back(void **state)
{
    (void)state;
    mock_mode_init(&mode);
    assert_int_equal(set("latency", "5ms..10ms"), 0);
    assert_int_equal(set("hang", "12.5%"), 0);
    assert_int_equal(set("retry-after", "date:7s"), 0);
    struct json_object *doc = mock_mode_json(&mode);
    struct mock_mode copy;
    mock_mode_init(&copy);
    assert_int_equal(mock_mode_change(&copy, doc, NULL), 0);
    json_free(doc);
    assert_int_equal(copy.latency_ms, 5);
    assert_int_equal(copy.latency_max_ms, 10);
    assert_true(copy.hang == 0.125);
    assert_int_equal(copy.retry_after_s, 7);
    assert_true(copy.retry_after_date);
    assert_int_equal(copy.status, mode.status);
}

static void mock_mode__fate_hangs_on_seed_key_and_attempt_alone(void **state)
{
    (void)state;
    mock_mode_init(&mode);
    mode.fail = 0.5;
    mode.latency_max_ms = 1000;
    struct mock_fate a = mock_mode_fate(&mode, 7, "t/1", 3);
    struct mock_fate b = mock_mode_fate(&mode, 7, "t/1", 3);
    assert_int_equal(a.status, b.status);
    assert_int_equal(a.latency_us, b.latency_us);
    int differ = 0;
    for (uint64_t i = 0; i < 20; i++) {
        differ += mock_mode_fate(&mode, 7, "t/1", i).latency_us != a.latency_us;
        differ += mock_mode_fate(&mode, 8 + i, "t/1", 3).latency_us != a.latency_us;
    }
    assert_true(differ > 35);
}

static void mock_mode__shares_are_met(void **state)
{
    (void)state;
    enum { CALLS = 20000 };
    mock_mode_init(&mode);
    mode.fail = 0.2;
    mode.hang = 0.1;
    int failed = 0;
    int hung = 0;
    for (int i = 0; i < CALLS; i++) {
        char key[32];
        snprintf(key, sizeof key, "argocd/%d", i);
        struct mock_fate fate = mock_mode_fate(&mode, 42, key, 1);
        failed += fate.status == 503;
        hung += fate.act == MOCK_HANG;
        assert_int_equal(fate.latency_us, 0);
    }
    assert_in_range(hung, CALLS * 9 / 100, CALLS * 11 / 100);
    assert_in_range(failed, CALLS * 17 / 100, CALLS * 19 / 100); /* 0.2 of what is left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
