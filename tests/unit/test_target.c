#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "decoded.h"
#include "target/standard-webhooks.h"
#include "target/target.h"

static const char value[] = "{\"id\":\"e "
                            "1%\xc3\xa9\",\"source\":\"gh\",\"app\":\"api\",\"branch\":"
                            "\"main\",\"v\":\"a\\r\\nb\",\"n\":1}";

static const char signing_key[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

static const char *secret(void *arg, const char *name)
{
    (void)arg;
    if (strcmp(name, "token") == 0) {
        return "MARKER";
    }
    return strcmp(name, "sign") == 0 ? signing_key : NULL;
}

static bool known(void *arg, const char *name)
{
    return secret(arg, name) != NULL;
}

static struct target_options simple(void)
{
    return (struct target_options){.name = "gh", .url = "https://cd.acme.io/x"};
}

static const char *header(const struct target_request *request, const char *name)
{
    const char *found = NULL;
    for (size_t i = 0; i < request->header_count; i++) {
        if (strcmp(request->headers[i].name, name) == 0) {
            assert_null(found);
            found = request->headers[i].value;
        }
    }
    return found;
}

static void expect_refused(const struct target_options *options, const char *says)
{
    struct err err = ERR_INIT;
    struct target *t = target_new(options, known, NULL, &err);
    if (t != NULL || strstr(err.text, says) == NULL) {
        fail_msg("'%s' does not say '%s'", err.text, says);
    }
}

static void target__refuses_bad_options(void **state)
{
    (void)state;
    static const char *const names[] =
        {"",    "A",
         "-a",  ".a",
         "a b", "a/b",
         "a\n", "0123456789012345678901234567890123456789012345678901234567890123"};
    static const struct http_header headers[][2] = {
        {{"x y", "1"}, {NULL, NULL}},
        {{"", "1"}, {NULL, NULL}},
        {{"x:", "1"}, {NULL, NULL}},
        {{"Host", "evil"}, {NULL, NULL}},
        {{"Content-Length", "1"}, {NULL, NULL}},
        {{"x", "a\r\nb"}, {NULL, NULL}},
        {{"x", "${event.nope}"}, {NULL, NULL}},
        {{"x", "1"}, {"X", "2"}},
        {{"x", "${secret.nope}"}, {NULL, NULL}},
    };
    struct target_options o = simple();
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        o.name = names[i];
        expect_refused(&o, "targets.");
    }
    o = simple();
    o.method = "post";
    expect_refused(&o, "targets.gh.method");
    o.method = "GET /x HTTP/1.1";
    expect_refused(&o, "targets.gh.method");
    o = simple();
    o.url = "https://${event.app}/x";
    expect_refused(&o, "targets.gh.url: the host may not come from an event");
    o = simple();
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        o.headers = headers[i];
        o.header_count = headers[i][1].name != NULL ? 2 : 1;
        expect_refused(&o, "targets.gh.headers");
    }
    o = simple();
    o.sign_secret = "nope";
    expect_refused(&o, "targets.gh.sign: there is no secret 'nope'");
    o = simple();
    o.body = json_object_new_string("${event.nope}");
    expect_refused(&o, "targets.gh.body");
    o.no_body = true;
    expect_refused(&o, "targets.gh.body");
    json_free(o.body);
}

static void target__bounds_its_headers(void **state)
{
    (void)state;
    struct http_header headers[TARGET_HEADERS_MAX];
    char names[TARGET_HEADERS_MAX][16];
    for (int i = 0; i < TARGET_HEADERS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "x-%d", i);
        headers[i] = (struct http_header){names[i], "v"};
    }
    struct target_options o = simple();
    o.headers = headers;
    o.header_count = TARGET_HEADERS_MAX - 6;
    expect_refused(&o, "more than 25");
    o.header_count = TARGET_HEADERS_MAX - 7;
    o.sign_secret = "sign";
    struct target *t = target_new(&o, known, NULL, NULL);
    struct decoded d = decode_text(value);
    struct target_request request;
    assert_int_equal(target_request_make(t, &d.ev, 1, secret, NULL, &request, NULL), 0);
    assert_int_equal(request.header_count, TARGET_HEADERS_MAX);
    target_request_release(&request);
    drop(&d);
    target_free(t);
}

