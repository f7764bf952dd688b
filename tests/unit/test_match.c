#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "decoded.h"
#include "event/match.h"

static const char *const star[] = {"*"};

static struct decoded sample(void)
{
    struct decoded d = decode_text(
        "{\"id\":\"1\",\"app\":\"payments-api\",\"branch\":\"release/2.1\",\"env\":\"\","
        "\"meta\":{\"tier\":3,\"gold\":true,\"none\":null,\"tags\":[\"a\",\"b\"]}}");
    expect_outcome(&d, EVENT_OK, "");
    return d;
}

static bool matches(const char *name, const char *glob)
{
    struct decoded d = sample();
    struct match m = {0};
    assert_int_equal(match_add(&m, name, &glob, 1, NULL), 0);
    bool ok = match_event(&m, &d.ev, NULL, NULL);
    match_release(&m);
    drop(&d);
    return ok;
}

static void match__refuses_unknown_names(void **state)
{
    (void)state;
    struct match m = {0};
    struct err err = ERR_INIT;
    assert_int_equal(match_add(&m, "brnach", star, 1, &err), -EINVAL);
    assert_non_null(strstr(err.text, "did you mean 'branch'"));
    assert_int_equal(match_add(&m, "colour of the sky", star, 1, &err), -EINVAL);
    assert_non_null(strstr(err.text, "colour of the sky"));
    assert_int_equal(match_add(&m, "app", NULL, 0, &err), -EINVAL);
    assert_int_equal(match_add(&m, "/a~2", star, 1, &err), -EINVAL);
    assert_non_null(strstr(err.text, "no JSON pointer"));
    assert_int_equal(m.count, 0);
    match_release(&m);
}

static void match__compares_fields_and_pointers(void **state)
{
    (void)state;
    assert_true(matches("app", "payments-*"));
    assert_false(matches("app", "payments"));
    assert_true(matches("branch", "release/*"));
    assert_true(matches("env", "*"));
    assert_true(matches("/meta/tier", "3"));
    assert_true(matches("/meta/gold", "true"));
    assert_true(matches("/meta/tags/1", "b"));
    assert_false(matches("/meta/tags/2", "*"));
}

static void match__never_matches_what_is_absent(void **state)
{
    (void)state;
    assert_false(matches("image", "*"));
    assert_false(matches("/meta/none", "*"));
    assert_false(matches("/meta", "*"));
    assert_false(matches("/nope/x", "*"));
}

static void match__wants_all_rules_and_any_glob(void **state)
{
    (void)state;
    static const char *const either[] = {"web-*", "payments-*"};
    static const char *const main_only[] = {"main"};
    struct decoded d = sample();
    struct match m = {0};
    assert_true(match_event(&m, &d.ev, NULL, NULL));
    assert_int_equal(match_add(&m, "app", either, 2, NULL), 0);
    assert_true(match_event(&m, &d.ev, NULL, NULL));
    assert_int_equal(match_add(&m, "branch", main_only, 1, NULL), 0);
    assert_false(match_event(&m, &d.ev, NULL, NULL));
    match_release(&m);
    drop(&d);
}

static void note(void *arg, const struct match_rule *rule, const char *value, bool ok)
{
    struct str *out = arg;
    str_addf(out, "%s=%s:%d ",
             rule->field >= 0 ? event_field_name((enum event_field)rule->field)
                              : rule->pointer,
             value != NULL ? value : "-", ok);
}

static void match__explains_every_rule(void **state)
{
    (void)state;
    static const char *const no[] = {"x"};
    struct decoded d = sample();
    struct match m = {0};
    struct str out;
    str_init(&out);
    assert_int_equal(match_add(&m, "app", no, 1, NULL), 0);
    assert_int_equal(match_add(&m, "image", star, 1, NULL), 0);
    assert_int_equal(match_add(&m, "/meta/tier", star, 1, NULL), 0);
    assert_false(match_event(&m, &d.ev, note, &out));
    assert_string_equal(out.data, "app=payments-api:0 image=-:0 /meta/tier=3:1 ");
    str_release(&out);
    match_release(&m);
    drop(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
