#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include "fleet/breaker.h"

static struct breaker opened_at(int64_t now_ms)
{
    struct breaker b;
    breaker_init(&b);
    for (int i = 0; i < BREAKER_FAILURES - 1; i++) {
        assert_false(breaker_report(&b, true, now_ms));
    }
    assert_true(breaker_allow(&b, now_ms));
    assert_true(breaker_report(&b, true, now_ms));
    return b;
}

static void breaker__opens_after_failures_in_a_row(void **state)
{
    (void)state;
    struct breaker b = opened_at(1000);
    assert_false(breaker_allow(&b, 1000));
    assert_true(breaker_is_open(&b, 1000));
    breaker_release(&b);
}

static void breaker__a_success_starts_the_count_again(void **state)
{
    (void)state;
    struct breaker b;
    breaker_init(&b);
    for (int i = 0; i < BREAKER_FAILURES * 3; i++) {
        assert_false(breaker_report(&b, i % 2 == 0, 0));
    }
    assert_true(breaker_allow(&b, 0));
    breaker_release(&b);
}

static void breaker__lets_one_probe_through(void **state)
{
    (void)state;
    struct breaker b = opened_at(0);
    assert_false(breaker_allow(&b, BREAKER_OPEN_MS - 1));
    assert_true(breaker_allow(&b, BREAKER_OPEN_MS));
    assert_false(breaker_allow(&b, BREAKER_OPEN_MS));
    assert_true(breaker_is_open(&b, BREAKER_OPEN_MS));
    breaker_release(&b);
}

static void breaker__closes_when_the_probe_succeeds(void **state)
{
    (void)state;
    struct breaker b = opened_at(0);
    assert_true(breaker_allow(&b, BREAKER_OPEN_MS));
    breaker_report(&b, false, BREAKER_OPEN_MS);
    assert_true(breaker_allow(&b, BREAKER_OPEN_MS));
    assert_true(breaker_allow(&b, BREAKER_OPEN_MS));
    breaker_release(&b);
}

static void breaker__stays_open_longer_after_each_failed_probe(void **state)
{
    (void)state;
    struct breaker b = opened_at(0);
    int64_t now_ms = 0;
    int64_t length_ms = BREAKER_OPEN_MS;
    for (int i = 0; i < 8; i++) {
        assert_false(breaker_allow(&b, now_ms + length_ms - 1));
        now_ms += length_ms;
        assert_true(breaker_allow(&b, now_ms));
        assert_true(breaker_report(&b, true, now_ms));
        length_ms =
            length_ms * 2 > BREAKER_OPEN_MAX_MS ? BREAKER_OPEN_MAX_MS : length_ms * 2;
    }
    breaker_release(&b);
}

static void breaker__a_straggler_does_not_lengthen_the_opening(void **state)
{
    (void)state;
    struct breaker b = opened_at(0);
    assert_false(breaker_report(&b, true, 10));
    assert_true(breaker_allow(&b, BREAKER_OPEN_MS));
    breaker_release(&b);
}

static void breaker__a_probe_that_never_started_gives_its_place_back(void **state)
{
    (void)state;
    struct breaker b = opened_at(0);
    assert_true(breaker_allow(&b, BREAKER_OPEN_MS));
    breaker_unused(&b);
    assert_true(breaker_allow(&b, BREAKER_OPEN_MS));
    breaker_release(&b);
}

static void breaker__a_probe_that_never_reports_is_forgotten(void **state)
{
    (void)state;
    struct breaker b = opened_at(0);
    assert_true(breaker_allow(&b, BREAKER_OPEN_MS));
    assert_false(breaker_allow(&b, BREAKER_OPEN_MS + BREAKER_OPEN_MAX_MS - 1));
    assert_true(breaker_allow(&b, BREAKER_OPEN_MS + BREAKER_OPEN_MAX_MS));
    breaker_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
