#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void str__always_ends_with_nul(void **state)
{
    (void)state;
    struct str s;
    str_init(&s);
    assert_string_equal(s.data, "");
    str_put(&s, "", 0);
    str_clear(&s);
    assert_string_equal(s.data, "");
    str_add(&s, "abc");
    str_addc(&s, 'd');
    str_addf(&s, "-%d-%s", 42, "e");
    assert_string_equal(s.data, "abcd-42-e");
    assert_int_equal(s.len, 9);
    str_put(&s, "\0x", 2);
    assert_memory_equal(s.data, "abcd-42-e\0x", 12);
    str_clear(&s);
    assert_string_equal(s.data, "");
    assert_int_equal(s.len, 0);
    str_release(&s);
    assert_string_equal(s.data, "");
}

static void str__grows_as_long_as_it_must(void **state)
{
    (void)state;
    struct str s;
    str_init(&s);
    for (int i = 0; i < 10000; i++) {
        str_addf(&s, "%04d", i);
    }
    assert_int_equal(s.len, 40000);
    assert_memory_equal(s.data + 39996, "9999", 5);
    str_release(&s);
}

static void str_take__leaves_an_empty_string(void **state)
{
    (void)state;
    struct str s;
    str_init(&s);
    char *empty = str_take(&s);
    assert_string_equal(empty, "");
    str_add(&s, "abc");
    char *abc = str_take(&s);
    assert_string_equal(abc, "abc");
    assert_string_equal(s.data, "");
    str_release(&s);
    free(empty);
    free(abc);
}

static void str_add_percent__keeps_unreserved_characters_only(void **state)
{
    (void)state;
    struct str s;
    str_init(&s);
    str_add_percent(&s, "aZ0-._~ /%?#\xC3\xA9\0", 15);
    assert_string_equal(s.data, "aZ0-._~%20%2F%25%3F%23%C3%A9%00");
    str_release(&s);
}

static void str_add_json__escapes_and_replaces(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        size_t len;
        const char *out;
    } cases[] = {
        {"plain", 5, "plain"},
        {"\"\\/", 3, "\\\"\\\\/"},
        {"\n\r\t\b\0\x1b\x7f", 7, "\\n\\r\\t\\u0008\\u0000\\u001b\\u007f"},
        {"\xC2\x85\xC2\xA0", 4, "\\u0085\xC2\xA0"}, /* a C1 control, a no-break space */
        {"\xC3\xA9\xF0\x9F\x98\x80", 6, "\xC3\xA9\xF0\x9F\x98\x80"},
        {"a\xFFz", 3, "a\xEF\xBF\xBDz"},
        {"\xC3", 1, "\xEF\xBF\xBD"},                                 /* cut off */
        {"\xC0\xAF", 2, "\xEF\xBF\xBD\xEF\xBF\xBD"},                 /* overlong */
        {"\xED\xA0\x80", 3, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"}, /* surrogate */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct str s;
        str_init(&s);
        str_add_json(&s, cases[i].in, cases[i].len);
        assert_string_equal(s.data, cases[i].out);
        str_release(&s);
    }
}

/* Write the code point by the formula; surrogates and beyond are refused. */
static size_t encode(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (c & 0x3F));
        c >>= 6;
    }
    out[0] = (char)((n == 2 ? 0xC0 : n == 3 ? 0xE0 : 0xF0) | c);
    return n;
}

static void text_is_utf8__knows_every_code_point(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x120000; c++) {
        char bytes[4];
        size_t n = encode(c, bytes);
        bool valid = c < 0xD800 || (c > 0xDFFF && c < 0x110000);
        if (text_is_utf8(bytes, n) != valid || (n > 1 && text_is_utf8(bytes, n - 1))) {
            fail_msg("wrong about U+%04X", c);
        }
    }
}

static void text_is_utf8__refuses_overlong_forms(void **state)
{
    (void)state;
    assert_false(text_is_utf8("\xC1\xBF", 2));
    assert_false(text_is_utf8("\xE0\x9F\xBF", 3));
    assert_false(text_is_utf8("\xF0\x8F\xBF\xBF", 4));
    assert_false(text_is_utf8("\xF8\x88\x80\x80\x80", 5));
    assert_false(text_is_utf8("\x80", 1));
    assert_false(text_is_utf8("\xE2\x82z", 3));
    assert_true(text_is_utf8("", 0));
}

