#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "decoded.h"
#include "event/template.h"

static const char value[] =
    "{\"id\":\"1\",\"app\":\"a "
    "b/c?\",\"branch\":\"m\",\"n\":{\"i\":-7,\"f\":1.50,\"t\":true,\"z\":null,"
    "\"s\":\"q\\\"\\n\",\"o\":{},\"nul\":\"x\\u0000y\"}}";

static const char *secret(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "token") == 0 ? "t0p s3cret" : NULL;
}

static bool known(void *arg, const char *name)
{
    return secret(arg, name) != NULL;
}

/* Fill; returns the code, out: owned text. */
static int fill(const char *text, enum template_escape escape, template_secret_fn *fn,
                char **out, struct err *err)
{
    struct decoded d = decode_text(value);
    struct str s;
    str_init(&s);
    struct template *t = template_compile(text, NULL, NULL, err);
    if (t == NULL) {
        fail_msg("%s: %s", text, err->text);
    }
    int rc = template_fill(t, &d.ev, escape, fn, NULL, &s, err);
    *out = str_take(&s);
    template_free(t);
    drop(&d);
    return rc;
}

static void expect_text(const char *text, enum template_escape escape, const char *wanted)
{
    char *out;
    struct err err = ERR_INIT;
    assert_int_equal(fill(text, escape, secret, &out, &err), 0);
    assert_string_equal(out, wanted);
    free(out);
}

static void expect_code(const char *text, enum template_escape escape, int code,
                        const char *says)
{
    char *out;
    struct err err = ERR_INIT;
    assert_int_equal(fill(text, escape, secret, &out, &err), code);
    if (strstr(err.text, says) == NULL) {
        fail_msg("'%s' does not say '%s'", err.text, says);
    }
    free(out);
}

static void template__names_the_column_of_a_fault(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"ab${event.nope}", "column 3: no event has a field 'nope'"},
        {"${event.brnch}", "did you mean 'branch'"},
        {"${event.app", "column 1: '${' is not closed"},
        {"x$y", "column 2: a dollar sign is written '$$'"},
        {"$", "column 1"},
        {"${}", "column 1"},
        {"${secret.}", "column 1"},
        {"${secret.nope}", "column 1: there is no secret 'nope'"},
        {"${env.HOME}", "none of"},
        {"${event:x}", "none of"},
        {"${event:/a~}", "'/a~' is no JSON pointer"},
        {"${ event.app}", "none of"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = ERR_INIT;
        assert_null(template_compile(cases[i][0], known, NULL, &err));
        if (strstr(err.text, cases[i][1]) == NULL) {
            fail_msg("'%s' does not say '%s'", err.text, cases[i][1]);
        }
    }
}

static void template__fills_values_in(void **state)
{
    (void)state;
    expect_text("", TEMPLATE_PLAIN, "");
    expect_text("plain", TEMPLATE_PLAIN, "plain");
    expect_text("$$5 and $${event.app}", TEMPLATE_PLAIN, "$5 and ${event.app}");
    expect_text("<${event.app}|${event.branch}>", TEMPLATE_PLAIN, "<a b/c?|m>");
    expect_text("${event:/n/i} ${event:/n/f} ${event:/n/t}", TEMPLATE_PLAIN,
                "-7 1.50 true");
    expect_text("Bearer ${secret.token}", TEMPLATE_PLAIN, "Bearer t0p s3cret");
    expect_text("/a b/${event.app}", TEMPLATE_PERCENT, "/a b/a%20b%2Fc%3F");
    expect_text("${event:/n/s}", TEMPLATE_PERCENT, "q%22%0A");
    expect_text("${event:/n/nul}", TEMPLATE_PERCENT, "x%00y");
    expect_text("\"${event:/n/s}", TEMPLATE_JSON, "\\\"q\\\"\\n");
    expect_text("b ${event.branch}", TEMPLATE_HEADER, "b m");
}

