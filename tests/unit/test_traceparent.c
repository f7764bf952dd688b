#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "event/traceparent.h"

#define TRACE  "0af7651916cd43dd8448eb211c80319c"
#define PARENT "b7ad6b7169203331"

static void traceparent__ignores_invalid_headers(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "00",
        "00-" TRACE "-" PARENT,
        "00-" TRACE "-" PARENT "-0",
        "00-" TRACE "-" PARENT "-01-x",
        "00-" TRACE "-" PARENT "-01 ",
        "ff-" TRACE "-" PARENT "-01",
        "0x-" TRACE "-" PARENT "-01",
        "00-00000000000000000000000000000000-" PARENT "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-" PARENT "-01",
        "00-0af7651916cd43dd8448eb211c80319g-" PARENT "-01",
        "00_" TRACE "-" PARENT "-01",
        "00-" TRACE "_" PARENT "-01",
        "00-" TRACE "-" PARENT "_01",
        "00-" TRACE "-" PARENT "-0g",
        "01-" TRACE "-" PARENT "-01x",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char out[TRACEPARENT_MAX] = "as before";
        assert_false(traceparent_parse(texts[i], strlen(texts[i]), out));
        assert_string_equal(out, "as before");
    }
}

static void traceparent__comes_out_as_version_00(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"00-" TRACE "-" PARENT "-01", "00-" TRACE "-" PARENT "-01"},
        {"00-" TRACE "-" PARENT "-00", "00-" TRACE "-" PARENT "-00"},
        {"00-" TRACE "-" PARENT "-ff", "00-" TRACE "-" PARENT "-03"},
        {"cc-" TRACE "-" PARENT "-01", "00-" TRACE "-" PARENT "-01"},
        {"cc-" TRACE "-" PARENT "-09-what-comes", "00-" TRACE "-" PARENT "-01"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[TRACEPARENT_MAX];
        assert_true(traceparent_parse(cases[i][0], strlen(cases[i][0]), out));
        assert_string_equal(out, cases[i][1]);
    }
}

static void traceparent__makes_children_of_the_same_trace(void **state)
{
    (void)state;
    static const char parent[] = "00-" TRACE "-" PARENT "-00";
    char a[TRACEPARENT_MAX];
    char b[TRACEPARENT_MAX];
    char again[TRACEPARENT_MAX];
    traceparent_child(parent, a);
    traceparent_child(parent, b);
    assert_memory_equal(a, parent, 36);
    assert_memory_equal(a + 52, parent + 52, 4);
    assert_memory_not_equal(a + 36, parent + 36, 16);
    assert_memory_not_equal(a + 36, b + 36, 16);
    assert_true(traceparent_parse(a, strlen(a), again));
}

static void traceparent__starts_a_trace_where_there_is_none(void **state)
{
    (void)state;
    char a[TRACEPARENT_MAX];
    char b[TRACEPARENT_MAX];
    char again[TRACEPARENT_MAX];
    traceparent_child("", a);
    traceparent_child("", b);
    assert_true(traceparent_parse(a, strlen(a), again));
    assert_string_equal(a, again);
    assert_memory_not_equal(a + 3, b + 3, 32);
    assert_string_equal(a + 53, "01");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
