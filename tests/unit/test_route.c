#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../consumer/console/route.h"

static char name[ROUTE_NAME_MAX];

static void route__without_a_name_fits_itself_only(void **state)
{
    (void)state;
    assert_true(route_fits("config", "config", name));
    assert_string_equal(name, "");
    assert_false(route_fits("config", "config/", name));
    assert_false(route_fits("config", "confi", name));
    assert_false(route_fits("config", "", name));
}

static void route__takes_a_name_at_the_end(void **state)
{
    (void)state;
    assert_true(route_fits("events/{id}", "events/e-1", name));
    assert_string_equal(name, "e-1");
    assert_true(route_fits("events/{id}", "events/urn:a/b?c", name));
    assert_string_equal(name, "urn:a/b?c");
}

static void route__takes_a_name_with_slashes_in_the_middle(void **state)
{
    (void)state;
    const char *pattern = "apps/{app}/workflow";
    assert_true(route_fits(pattern, "apps/team/payments/workflow", name));
    assert_string_equal(name, "team/payments");
    assert_true(route_fits(pattern, "apps/workflow/workflow", name));
    assert_string_equal(name, "workflow");
}

static void route__wants_a_name_where_there_is_one(void **state)
{
    (void)state;
    assert_false(route_fits("events/{id}", "events/", name));
    assert_false(route_fits("apps/{app}/workflow", "apps//workflow", name));
    assert_false(route_fits("apps/{app}/workflow", "apps/workflow", name));
    assert_false(route_fits("apps/{app}/workflow", "apps/a/workflows", name));
    assert_false(route_fits("apps/{app}/workflow", "app/a/workflow", name));
}

static void route__takes_no_name_that_is_too_long(void **state)
{
    (void)state;
    char path[sizeof "events/" + ROUTE_NAME_MAX] = "events/";
    memset(path + strlen(path), 'x', ROUTE_NAME_MAX);
    assert_false(route_fits("events/{id}", path, name));
    path[strlen(path) - 1] = '\0';
    assert_true(route_fits("events/{id}", path, name));
    assert_int_equal(strlen(name), ROUTE_NAME_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
