#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../producer/topic_plan.h"
#include "base/mem.h"

static const char *const delays[] = {"30s", "5m", "30m"};

static void topic_plan__names_carry_the_group(void **state)
{
    (void)state;
    static const char *const names[] = {"ci.succeeded",
                                        "ci.succeeded.blue.retry.1s",
                                        "ci.succeeded.blue.retry.30s",
                                        "ci.succeeded.blue.retry.5m",
                                        "ci.succeeded.blue.retry.30m",
                                        "ci.succeeded.blue.dlq"};
    struct topic_plan plan;
    assert_int_equal(topic_plan_make(&plan, "ci.succeeded", "blue", delays, 3, 12, NULL),
                     0);
    assert_int_equal(plan.count, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(plan.items[i].name, names[i]);
        assert_int_equal(plan.items[i].partitions, i == 0 ? 12 : 3);
    }
    assert_int_equal(plan.items[0].kind, TOPIC_SOURCE);
    assert_int_equal(plan.items[3].kind, TOPIC_RETRY);
    assert_int_equal(plan.items[5].kind, TOPIC_DEAD);
}

static void topic_plan__has_the_redrive_tier_once(void **state)
{
    (void)state;
    static const char *const own[] = {"1s", "5s"};
    struct topic_plan plan;
    assert_int_equal(topic_plan_make(&plan, "t", "g", own, 2, 1, NULL), 0);
    assert_int_equal(plan.count, 4);
    assert_string_equal(plan.items[1].name, "t.g.retry.1s");
    assert_string_equal(plan.items[2].name, "t.g.retry.5s");
}

static void topic_plan__refuses_names_kafka_would_refuse(void **state)
{
    (void)state;
    struct topic_plan plan;
    struct err err = ERR_INIT;
    assert_int_not_equal(topic_plan_make(&plan, "ci succeeded", "g", delays, 1, 1, &err),
                         0);
    assert_int_not_equal(topic_plan_make(&plan, "", "g", delays, 1, 1, &err), 0);
    assert_int_not_equal(topic_plan_make(&plan, "t", "a/b", delays, 1, 1, &err), 0);
    assert_non_null(strstr(err.text, "t.a/b.retry.1s"));
    char name[TOPIC_NAME_MAX + 1];
    memset(name, 'x', TOPIC_NAME_MAX);
    name[TOPIC_NAME_MAX] = '\0';
    assert_int_not_equal(topic_plan_make(&plan, name, "g", delays, 1, 1, &err), 0);
    assert_non_null(strstr(err.text, "longer"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