static void target__makes_a_request(void **state)
{
    (void)state;
    static const char tree[] = "{\"ref\":\"${event.branch}\",\"n\":\"${event:/n}\"}";
    static const struct http_header headers[] = {
        {"Authorization", "Bearer ${secret.token}"}};
    struct target_options o = simple();
    assert_int_equal(json_parse(tree, sizeof(tree) - 1, &o.body, NULL), 0);
    o.url = "https://cd.acme.io/apps/${event.app}?b=${event.branch}";
    o.method = "PUT";
    o.headers = headers;
    o.header_count = 1;
    struct target *t = target_new(&o, known, NULL, NULL);
    json_free(o.body);
    struct decoded d = decode_text(value);
    struct target_request request;
    assert_int_equal(target_request_make(t, &d.ev, 1, secret, NULL, &request, NULL), 0);
    assert_string_equal(target_name(t), "gh");
    assert_string_equal(target_host(t), "https://cd.acme.io:443");
    target_free(t); /* the request owns what it shows */
    assert_string_equal(request.method, "PUT");
    assert_string_equal(request.url, "https://cd.acme.io/apps/api?b=main");
    assert_string_equal(request.body, "{\"ref\":\"main\",\"n\":1}");
    assert_int_equal(request.body_len, strlen(request.body));
    assert_string_equal(header(&request, "Authorization"), "Bearer MARKER");
    assert_string_equal(header(&request, "content-type"), "application/json");
    assert_string_equal(header(&request, "idempotency-key"), "gh/e%201%25%C3%A9");
    assert_int_equal(strlen(header(&request, "traceparent")), 55);
    assert_non_null(strstr(header(&request, "user-agent"), "sluice/"));
    assert_int_equal(request.header_count, 5);
    target_request_release(&request);
    drop(&d);
}

static void target__keys_what_is_sent_again_by_its_task(void **state)
{
    (void)state;
    struct target_options o = simple();
    struct target *t = target_new(&o, known, NULL, NULL);
    struct decoded d = decode_text(value);
    struct target_request request;
    event_send_again(&d.ev, "r-0007");
    assert_int_equal(target_request_make(t, &d.ev, 1, secret, NULL, &request, NULL), 0);
    assert_string_equal(header(&request, "idempotency-key"), "gh/e%201%25%C3%A9/r-0007");
    target_request_release(&request);
    drop(&d);
    target_free(t);
}

static void target__lets_configuration_win_over_added_headers(void **state)
{
    (void)state;
    static const struct http_header headers[] = {{"Content-Type", "application/x"},
                                                 {"Idempotency-Key", "mine"},
                                                 {"Traceparent", "t"},
                                                 {"User-Agent", "u"}};
    struct target_options o = simple();
    o.headers = headers;
    o.header_count = 4;
    struct target *t = target_new(&o, known, NULL, NULL);
    struct decoded d = decode_text(value);
    struct target_request request;
    assert_int_equal(target_request_make(t, &d.ev, 1, secret, NULL, &request, NULL), 0);
    assert_int_equal(request.header_count, 4);
    target_request_release(&request);
    drop(&d);
    target_free(t);
}

static void expect_body(const char *method, bool no_body, const char *body)
{
    struct target_options o = simple();
    o.method = method;
    o.no_body = no_body;
    struct target *t = target_new(&o, known, NULL, NULL);
    struct decoded d = decode_text("{\"id\":\"1\",\"x\":[1.0,\"a/b\"]}");
    struct target_request request;
    assert_int_equal(target_request_make(t, &d.ev, 1, secret, NULL, &request, NULL), 0);
    assert_int_equal(header(&request, "content-type") != NULL, body != NULL);
    if (body != NULL) {
        assert_string_equal(request.body, body);
    } else {
        assert_null(request.body);
        assert_int_equal(request.body_len, 0);
    }
    target_request_release(&request);
    drop(&d);
    target_free(t);
}

static void target__sends_the_document_when_no_body_is_configured(void **state)
{
    (void)state;
    expect_body("POST", false, "{\"id\":\"1\",\"x\":[1.0,\"a/b\"]}");
    expect_body(NULL, false, "{\"id\":\"1\",\"x\":[1.0,\"a/b\"]}");
    expect_body("POST", true, NULL);
    expect_body("GET", false, NULL);
}

static void expect_failure(const struct target_options *o, int code, const char *says)
{
    struct err err = ERR_INIT;
    struct target *t = target_new(o, NULL, NULL, &err);
    assert_non_null(t);
    struct decoded d = decode_text(value);
    struct target_request request;
    assert_int_equal(target_request_make(t, &d.ev, 1, secret, NULL, &request, &err),
                     code);
    if (strstr(err.text, says) == NULL || strstr(err.text, "MARKER") != NULL) {
        fail_msg("'%s' does not say '%s'", err.text, says);
    }
    target_request_release(&request);
    drop(&d);
    target_free(t);
}

