#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "target/attempt.h"

enum { CAP_MS = 60000 };

static struct attempt_result classify(enum http_end end, int status,
                                      int64_t retry_after_ms, const char *error)
{
    struct http_call call = {.end = end,
                             .status = status,
                             .retry_after_ms = retry_after_ms};
    struct attempt_result result;
    snprintf(call.error, sizeof(call.error), "%s", error);
    attempt_classify(&call, CAP_MS, &result);
    return result;
}

static void attempt__classifies_by_status(void **state)
{
    (void)state;
    static const struct {
        int status;
        enum attempt_class class;
        const char *reason;
        bool sick;
    } cases[] = {
        {200, ATTEMPT_DONE, "http_200", false},
        {201, ATTEMPT_DONE, "http_201", false},
        {202, ATTEMPT_DONE, "http_202", false},
        {204, ATTEMPT_DONE, "http_204", false},
        {299, ATTEMPT_DONE, "http_299", false},
        {301, ATTEMPT_PERMANENT, "redirect", false},
        {302, ATTEMPT_PERMANENT, "redirect", false},
        {304, ATTEMPT_PERMANENT, "redirect", false},
        {308, ATTEMPT_PERMANENT, "redirect", false},
        {400, ATTEMPT_PERMANENT, "http_400", false},
        {401, ATTEMPT_PERMANENT, "http_401", false},
        {403, ATTEMPT_PERMANENT, "http_403", false},
        {404, ATTEMPT_PERMANENT, "http_404", false},
        {408, ATTEMPT_RETRY, "http_408", false},
        {409, ATTEMPT_PERMANENT, "http_409", false},
        {410, ATTEMPT_PERMANENT, "http_410", false},
        {422, ATTEMPT_PERMANENT, "http_422", false},
        {425, ATTEMPT_RETRY, "http_425", false},
        {429, ATTEMPT_RETRY, "http_429", false},
        {500, ATTEMPT_RETRY, "http_500", true},
        {501, ATTEMPT_PERMANENT, "http_501", true},
        {502, ATTEMPT_RETRY, "http_502", true},
        {503, ATTEMPT_RETRY, "http_503", true},
        {504, ATTEMPT_RETRY, "http_504", true},
        {505, ATTEMPT_PERMANENT, "http_505", true},
        {522, ATTEMPT_RETRY, "http_522", true},
        {101, ATTEMPT_PERMANENT, "http_101", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_call call = {.end = HTTP_END_ANSWERED,
                                 .status = cases[i].status,
                                 .retry_after_ms = -1};
        struct attempt_result result;
        attempt_classify(&call, CAP_MS, &result);
        if (result.class != cases[i].class ||
            strcmp(result.reason, cases[i].reason) != 0 ||
            attempt_is_sick(&result, &call) != cases[i].sick) {
            fail_msg("%d: class %d, %s", cases[i].status, result.class, result.reason);
        }
        assert_int_equal(result.retry_after_ms, -1);
    }
}

static void attempt__classifies_calls_without_an_answer(void **state)
{
    (void)state;
    static const struct {
        enum http_end end;
        const char *error;
        enum attempt_class class;
        const char *reason;
        bool sick;
    } cases[] = {
        {HTTP_END_RECALLED, "", ATTEMPT_AGAIN, "recalled", false},
        {HTTP_END_STALE, "", ATTEMPT_AGAIN, "stale", false},
        {HTTP_END_REFUSED, "refused address", ATTEMPT_PERMANENT, "refused", false},
        {HTTP_END_NOT_SENT, "connect: Connection refused", ATTEMPT_RETRY, "connect",
         true},
        {HTTP_END_NOT_SENT, "resolve: no such host", ATTEMPT_RETRY, "resolve", true},
        {HTTP_END_NOT_SENT, "connect: timed out", ATTEMPT_RETRY, "timeout", true},
        {HTTP_END_NOT_SENT, "odd", ATTEMPT_RETRY, "not_sent", true},
        {HTTP_END_UNCERTAIN, "answer: timed out", ATTEMPT_UNCERTAIN, "timeout", true},
        {HTTP_END_UNCERTAIN, "answer: the connection was closed before one came",
         ATTEMPT_UNCERTAIN, "reset", true},
        {HTTP_END_UNCERTAIN, "answer: Recv failure: Connection reset by peer",
         ATTEMPT_UNCERTAIN, "reset", true},
        {HTTP_END_UNCERTAIN, "odd", ATTEMPT_UNCERTAIN, "no_answer", true},
        {HTTP_END_TOO_LARGE, "", ATTEMPT_UNCERTAIN, "too_large", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_call call = {.end = cases[i].end, .retry_after_ms = -1};
        struct attempt_result result = classify(cases[i].end, 0, -1, cases[i].error);
        if (result.class != cases[i].class ||
            strcmp(result.reason, cases[i].reason) != 0 ||
            attempt_is_sick(&result, &call) != cases[i].sick) {
            fail_msg("%zu: class %d, %s", i, result.class, result.reason);
        }
    }
}

static void attempt__trusts_the_status_of_an_endless_body(void **state)
{
    (void)state;
    assert_int_equal(classify(HTTP_END_TOO_LARGE, 200, -1, "").class, ATTEMPT_DONE);
    struct attempt_result result = classify(HTTP_END_TOO_LARGE, 503, -1, "");
    assert_int_equal(result.class, ATTEMPT_RETRY);
    assert_string_equal(result.reason, "too_large");
    assert_int_equal(classify(HTTP_END_TOO_LARGE, 400, -1, "").class, ATTEMPT_PERMANENT);
}

static void attempt__heeds_retry_after_up_to_the_cap(void **state)
{
    (void)state;
    assert_int_equal(classify(HTTP_END_ANSWERED, 429, 5000, "").retry_after_ms, 5000);
    assert_int_equal(classify(HTTP_END_ANSWERED, 503, 0, "").retry_after_ms, 0);
    assert_int_equal(classify(HTTP_END_ANSWERED, 503, 86400000, "").retry_after_ms,
                     CAP_MS);
    assert_int_equal(classify(HTTP_END_ANSWERED, 200, 5000, "").retry_after_ms, -1);
    assert_int_equal(classify(HTTP_END_ANSWERED, 404, 5000, "").retry_after_ms, -1);
    /* a 403 that says when to come back is a rate limit */
    struct attempt_result result = classify(HTTP_END_ANSWERED, 403, 5000, "");
    assert_int_equal(result.class, ATTEMPT_RETRY);
    assert_int_equal(result.retry_after_ms, 5000);
}

static void attempt__backs_off_within_a_growing_window(void **state)
{
    (void)state;
    static const int64_t windows[] = {200, 400, 800, 1600, 3200, 5000, 5000};
    for (int tries = 1; tries <= 7; tries++) {
        int64_t window = windows[tries - 1];
        assert_int_equal(attempt_backoff_ms(tries, 200, 5000, -1, 0), 0);
        assert_int_equal(attempt_backoff_ms(tries, 200, 5000, -1, (uint64_t)window),
                         window);
        assert_int_equal(attempt_backoff_ms(tries, 200, 5000, -1, (uint64_t)window + 1),
                         0);
        for (uint64_t r = 1; r < 50; r++) {
            int64_t wait =
                attempt_backoff_ms(tries, 200, 5000, -1, r * 0x9e3779b97f4a7c15u);
            assert_true(wait >= 0 && wait <= window);
        }
    }
    assert_int_equal(attempt_backoff_ms(1, 200, 5000, 7000, 150), 7000);
    assert_int_equal(attempt_backoff_ms(1, 200, 5000, 100, 150), 150);
    assert_int_equal(attempt_backoff_ms(1, 0, 0, -1, 99), 0);
    assert_true(attempt_backoff_ms(1000000, 1, INT64_MAX, -1, UINT64_MAX) >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