static void text_glob__matches_like_a_shell(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *text;
        bool matches;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"a", "", false},
        {"*", "", true},
        {"*", "a/b", true},
        {"main", "main", true},
        {"main", "mainx", false},
        {"payments-*", "payments-api", true},
        {"payments-*", "payments", false},
        {"*-api", "payments-api-api", true},
        {"*-api", "payments-api-", false},
        {"a*b*c", "a1b2b3c", true},
        {"a*b*c", "a1c2b", false},
        {"**a", "ba", true},
        {"release/?.?", "release/1.2", true},
        {"release/?.?", "release/1.22", false},
        {"?", "", false},
        {"[a-c]x", "bx", true},
        {"[a-c]x", "dx", false},
        {"[!a-c]x", "dx", true},
        {"[!a-c]x", "ax", false},
        {"[!a]", "", false},
        {"[]]", "]", true},
        {"[!]]", "]", false},
        {"[a-]", "-", true},
        {"[\\]a]", "]", true},
        {"[abc", "[abc", true},
        {"[abc", "a", false},
        {"[", "[", true},
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"\\[a]", "[a]", true},
        {"a\\", "a\\", true},
        {"v[0-9]*", "v1.2", true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (text_glob(cases[i].pattern, cases[i].text) != cases[i].matches) {
            fail_msg("wrong about '%s' and '%s'", cases[i].pattern, cases[i].text);
        }
    }
}

static void text_glob__does_not_explode_on_many_stars(void **state)
{
    (void)state;
    char text[10001];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    assert_false(text_glob("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", text));
}

static void text_starts__compares_the_beginning(void **state)
{
    (void)state;
    assert_true(text_starts("sluice.retry", "sluice"));
    assert_true(text_starts("sluice", ""));
    assert_false(text_starts("slu", "sluice"));
}

static void text_nearest__offers_only_what_is_near(void **state)
{
    (void)state;
    static const char *const options[] = {"brokers", "topic", "group", "start",
                                          "prefetch"};
    assert_string_equal(text_nearest("broker", options, COUNT(options)), "brokers");
    assert_string_equal(text_nearest("prefech", options, COUNT(options)), "prefetch");
    assert_string_equal(text_nearest("start", options, COUNT(options)), "start");
    assert_null(text_nearest("in_flight", options, COUNT(options)));
    assert_null(text_nearest("", options, COUNT(options)));
    assert_null(text_nearest("ax", (const char *const[]){"bx"}, 1));
    char long_word[200];
    memset(long_word, 'a', sizeof long_word);
    long_word[sizeof long_word - 1] = 0;
    assert_null(text_nearest(long_word, (const char *const[]){long_word}, 1));
    assert_null(text_nearest("a", (const char *const[]){long_word}, 1));
}

static void text_parse_bytes__knows_its_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"0", 0},
        {"512", 512},
        {"512B", 512},
        {"64KiB", 65536},
        {"32MiB", 33554432},
        {"1GB", 1000000000},
        {"3kB", 3000},
        {"2TiB", UINT64_C(2199023255552)},
        {"18446744073709551615", UINT64_MAX},
    };
    static const char *const bad[] = {
        "",
        "MiB",
        "-1",
        "1.5MiB",
        "1 MiB",
        "1mib",
        "1M",
        "1MiBs",
        "+1",
        " 1",
        "0x10",
        "1PiB",
        "18446744073709551616",
        "18446744073709551615kB",
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        uint64_t bytes = 42;
        assert_int_equal(text_parse_bytes(good[i].text, &bytes), 0);
        assert_true(bytes == good[i].bytes);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        uint64_t bytes = 42;
        if (text_parse_bytes(bad[i], &bytes) != -EINVAL || bytes != 42) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
}

static void text_parse_int__keeps_to_its_bounds(void **state)
{
    (void)state;
    int64_t value = 42;
    static const char *const bad[] = {"",
                                      "-",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1x",
                                      "0x",
                                      "--1",
                                      "101",
                                      "-11",
                                      "99999999999999999999"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (text_parse_int(bad[i], -10, 100, &value) != -EINVAL || value != 42) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
    assert_int_equal(text_parse_int("100", -10, 100, &value), 0);
    assert_int_equal(value, 100);
    assert_int_equal(text_parse_int("-10", -10, 100, &value), 0);
    assert_int_equal(value, -10);
    assert_int_equal(text_parse_int("007", -10, 100, &value), 0);
    assert_int_equal(value, 7);
    assert_int_equal(text_parse_int("-9223372036854775808", INT64_MIN, INT64_MAX, &value),
                     0);
    assert_true(value == INT64_MIN);
    assert_int_equal(text_parse_int("9223372036854775808", INT64_MIN, INT64_MAX, &value),
                     -EINVAL);
    assert_int_equal(text_parse_int("9223372036854775807", INT64_MIN, INT64_MAX, &value),
                     0);
    assert_true(value == INT64_MAX);
}

static void str__plain_text_moves_no_terminal(void **state)
{
    (void)state;
    struct str s;
    str_init(&s);
    str_add_plain(&s, "a\033[31mb\tc\177d\xC2\x9B"
                      "e\xFF"
                      "f \xC3\xA9");
    assert_string_equal(s.data, "a?[31mb?c?d?e\xEF\xBF\xBD"
                                "f \xC3\xA9");
    str_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