static void target__says_where_a_request_cannot_be_made(void **state)
{
    (void)state;
    static const struct http_header control[] = {{"x", "${event:/v}"}};
    static const struct http_header absent[] = {{"x", "${event.image}"}};
    static const struct http_header unknown[] = {{"x", "${secret.nope}"}};
    struct target_options o = simple();
    o.headers = control;
    o.header_count = 1;
    expect_failure(&o, -EBADMSG, "targets.gh.headers.x: the value of event:/v");
    o.headers = absent;
    expect_failure(&o, -ENOENT, "targets.gh.headers.x: the event has no field 'image'");
    o.headers = unknown;
    expect_failure(&o, -ENOENT, "targets.gh.headers.x");
    o = simple();
    o.url = "https://cd/${event.image}";
    expect_failure(&o, -ENOENT, "targets.gh.url");
    o = simple();
    o.body = json_object_new_string("${event.image}");
    expect_failure(&o, -ENOENT, "targets.gh.body");
    json_free(o.body);
    o = simple();
    o.sign_secret = "token";
    expect_failure(&o, -EINVAL, "targets.gh.sign: the signing secret");
    o.sign_secret = "nope";
    expect_failure(&o, -ENOENT, "targets.gh.sign");
}

static void target__signs_over_the_body_it_sends(void **state)
{
    (void)state;
    struct target_options o = simple();
    o.sign_secret = "sign";
    struct target *t = target_new(&o, known, NULL, NULL);
    struct decoded d = decode_text(value);
    struct target_request first;
    struct target_request second;
    char signature[STANDARD_WEBHOOKS_SIGNATURE_MAX];
    assert_int_equal(target_request_make(t, &d.ev, 100, secret, NULL, &first, NULL), 0);
    assert_int_equal(target_request_make(t, &d.ev, 101, secret, NULL, &second, NULL), 0);
    const char *id = header(&first, "webhook-id");
    assert_null(strchr(id, '.'));
    assert_string_equal(header(&first, "webhook-timestamp"), "100");
    assert_int_equal(standard_webhooks_sign(signing_key, id, 100, first.body,
                                            first.body_len, signature, NULL),
                     0);
    assert_string_equal(header(&first, "webhook-signature"), signature);
    assert_string_equal(header(&second, "webhook-id"), id);
    assert_string_equal(header(&second, "idempotency-key"),
                        header(&first, "idempotency-key"));
    assert_string_not_equal(header(&second, "webhook-signature"), signature);
    target_request_release(&first);
    target_request_release(&second);
    drop(&d);
    target_free(t);
}

static void target__masks_secrets_for_explain(void **state)
{
    (void)state;
    static const struct http_header headers[] = {
        {"authorization", "Bearer ${secret.token}"}};
    struct target_options o = simple();
    o.url = "https://cd.acme.io/x?t=${secret.token}";
    o.headers = headers;
    o.header_count = 1;
    o.sign_secret = "sign";
    o.body = json_object_new_string("${secret.token}");
    struct target *t = target_new(&o, known, NULL, NULL);
    json_free(o.body);
    struct decoded d = decode_text(value);
    struct target_request request;
    assert_int_equal(target_request_make(t, &d.ev, 1, NULL, NULL, &request, NULL), 0);
    assert_string_equal(request.url, "https://cd.acme.io/x?t=••••••");
    assert_string_equal(header(&request, "authorization"), "Bearer ••••••");
    assert_string_equal(header(&request, "webhook-signature"), "v1,••••••");
    assert_string_equal(request.body, "\"••••••\"");
    assert_null(memmem(request.arena.data, request.arena.len, "MARKER", 6));
    target_request_release(&request);
    drop(&d);
    target_free(t);
}

static void target__continues_the_event_s_trace(void **state)
{
    (void)state;
    static const char trace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    struct event_header headers[] = {{"traceparent", trace, sizeof(trace) - 1}};
    struct target_options o = simple();
    struct target *t = target_new(&o, known, NULL, NULL);
    struct decoded d = decode_record(value, sizeof(value) - 1, headers, 1);
    struct target_request request;
    assert_int_equal(target_request_make(t, &d.ev, 1, secret, NULL, &request, NULL), 0);
    const char *child = header(&request, "traceparent");
    assert_memory_equal(child, trace, 36);
    assert_memory_not_equal(child + 36, trace + 36, 16);
    target_request_release(&request);
    drop(&d);
    target_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
