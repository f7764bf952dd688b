#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fleet/parking.h"

enum { HOUR = 3600 * 1000 };

static const struct config config = {
    .retry = {.tiers_ms = {30000, 300000, 1800000}, .tier_count = 3}};
static const struct config_target target = {.retry_budget_ms = 2 * HOUR};

static size_t tier(int round, int64_t at_least_ms, int64_t age_ms)
{
    return parking_tier(&config, &target, round, true, at_least_ms, age_ms);
}

static size_t tier_uncalled(int round)
{
    return parking_tier(&config, &target, round, false, 0, 0);
}

static void parking_tier__goes_up_by_rounds_and_stays_at_the_last(void **state)
{
    (void)state;
    assert_int_equal(tier(0, 0, 0), 0);
    assert_int_equal(tier(1, 0, 0), 1);
    assert_int_equal(tier(2, 0, 0), 2);
    assert_int_equal(tier(9, 0, 0), 2);
}

/* A target that is well again after two minutes is not left for half an hour. */
static void parking_tier__stays_while_nothing_is_called(void **state)
{
    (void)state;
    assert_int_equal(tier_uncalled(0), 0);
    assert_int_equal(tier_uncalled(1), 0);
    assert_int_equal(tier_uncalled(2), 1);
}

static void parking_tier__skips_those_shorter_than_was_asked_for(void **state)
{
    (void)state;
    assert_int_equal(tier(0, 30000, 0), 0);
    assert_int_equal(tier(0, 30001, 0), 1);
    assert_int_equal(tier(0, HOUR, 0), 2); /* and round again there */
}

static void parking_tier__ends_where_the_budget_does_not_reach(void **state)
{
    (void)state;
    assert_int_equal(tier(9, 0, 2 * HOUR - 1800000), 2);
    assert_true(tier(9, 0, 2 * HOUR - 1800000 + 1) == SIZE_MAX);
    assert_true(tier(0, 0, 2 * HOUR) == SIZE_MAX);
}

static void parking_round__rises_each_time_it_dies(void **state)
{
    (void)state;
    assert_int_equal(parking_round(0, VERDICT_DEFERRED), 1);
    assert_int_equal(parking_round(3, VERDICT_DEAD), LEDGER_DEAD_ROUND);
    assert_int_equal(parking_round(LEDGER_DEAD_ROUND, VERDICT_DEFERRED),
                     LEDGER_DEAD_ROUND + 1);
    assert_int_equal(parking_round(LEDGER_DEAD_ROUND, VERDICT_DEAD),
                     LEDGER_DEAD_ROUND + 1);
}

/* Held for a fortnight, once a second: it is no dead letter yet. */
static void parking_round__of_one_that_goes_round_stays_below_the_dead(void **state)
{
    (void)state;
    assert_int_equal(parking_round(LEDGER_DEAD_ROUND - 2, VERDICT_DEFERRED),
                     LEDGER_DEAD_ROUND - 1);
    assert_int_equal(parking_round(LEDGER_DEAD_ROUND - 1, VERDICT_DEFERRED),
                     LEDGER_DEAD_ROUND - 1);
    assert_int_equal(parking_round(LEDGER_DEAD_ROUND - 1, VERDICT_DEAD),
                     LEDGER_DEAD_ROUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