static void template__says_what_is_missing(void **state)
{
    (void)state;
    expect_code("${event.image}", TEMPLATE_PLAIN, -ENOENT, "'image'");
    expect_code("${event:/n/x}", TEMPLATE_PLAIN, -ENOENT, "/n/x");
    expect_code("${event:/n/z}", TEMPLATE_PLAIN, -ENOENT, "/n/z");
    expect_code("${event:/n/o}", TEMPLATE_PLAIN, -EBADMSG, "/n/o");
    expect_code("${secret.nope}", TEMPLATE_PLAIN, -ENOENT, "nope");
}

static void template__keeps_control_characters_out_of_headers(void **state)
{
    (void)state;
    expect_code("${event:/n/s}", TEMPLATE_HEADER, -EBADMSG, "event:/n/s");
    expect_code("${event:/n/nul}", TEMPLATE_HEADER, -EBADMSG, "event:/n/nul");
}

static void template__masks_secrets_without_a_reader(void **state)
{
    (void)state;
    char *out;
    struct err err = ERR_INIT;
    assert_int_equal(fill("Bearer ${secret.token}", TEMPLATE_HEADER, NULL, &out, &err),
                     0);
    assert_string_equal(out, "Bearer ••••••");
    free(out);
}

static void template__bounds_its_output(void **state)
{
    (void)state;
    struct str text;
    str_init(&text);
    str_add(&text, "${event.branch}");
    for (int i = 0; i < TEMPLATE_OUTPUT_MAX; i++) {
        str_addc(&text, 'x');
    }
    expect_code(text.data, TEMPLATE_PLAIN, -EINVAL, "longer");
    str_release(&text);
}

static void template__knows_what_it_is_made_of(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool constant;
        const char *pointer;
    } cases[] = {
        {"", true, NULL},
        {"x$$", true, NULL},
        {"${secret.a}", false, NULL},
        {"x${event.app}", false, NULL},
        {"${event:/a/b}", false, "/a/b"},
        {"${event:/a/b} ", false, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct template *t = template_compile(cases[i].text, NULL, NULL, NULL);
        assert_int_equal(template_is_constant(t), cases[i].constant);
        const char *pointer = template_sole_pointer(t);
        assert_int_equal(pointer != NULL, cases[i].pointer != NULL);
        if (pointer != NULL) {
            assert_string_equal(pointer, cases[i].pointer);
        }
        template_free(t);
    }
}

static void template__names_the_trigger_where_there_is_a_target(void **state)
{
    (void)state;
    struct template_scope scope = {.target = "prod"};
    struct err err = ERR_INIT;
    struct decoded d = decode_text(value);
    struct str out;
    str_init(&out);
    struct template *t =
        template_compile_in("${trigger.key} ${trigger.name}", &scope, &err);
    assert_non_null(t);
    assert_true(template_is_of_event(t));
    assert_false(template_is_constant(t));
    assert_int_equal(template_fill(t, &d.ev, TEMPLATE_PLAIN, NULL, NULL, &out, NULL), 0);
    assert_int_equal(strncmp(out.data, "prod/1 sluice-", strlen("prod/1 sluice-")), 0);
    assert_int_equal(out.len, strlen("prod/1 sluice-") + 32);
    template_free(t);
    assert_null(template_compile_in("${trigger.nope}", &scope, &err));
    assert_non_null(strstr(err.text, "${trigger.key} and ${trigger.name}"));
    assert_null(template_compile("${trigger.key}", NULL, NULL, &err));
    assert_null(strstr(err.text, "${trigger.name}"));
    str_release(&out);
    drop(&d);
}

static void template__says_whether_event_and_secret_stand_in_it(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool of_event;
        bool secret;
    } cases[] = {{"x", false, false},
                 {"Bearer ${secret.token}", false, true},
                 {"${event.app}", true, false},
                 {"${event:/n} ${secret.token}", true, true}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct template *t = template_compile(cases[i].text, NULL, NULL, NULL);
        assert_int_equal(template_is_of_event(t), cases[i].of_event);
        assert_int_equal(template_has_secret(t), cases[i].secret);
        template_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
