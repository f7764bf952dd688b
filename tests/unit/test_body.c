#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "decoded.h"
#include "target/body.h"

static const char value[] =
    "{\"id\":\"1\",\"app\":\"a\\\"b\",\"branch\":\"m\",\"n\":{\"i\":7,\"f\":1.50,\"o\":"
    "{\"x\":[true,null]},\"z\":null}}";

static struct body *compile(const char *tree, struct err *err)
{
    struct json_object *doc = NULL;
    assert_int_equal(json_parse(tree, strlen(tree), &doc, NULL), 0);
    struct body *body = body_new(doc, NULL, err);
    json_free(doc);
    return body;
}

static int fill(const char *tree, char **out, struct err *err)
{
    struct decoded d = decode_text(value);
    struct body *body = compile(tree, err);
    struct str s;
    str_init(&s);
    assert_non_null(body);
    int rc = body_fill(body, &d.ev, NULL, NULL, &s, err);
    *out = str_take(&s);
    body_free(body);
    drop(&d);
    return rc;
}

static void body__names_the_place_of_a_fault(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"a\":{\"b\":[1,\"${event.nope}\"]}}", "/a/b/1: column 1"},
        {"{\"a\":\"$\"}", "/a: column 1"},
        {"{\"${event.app}\":1}", "is constant"},
        {"{\"a\":\"x\\u0000\"}", "/a: holds U+0000"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = ERR_INIT;
        assert_null(compile(cases[i][0], &err));
        if (strstr(err.text, cases[i][1]) == NULL) {
            fail_msg("'%s' does not say '%s'", err.text, cases[i][1]);
        }
    }
}

static void body__fills_leaves_and_keeps_types(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{}", "{}"},
        {"\"${event.branch}\"", "\"m\""},
        {"{\"a\":1.50,\"b\":null,\"c\":[true,\"$$\",[]]}",
         "{\"a\":1.50,\"b\":null,\"c\":[true,\"$\",[]]}"},
        {"{\"a\":\"${event.app}\"}", "{\"a\":\"a\\\"b\"}"},
        {"{\"a\":\"\\\"x\\\" ${event.app}\"}", "{\"a\":\"\\\"x\\\" a\\\"b\"}"},
        {"{\"a\":\"${event:/n/i}\"}", "{\"a\":7}"},
        {"{\"a\":\" ${event:/n/i}\"}", "{\"a\":\" 7\"}"},
        {"{\"a\":\"${event:/n/f}\",\"b\":\"${event:/n/o}\"}",
         "{\"a\":1.50,\"b\":{\"x\":[true,null]}}"},
        {"{\"a\":\"${event:/app}\"}", "{\"a\":\"a\\\"b\"}"},
        {"{\"k\\\"y/~\":[\"${event.branch}\",\"${event.branch}\"],\"z\":\"x/y\"}",
         "{\"k\\\"y/~\":[\"m\",\"m\"],\"z\":\"x/y\"}"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = ERR_INIT;
        char *out;
        assert_int_equal(fill(cases[i][0], &out, &err), 0);
        assert_string_equal(out, cases[i][1]);
        free(out);
    }
}

static void body__says_what_the_event_lacks(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"a\":[\"${event.image}\"]}", "/a/0: the event has no field 'image'"},
        {"{\"a\":\"${event:/n/q}\"}", "/a: the event has nothing at /n/q"},
        {"{\"a\":\"${event:/n/z}\"}", "/a: the event has nothing at /n/z"},
    };
    for (size_t i = 0; i < 3; i++) {
        struct err err = ERR_INIT;
        char *out;
        assert_int_equal(fill(cases[i][0], &out, &err), -ENOENT);
        assert_string_equal(err.text, cases[i][1]);
        free(out);
    }
    struct err err = ERR_INIT;
    char *out;
    assert_int_equal(fill("{\"a\":\"x${event:/n/o}\"}", &out, &err), -EBADMSG);
    free(out);
}

/* A form of a tree; NULL and a sentence when it cannot be one. */
static char *form(const char *tree, struct err *err)
{
    struct json_object *doc = NULL;
    struct decoded d = decode_text(value);
    struct str s;
    str_init(&s);
    assert_int_equal(json_parse(tree, strlen(tree), &doc, NULL), 0);
    struct body *body = body_new_form(doc, NULL, err);
    int rc = body != NULL ? body_fill(body, &d.ev, NULL, NULL, &s, err) : -1;
    body_free(body);
    json_free(doc);
    drop(&d);
    char *text = str_take(&s);
    if (rc != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static void body__writes_forms(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{}", ""},
        {"{\"a b\":\"c&d=e+f\"}", "a%20b=c%26d%3De%2Bf"},
        {"{\"x\":\"= ${event.app}&\",\"n\":7,\"t\":true,\"z\":null}",
         "x=%3D%20a%22b%26&n=7&t=true&z="},
        {"{\"v\":{\"K\":\"${event:/n/i}\",\"o\":{\"p\":\"q\"}},\"l\":[\"a\",2]}",
         "v%5BK%5D=7&v%5Bo%5D%5Bp%5D=q&l%5B%5D=a&l%5B%5D=2"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = ERR_INIT;
        char *text = form(cases[i][0], &err);
        if (text == NULL) {
            fail_msg("%s", err.text);
        }
        assert_string_equal(text, cases[i][1]);
        free(text);
    }
}

static void body__refuses_what_is_no_form(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"[1]", "a form is made of names and values"},
        {"\"x\"", "a form is made of names and values"},
        {"{\"a\":{\"${event.app}\":1}}", "is constant"},
        {"{\"a\":{\"b\":\"${event.nope}\"}}", "/a[b]: column 1"},
        {"{\"a\":\"${event:/n}\"}", "/a: the event has an object or array at /n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = ERR_INIT;
        assert_null(form(cases[i][0], &err));
        if (strstr(err.text, cases[i][1]) == NULL) {
            fail_msg("'%s' does not say '%s'", err.text, cases[i][1]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
