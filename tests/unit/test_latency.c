#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../producer/latency.h"

static void latency__tells_the_nearest_rank(void **state)
{
    (void)state;
    struct latency latency = {.total = 0};
    for (int i = 1; i <= 100; i++) {
        latency_add(&latency, i);
    }
    assert_int_equal(latency_quantile(&latency, 0.5), 50);
    assert_int_equal(latency_quantile(&latency, 0.95), 95);
    assert_int_equal(latency_quantile(&latency, 1), 100);
}

static void latency__of_none_is_none(void **state)
{
    (void)state;
    struct latency latency = {.total = 0};
    assert_int_equal(latency_quantile(&latency, 0.99), 0);
}

static void latency__counts_what_is_out_of_its_range(void **state)
{
    (void)state;
    struct latency latency = {.total = 0};
    latency_add(&latency, -5);
    latency_add(&latency, 2345);
    latency_add(&latency, INT64_MAX);
    assert_int_equal(latency_quantile(&latency, 0.3), 0);
    assert_int_equal(latency_quantile(&latency, 0.6), 2300);
    assert_true(latency_quantile(&latency, 1) > 60000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
