/* wire/http and what it must not do: forbidden addresses, URLs and heads. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>

#include "http_script.h"

/* This takes the place of the system's resolver in the whole program. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    bool metadata = name != NULL && strcmp(name, "metadata.test") == 0;
    return real(metadata ? "169.254.169.254" : name, service, hints, found);
}

/* One call to this URL, with a server beside it that must see nothing. */
static void expect_refused(const char *url, bool public_only, const char *error)
{
    struct stage b;
    struct probe p;
    stage_open(&b, script_answer_ok, 4);
    stage_probe(&b, &p, "/");
    p.call.pool = http_pool_new(b.http, "p", 4, public_only);
    p.call.url = url;
    p.call.timeout_ms = 2000; /* an address that is not refused would hang */
    stage_call(&b, &p);
    check_end(&p, HTTP_END_REFUSED, 0, error);
    assert_int_equal(gate_count(&b.script->connections), 0);
    probe_release(&p);
    stage_close(&b);
}

static void http_refused__only_http_urls_without_a_user_are_taken(void **state)
{
    (void)state;
    const char *scheme = "refused: the url does not begin with http:// or https://";
    expect_refused("file:///etc/passwd", false, scheme);
    expect_refused("gopher://127.0.0.1:70/_x", false, scheme);
    expect_refused("127.0.0.1/x", false, scheme);
    expect_refused("http://127.0.0.1/\r\nX: y", false,
                   "refused: the url holds a control character");
}

static void http_refused__a_url_with_a_user_is_refused(void **state)
{
    struct stage b;
    struct probe p;
    (void)state;
    stage_open(&b, script_answer_ok, 4);
    stage_probe(&b, &p, "/");
    snprintf(p.url, sizeof(p.url), "http://user:pw@127.0.0.1:%d/", b.script->port);
    stage_call(&b, &p);
    assert_int_equal(p.call.end, HTTP_END_REFUSED);
    assert_null(strstr(p.call.error, "pw"));
    assert_int_equal(gate_count(&b.script->connections), 0);
    probe_release(&p);
    stage_close(&b);
}

static void http_refused__metadata_addresses_are_refused_however_spelled(void **state)
{
    static const char *const urls[] = {
        "http://169.254.169.254/latest/meta-data/",
        "http://2852039166/",
        "http://0xA9FEA9FE/",
        "http://0251.0376.0251.0376/",
        "http://169.254.43518/",
        "http://[::ffff:169.254.169.254]/",
        "http://metadata.test/",
        "http://metadata.test:8080/",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        char error[HTTP_ERROR_MAX];
        snprintf(error, sizeof(error), "refused: address %s169.254.169.254 is link-local",
                 i == 5 ? "::ffff:" : "");
        expect_refused(urls[i], false, error);
    }
    expect_refused("http://[fe80::1]/", false, "refused: address fe80::1 is link-local");
    expect_refused("http://100.100.100.200/", false,
                   "refused: address 100.100.100.200 is cloud metadata");
    expect_refused("http://[fd00:ec2::254]/", false,
                   "refused: address fd00:ec2::254 is cloud metadata");
    expect_refused("http://0.0.0.0/", false, "refused: address 0.0.0.0 is not a host");
    expect_refused("http://255.255.255.255/", false,
                   "refused: address 255.255.255.255 is reserved or broadcast");
}

static void http_refused__public_only_refuses_what_is_not(void **state)
{
    (void)state;
    expect_refused("http://127.0.0.1/", true, "refused: address 127.0.0.1 is loopback");
    expect_refused("http://127.1/", true, "refused: address 127.0.0.1 is loopback");
    expect_refused("http://10.1.2.3/", true, "refused: address 10.1.2.3 is private");
    expect_refused("http://172.31.255.1/", true,
                   "refused: address 172.31.255.1 is private");
    expect_refused("http://192.168.0.1/", true,
                   "refused: address 192.168.0.1 is private");
    expect_refused("http://100.64.0.1/", true,
                   "refused: address 100.64.0.1 is carrier-grade NAT");
    expect_refused("http://[::1]/", true, "refused: address ::1 is loopback");
    expect_refused("http://[fd12::1]/", true, "refused: address fd12::1 is unique-local");
}

static void http_refused__public_only_reuses_no_open_connection(void **state)
{
    struct stage b;
    struct probe p[2];
    (void)state;
    stage_open(&b, script_answer_ok, 4);
    for (int i = 0; i < 2; i++) {
        stage_probe(&b, &p[i], "/");
        p[i].call.pool = http_pool_new(b.http, "p", 4, i == 1);
        stage_call(&b, &p[i]);
    }
    check_end(&p[0], HTTP_END_ANSWERED, 200, "");
    check_end(&p[1], HTTP_END_REFUSED, 0, "refused: address 127.0.0.1 is loopback");
    assert_int_equal(gate_count(&b.script->requests), 1);
    probe_release(&p[0]);
    probe_release(&p[1]);
    stage_close(&b);
}

static void expect_bad_request(const char *method, const char *name, const char *value,
                               const char *error)
{
    struct stage b;
    struct probe p;
    struct http_header header = {name, value};
    stage_open(&b, script_answer_ok, 4);
    stage_probe(&b, &p, "/");
    p.call.method = method;
    p.call.headers = &header;
    p.call.header_count = 1;
    stage_call(&b, &p);
    check_end(&p, HTTP_END_REFUSED, 0, error);
    assert_int_equal(p.call.started_ms, 0);
    assert_int_equal(gate_count(&b.script->connections), 0);
    probe_release(&p);
    stage_close(&b);
}

static void http_refused__nothing_can_be_injected_into_the_head(void **state)
{
    const char *value = "refused: a header value holds a control character";
    const char *name = "refused: a header name holds a forbidden character";
    const char *framing = "refused: a header that frames the message may not be set";
    const char *method = "refused: the method is not a token";
    (void)state;
    expect_bad_request("POST", "x-branch", "a\r\nX-Evil: 1", value);
    expect_bad_request("POST", "x-branch", "a\nX-Evil: 1", value);
    expect_bad_request("POST", "x-branch", "a\x7f", value);
    expect_bad_request("POST", "x-branch", "\x01", value);
    expect_bad_request("POST", "x: 1\r\ny", "1", name);
    expect_bad_request("POST", "x y", "1", name);
    expect_bad_request("POST", "", "1", name);
    expect_bad_request("POST", "Content-Length", "0", framing);
    expect_bad_request("POST", "transfer-encoding", "chunked", framing);
    expect_bad_request("POST / HTTP/1.1\r\nX: y\r\n\r\nGET", "x", "1", method);
    expect_bad_request("", "x", "1", method);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
