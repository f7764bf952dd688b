#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fleet/tries.h"

static void add(struct tries *tries, int64_t at_ms, int status, const char *reason)
{
    struct try_kept one = {.at_wall_ms = at_ms, .took_ms = 12, .status = status};
    snprintf(one.reason, sizeof one.reason, "%s", reason);
    tries_add(tries, &one);
}

static void tries__keep_the_first_ones_and_the_last(void **state)
{
    (void)state;
    struct tries tries = {.count = 0};
    for (int i = 0; i < 100; i++) {
        add(&tries, i, 503, "http_503");
    }
    assert_int_equal(tries.count, 100);
    assert_int_equal(tries_kept(&tries), TRIES_KEPT);
    assert_int_equal(tries.kept[0].at_wall_ms, 0);
    assert_int_equal(tries.kept[TRIES_KEPT - 1].at_wall_ms, 99);
}

static void tries__are_read_as_they_were_printed(void **state)
{
    (void)state;
    struct tries first = {.count = 0};
    struct tries second = {.count = 0};
    struct str text;
    struct str both;
    str_init(&text);
    str_init(&both);
    add(&first, 1764012127560, 503, "http_503");
    tries_print("", &first, "c-1", &text);
    assert_string_equal(text.data, "1764012127560+12:503:http_503@c-1");
    add(&second, 1764012128000, 0, "timeout");
    tries_print(text.data, &second, "c-2", &both);
    struct try_kept one;
    char consumer[TRY_CONSUMER_MAX];
    const char *at = both.data;
    assert_true(tries_next(&at, &one, consumer));
    assert_int_equal(one.status, 503);
    assert_string_equal(consumer, "c-1");
    assert_true(tries_next(&at, &one, consumer));
    assert_int_equal(one.at_wall_ms, 1764012128000);
    assert_string_equal(one.reason, "timeout");
    assert_string_equal(consumer, "c-2");
    assert_false(tries_next(&at, &one, consumer));
    str_release(&text);
    str_release(&both);
}

static void tries__pass_over_what_they_cannot_read(void **state)
{
    (void)state;
    struct try_kept one;
    char consumer[TRY_CONSUMER_MAX];
    const char *at =
        "nonsense -1+2:3:x@y 99999999999999999999999999+1:2:r@c 5+1:2000:r@c "
        "5+1:200:@c :::@ 7+1:200:";
    assert_true(tries_next(&at, &one, consumer));
    assert_int_equal(one.at_wall_ms, 5);
    assert_string_equal(one.reason, "");
    assert_false(tries_next(&at, &one, consumer));
}

static void tries__of_many_rounds_lose_the_oldest(void **state)
{
    (void)state;
    struct str text;
    str_init(&text);
    for (int round = 1; round <= 1000; round++) {
        struct tries tries = {.count = 0};
        struct str next;
        str_init(&next);
        add(&tries, round, 503, "http_503");
        tries_print(text.data, &tries, "consumer", &next);
        str_release(&text);
        text = next;
        assert_true(text.len <= TRIES_TEXT_MAX);
    }
    struct try_kept one;
    char consumer[TRY_CONSUMER_MAX];
    const char *at = text.data;
    int64_t last = 0;
    while (tries_next(&at, &one, consumer)) {
        assert_true(last == 0 || one.at_wall_ms == last + 1);
        last = one.at_wall_ms;
    }
    assert_int_equal(last, 1000);
    str_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
