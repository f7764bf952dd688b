#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/now.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void now_parse_rfc3339__refuses_what_is_no_date(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "2026",
        "2026-11-23",
        "2026-11-23T14:02:08",   /* no offset */
        "2026-11-23T14:02:08.Z", /* no digits */
        "2026-11-23T14:02:08Zx", /* something follows */
        "2026-13-23T14:02:08Z",  /* months */
        "2026-00-23T14:02:08Z",
        "2026-02-29T14:02:08Z", /* not a leap year */
        "1900-02-29T14:02:08Z",
        "2026-11-31T14:02:08Z",
        "2026-11-00T14:02:08Z",
        "2026-11-23T24:02:08Z",
        "2026-11-23T14:60:08Z",
        "2026-11-23T14:02:61Z",
        "2026-11-23T14:02:08+24:00",
        "2026-11-23T14:02:08+0100",
        "2026-11-23T14:02:08+01:60",
        "26-11-23T14:02:08Z",
        " 2026-11-23T14:02:08Z",
        "2026-11-23T 4:02:08Z",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        int64_t ms = 42;
        if (now_parse_rfc3339(bad[i], &ms) != -EINVAL || ms != 42) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
}

static void now_parse_rfc3339__reads_offsets_and_fractions(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1969-12-31T23:59:59.999Z", -1},
        {"2026-11-23T14:02:08.402Z", 1795442528402},
        {"2026-11-23T14:02:08.402999999Z", 1795442528402},
        {"2026-11-23T14:02:08.4Z", 1795442528400},
        {"2026-11-23t14:02:08z", 1795442528000},
        {"2026-11-23 15:32:08+01:30", 1795442528000},
        {"2026-11-23T12:32:08-01:30", 1795442528000},
        {"2000-02-29T00:00:00Z", 951782400000},
        {"2016-12-31T23:59:60Z", 1483228800000}, /* a leap second */
        {"0000-01-01T00:00:00Z", -62167219200000},
        {"9999-12-31T23:59:59Z", 253402300799000},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        int64_t ms = 42;
        assert_int_equal(now_parse_rfc3339(good[i].text, &ms), 0);
        assert_int_equal(ms, good[i].ms);
    }
}

static void now_rfc3339__is_read_back_as_the_same_time(void **state)
{
    (void)state;
    char text[NOW_TEXT_MAX];
    now_rfc3339(1795442528402, text);
    assert_string_equal(text, "2026-11-23T14:02:08.402Z");
    /* a prime step over years 1000 to 9999: every month, hour and millisecond */
    for (int64_t ms = -30610224000000; ms < 253402300799000; ms += 86399999983 * 3) {
        int64_t again = 0;
        now_rfc3339(ms, text);
        assert_int_equal(now_parse_rfc3339(text, &again), 0);
        assert_int_equal(again, ms);
    }
}

static void now_rfc3339__holds_any_time(void **state)
{
    (void)state;
    char text[NOW_TEXT_MAX];
    now_rfc3339(INT64_MAX, text);
    assert_string_equal(text, "292278994-08-17T07:12:55.807Z");
    now_rfc3339(INT64_MIN, text);
    assert_true(strlen(text) < NOW_TEXT_MAX);
}

static void now_parse_http_date__reads_the_three_forms(void **state)
{
    (void)state;
    static const char *const same[] = {
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    };
    int64_t ms;
    for (size_t i = 0; i < COUNT(same); i++) {
        assert_int_equal(now_parse_http_date(same[i], &ms), 0);
        assert_int_equal(ms, 784111777000);
    }
    assert_int_equal(now_parse_http_date("Wed Nov 16 08:49:37 1994", &ms), 0);
    assert_int_equal(ms, 784975777000);
}

static void now_parse_http_date__takes_two_digit_years_as_near(void **state)
{
    (void)state;
    int64_t fifty_years = INT64_C(51) * 366 * 86400000;
    for (int year = 0; year < 100; year++) {
        char text[] = "Sunday, 06-Nov-YY 08:49:37 GMT";
        int64_t ms;
        text[15] = (char)('0' + year / 10);
        text[16] = (char)('0' + year % 10);
        assert_int_equal(now_parse_http_date(text, &ms), 0);
        assert_true(ms < now_wall_ms() + fifty_years);
        assert_true(ms > now_wall_ms() - fifty_years);
    }
}

static void now_parse_http_date__refuses_the_rest(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "120",
        "Sun",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        ", 06 Nov 1994 08:49:37 GMT",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        int64_t ms;
        if (now_parse_http_date(bad[i], &ms) != -EINVAL) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
}

static void now_parse_duration__refuses_bare_and_odd_ones(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "5",
        "s",
        "ms",
        "-5s",
        "+5s",
        "5 s",
        " 5s",
        "5s ",
        "1.5s",
        "5S",
        "5us",
        "5y",
        "1h30",
        "5s5s",
        "30m1h",
        "1sx",
        "1mm",
        "9223372036854775808ms",
        "9223372036854775807s",
        "106751991168d",
        "106751991167d8h",
        "99999999999999999999s",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        int64_t ms = 42;
        if (now_parse_duration(bad[i], &ms) != -EINVAL || ms != 42) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
}

static void now_parse_duration__adds_its_parts_up(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"0s", 0},
        {"200ms", 200},
        {"5s", 5000},
        {"2m", 120000},
        {"7d", 604800000},
        {"1h30m", 5400000},
        {"1d2h3m4s5ms", 93784005},
        {"90m", 5400000},
        {"1m5ms", 60005},
        {"9223372036854775807ms", INT64_MAX},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        int64_t ms = 42;
        assert_int_equal(now_parse_duration(good[i].text, &ms), 0);
        assert_int_equal(ms, good[i].ms);
    }
}

static void clocks__agree_with_each_other(void **state)
{
    (void)state;
    int64_t before = now_us();
    int64_t between = now_ms();
    int64_t after = now_us();
    assert_true(before / 1000 <= between && between <= after / 1000);
    assert_true(now_boot_ms() >= between); /* counts suspends as well */
    assert_true(now_wall_ms() > INT64_C(1700000000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
