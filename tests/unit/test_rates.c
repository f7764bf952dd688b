/* Growth and quantiles out of counters. */
#include "ops/rates.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void put(struct rates *r, int64_t at_ms, uint64_t a, uint64_t b)
{
    const uint64_t counters[] = {a, b};
    rates_put(r, at_ms, counters);
}

static void rates__one_sample_says_nothing(void **state)
{
    (void)state;
    struct rates *r = rates_new(4, 2);
    assert_int_equal(rates_growth(r, 0, 1000, NULL), -1);
    put(r, 1000, 5, 5);
    assert_int_equal(rates_growth(r, 0, 1000, NULL), -1);
    assert_true(rates_per_s(r, 0, 1000) < 0);
    rates_free(r);
}

static void rates__a_counter_that_fell_is_not_known(void **state)
{
    (void)state;
    struct rates *r = rates_new(4, 2);
    put(r, 1000, 5, 5);
    put(r, 2000, 4, 9);
    assert_int_equal(rates_growth(r, 0, 1000, NULL), -1);
    assert_int_equal(rates_growth(r, 1, 1000, NULL), 4);
    rates_free(r);
}

static void rates__the_span_picks_the_sample(void **state)
{
    (void)state;
    int64_t over_ms;
    struct rates *r = rates_new(10, 2);
    for (int64_t i = 0; i <= 5; i++) {
        put(r, i * 2000, (uint64_t)(i * i), (uint64_t)i);
    }
    assert_int_equal(rates_growth(r, 0, 4000, &over_ms), 25 - 9);
    assert_int_equal(over_ms, 4000);
    assert_int_equal(rates_growth(r, 0, 3000, &over_ms), 25 - 9); /* at least that old */
    assert_int_equal(rates_growth(r, 0, 99999, &over_ms), 25);
    assert_int_equal(over_ms, 10000);
    assert_true(rates_per_s(r, 1, 10000) == 0.5);
    rates_free(r);
}

static void rates__old_samples_are_forgotten(void **state)
{
    (void)state;
    int64_t over_ms;
    struct rates *r = rates_new(3, 2);
    for (int64_t i = 0; i < 10; i++) {
        put(r, i * 1000, (uint64_t)i * 10, 0);
    }
    assert_int_equal(rates_growth(r, 0, 60000, &over_ms), 20);
    assert_int_equal(over_ms, 2000);
    rates_free(r);
}

static void rates__a_quantile_lies_inside_its_bucket(void **state)
{
    (void)state;
    static const double bounds[] = {0.1, 0.2, 0.4};
    const uint64_t none[4] = {0};
    const uint64_t even[4] = {50, 50, 0, 0};
    const uint64_t late[4] = {90, 0, 10, 0};
    const uint64_t beyond[4] = {1, 0, 0, 9};
    assert_int_equal(rates_quantile_ms(bounds, 3, none, 0.95), -1);
    assert_int_equal(rates_quantile_ms(bounds, 3, even, 0.5), 100);
    assert_int_equal(rates_quantile_ms(bounds, 3, even, 0.95), 190);
    assert_int_equal(rates_quantile_ms(bounds, 3, late, 0.95), 300);
    assert_int_equal(rates_quantile_ms(bounds, 3, beyond, 0.95), 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
