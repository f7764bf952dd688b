/* wire/http against servers and names that misbehave: how each call ends. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>

#include "http_script.h"

/* ---- names: this takes the place of the system's resolver in the whole program ---- */

static struct gate names_asked;
static struct gate names_let_go;

static int resolve_to(const char *address, const char *service,
                      const struct addrinfo *hints, struct addrinfo **found)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    return real(address, service, hints, found);
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    if (name != NULL && strcmp(name, "hangs.test") == 0) {
        gate_pass(&names_asked);
        gate_wait(&names_let_go, 1);
        return EAI_AGAIN;
    }
    if (name != NULL && strcmp(name, "nowhere.test") == 0) {
        return EAI_NONAME;
    }
    return resolve_to(name, service, hints, found);
}

/* ---- one call, and how it must end ---- */

static void expect(script_fn *act, int timeout_ms, enum http_end end, int status,
                   const char *error)
{
    struct stage b;
    struct probe p;
    stage_open(&b, act, 4);
    stage_probe(&b, &p, "/");
    p.call.timeout_ms = timeout_ms;
    stage_call(&b, &p);
    check_end(&p, end, status, error);
    probe_release(&p);
    stage_close(&b);
}

/* ---- not sent ---- */

static void http_faults__a_refused_connection_is_not_sent(void **state)
{
    struct stage b;
    struct probe p;
    (void)state;
    stage_open(&b, script_answer_ok, 4);
    struct script *gone = script_start(script_answer_ok, NULL);
    int port = gone->port;
    script_stop(gone);
    probe_init(&p, b.pool, port, "/", &b.done);
    stage_call(&b, &p);
    check_end(&p, HTTP_END_NOT_SENT, 0, "connect: Connection refused");
    assert_true(p.call.started_ms > 0);
    probe_release(&p);
    stage_close(&b);
}

static void http_faults__an_unknown_name_is_not_sent(void **state)
{
    struct stage b;
    struct probe p;
    (void)state;
    stage_open(&b, script_answer_ok, 4);
    stage_probe(&b, &p, "/");
    p.call.url = "http://nowhere.test/";
    stage_call(&b, &p);
    check_end(&p, HTTP_END_NOT_SENT, 0, "resolve: no address for the host");
    probe_release(&p);
    stage_close(&b);
}

static bool say_hello_in_plain(struct script *s, int fd, int nth)
{
    (void)s;
    (void)nth;
    script_send(fd, "hello, not TLS\r\n");
    return false;
}

static void http_faults__a_failed_handshake_is_not_sent(void **state)
{
    struct stage b;
    struct probe p;
    (void)state;
    stage_open(&b, script_answer_ok, 4);
    struct script *plain = script_start(script_answer_ok, say_hello_in_plain);
    stage_probe(&b, &p, "/");
    snprintf(p.url, sizeof(p.url), "https://127.0.0.1:%d/", plain->port);
    stage_call(&b, &p);
    assert_int_equal(p.call.end, HTTP_END_NOT_SENT);
    assert_memory_equal(p.call.error, "tls: ", 5);
    probe_release(&p);
    stage_close(&b);
    script_stop(plain);
}

static bool accept_and_hang(struct script *s, int fd, int nth)
{
    (void)fd;
    (void)nth;
    script_hold(s);
    return false;
}

static void http_faults__a_handshake_that_hangs_ends_at_the_connect_timeout(void **state)
{
    struct stage b;
    struct probe p;
    (void)state;
    stage_open(&b, script_answer_ok, 4);
    struct script *mute = script_start(script_answer_ok, accept_and_hang);
    stage_probe(&b, &p, "/");
    snprintf(p.url, sizeof(p.url), "https://127.0.0.1:%d/", mute->port);
    p.call.connect_timeout_ms = 50;
    stage_call(&b, &p);
    check_end(&p, HTTP_END_NOT_SENT, 0, "connect: timed out");
    probe_release(&p);
    stage_close(&b);
    script_stop(mute);
}

static void http_faults__a_name_that_hangs_holds_nobody_else(void **state)
{
    struct stage b;
    struct probe slow[3];
    struct probe p;
    (void)state;
    stage_open(&b, script_answer_ok, 8);
    gate_init(&names_asked);
    gate_init(&names_let_go);
    for (int i = 0; i < 3; i++) {
        stage_probe(&b, &slow[i], "/");
        slow[i].call.url = "http://hangs.test/";
        slow[i].call.connect_timeout_ms = i == 0 ? 50 : PROBE_TIMEOUT_MS;
        http_submit(b.http, &slow[i].call);
    }
    gate_wait(&names_asked, 3); /* all three resolver threads hang now */
    stage_probe(&b, &p, "/");
    http_submit(b.http, &p.call);
    gate_wait(&b.done, 2); /* the healthy one and the one with a short patience */
    check_end(&p, HTTP_END_ANSWERED, 200, "");
    check_end(&slow[0], HTTP_END_NOT_SENT, 0, "connect: timed out");
    http_abort(b.http, &slow[1].call);
    gate_wait(&b.done, 3);
    check_end(&slow[1], HTTP_END_NOT_SENT, 0, "connect: timed out");
    stage_close(&b); /* does not wait for the resolver either */
    check_end(&slow[2], HTTP_END_NOT_SENT, 0, "connect: timed out");
    gate_pass(&names_let_go);
    for (int i = 0; i < 3; i++) {
        probe_release(&slow[i]);
    }
    probe_release(&p);
}

/* ---- uncertain ---- */

static bool close_after_reading(struct script *s, int fd, int nth)
{
    (void)s;
    (void)fd;
    (void)nth;
    return false;
}

static void http_faults__a_close_after_reading_is_uncertain(void **state)
{
    (void)state;
    expect(close_after_reading, PROBE_TIMEOUT_MS, HTTP_END_UNCERTAIN, 0,
           "answer: the connection was closed before one came");
}

static bool reset_after_reading(struct script *s, int fd, int nth)
{
    (void)s;
    (void)nth;
    script_reset(fd);
    return false;
}

static void http_faults__a_reset_after_reading_is_uncertain(void **state)
{
    struct stage b;
    struct probe p;
    (void)state;
    stage_open(&b, reset_after_reading, 4);
    stage_probe(&b, &p, "/");
    stage_call(&b, &p);
    assert_int_equal(p.call.end, HTTP_END_UNCERTAIN);
    assert_memory_equal(p.call.error, "answer: ", 8);
    assert_non_null(strstr(p.call.error, "reset"));
    probe_release(&p);
    stage_close(&b);
}

static void http_faults__silence_is_uncertain_after_the_timeout(void **state)
{
    (void)state;
    expect(script_hang, 60, HTTP_END_UNCERTAIN, 0, "answer: timed out");
}

static bool trickle_head(struct script *s, int fd, int nth)
{
    (void)nth;
    script_send(fd, "HTTP/1.1 200 OK\r\nX-Slow: ");
    while (script_pause(s, 5)) {
        script_send(fd, "x");
    }
    return false;
}

static void http_faults__a_head_that_trickles_is_uncertain_after_the_timeout(void **state)
{
    (void)state;
    expect(trickle_head, 100, HTTP_END_UNCERTAIN, 0, "answer: timed out");
}

static bool answer_garbage(struct script *s, int fd, int nth)
{
    (void)s;
    (void)nth;
    script_send(fd, "SSH-2.0-OpenSSH_9.2\r\n");
    return false;
}

static void http_faults__garbage_is_uncertain(void **state)
{
    struct stage b;
    struct probe p;
    (void)state;
    stage_open(&b, answer_garbage, 4);
    stage_probe(&b, &p, "/");
    stage_call(&b, &p);
    assert_int_equal(p.call.end, HTTP_END_UNCERTAIN);
    assert_int_equal(p.call.status, 0);
    assert_memory_equal(p.call.error, "answer: ", 8);
    probe_release(&p);
    stage_close(&b);
}

static bool continue_for_ever(struct script *s, int fd, int nth)
{
    (void)nth;
    while (script_pause(s, 0) &&
           send(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL) == 25) {
    }
    return false;
}

static void http_faults__endless_informational_answers_are_uncertain(void **state)
{
    (void)state;
    expect(continue_for_ever, PROBE_TIMEOUT_MS, HTTP_END_UNCERTAIN, 0,
           "answer: larger than 65536 bytes");
}

/* ---- at most one request per call ---- */

static bool answer_then_close_on_second(struct script *s, int fd, int nth)
{
    return nth == 1 ? script_answer_ok(s, fd, nth) : false;
}

static bool answer_then_reset_on_second(struct script *s, int fd, int nth)
{
    if (nth == 1) {
        return script_answer_ok(s, fd, nth);
    }
    script_reset(fd);
    return false;
}

/* libcurl itself would send the second request again, unasked and uncounted. */
static void expect_no_second_send(script_fn *act, const char *method, const char *body)
{
    struct stage b;
    struct probe p[2];
    stage_open(&b, act, 4);
    for (int i = 0; i < 2; i++) {
        stage_probe(&b, &p[i], i == 0 ? "/first" : "/second");
        p[i].call.method = method;
        p[i].call.body = body;
        p[i].call.body_len = body == NULL ? 0 : strlen(body);
        stage_call(&b, &p[i]);
    }
    check_end(&p[0], HTTP_END_ANSWERED, 200, "");
    check_end(&p[1], HTTP_END_UNCERTAIN, 0,
              "answer: the connection was closed before one came");
    http_stop(b.http);
    assert_int_equal(gate_count(&b.script->requests), 2);
    assert_int_equal(gate_count(&b.script->connections), 1);
    script_stop(b.script);
    gate_release(&b.done);
    probe_release(&p[0]);
    probe_release(&p[1]);
}

static void http_faults__a_reused_connection_that_closes_is_not_sent_twice(void **state)
{
    (void)state;
    expect_no_second_send(answer_then_close_on_second, "POST", "{}");
    expect_no_second_send(answer_then_close_on_second, "POST", "");
    expect_no_second_send(answer_then_close_on_second, "PUT", "{}");
    expect_no_second_send(answer_then_close_on_second, "GET", NULL);
}

static void http_faults__a_reused_connection_that_resets_is_not_sent_twice(void **state)
{
    (void)state;
    expect_no_second_send(answer_then_reset_on_second, "POST", "{}");
}

static bool hold_then_close_on_second(struct script *s, int fd, int nth)
{
    return nth == 1 ? script_hold_then_ok(s, fd, nth) : false;
}

/* The other way to send again: another idle connection, not a new one. */
static void http_faults__nor_on_another_idle_connection(void **state)
{
    struct stage b;
    struct probe p[2];
    struct probe last;
    (void)state;
    stage_open(&b, hold_then_close_on_second, 4);
    for (int i = 0; i < 2; i++) {
        stage_probe(&b, &p[i], "/");
        http_submit(b.http, &p[i].call);
    }
    gate_wait(&b.script->held, 2);
    script_let_go(b.script);
    gate_wait(&b.done, 2);
    b.calls = 2;
    stage_probe(&b, &last, "/last");
    stage_call(&b, &last);
    check_end(&last, HTTP_END_UNCERTAIN, 0,
              "answer: the connection was closed before one came");
    http_stop(b.http);
    assert_int_equal(gate_count(&b.script->requests), 3);
    assert_int_equal(gate_count(&b.script->connections), 2);
    script_stop(b.script);
    gate_release(&b.done);
    probe_release(&p[0]);
    probe_release(&p[1]);
    probe_release(&last);
}

static bool answer_then_close(struct script *s, int fd, int nth)
{
    script_answer_ok(s, fd, nth);
    return false;
}

static bool answer_then_reset(struct script *s, int fd, int nth)
{
    script_answer_ok(s, fd, nth);
    script_hold(s); /* until the answer was read */
    script_reset(fd);
    return false;
}

static void expect_fresh_connections(script_fn *act)
{
    struct stage b;
    struct probe p;
    stage_open(&b, act, 4);
    for (int i = 1; i <= 5; i++) {
        stage_probe(&b, &p, "/");
        stage_call(&b, &p);
        check_end(&p, HTTP_END_ANSWERED, 200, "");
        script_let_go(b.script);
        gate_wait(&b.script->closed, i);
        probe_release(&p);
    }
    assert_int_equal(gate_count(&b.script->requests), 5);
    assert_int_equal(gate_count(&b.script->connections), 5);
    stage_close(&b);
}

static void http_faults__an_idle_connection_that_closes_costs_nothing(void **state)
{
    (void)state;
    expect_fresh_connections(answer_then_close);
}

static void http_faults__an_idle_connection_that_resets_costs_nothing(void **state)
{
    (void)state;
    expect_fresh_connections(answer_then_reset);
}

/* ---- answered, with a bound ---- */

static bool answer_endless_body(struct script *s, int fd, int nth)
{
    static const char block[4096] = {'x'};
    (void)nth;
    script_send(fd, "HTTP/1.1 201 Created\r\n\r\n");
    while (script_pause(s, 0) && send(fd, block, sizeof(block), MSG_NOSIGNAL) > 0) {
    }
    return false;
}

static void http_faults__an_endless_body_is_too_large(void **state)
{
    struct stage b;
    struct probe p;
    (void)state;
    stage_open(&b, answer_endless_body, 4);
    stage_probe(&b, &p, "/");
    stage_call(&b, &p);
    check_end(&p, HTTP_END_TOO_LARGE, 201, "body: larger than 1048576 bytes");
    assert_int_equal(p.call.answer_len, HTTP_BODY_KEPT_MAX);
    probe_release(&p);
    stage_close(&b);
}

static bool answer_endless_head(struct script *s, int fd, int nth)
{
    (void)nth;
    script_send(fd, "HTTP/1.1 503 Busy\r\n");
    while (script_pause(s, 0) &&
           send(fd, "X-More: of the same\r\n", 21, MSG_NOSIGNAL) == 21) {
    }
    return false;
}

static void http_faults__an_endless_head_is_too_large(void **state)
{
    (void)state;
    expect(answer_endless_head, PROBE_TIMEOUT_MS, HTTP_END_TOO_LARGE, 503,
           "answer: larger than 65536 bytes");
}

static bool answer_endless_line(struct script *s, int fd, int nth)
{
    static const char block[1024] = {'y'};
    (void)nth;
    script_send(fd, "HTTP/1.1 200 OK\r\nX-Long: ");
    while (script_pause(s, 0) && send(fd, block, sizeof(block), MSG_NOSIGNAL) > 0) {
    }
    return false;
}

/* libcurl gives up on a line of 100 KiB; it never reaches the callback. */
static void http_faults__an_endless_line_ends(void **state)
{
    struct stage b;
    struct probe p;
    (void)state;
    stage_open(&b, answer_endless_line, 4);
    stage_probe(&b, &p, "/");
    stage_call(&b, &p);
    assert_true(p.call.end == HTTP_END_TOO_LARGE || p.call.end == HTTP_END_UNCERTAIN);
    assert_null(strstr(p.call.error, "timed out"));
    probe_release(&p);
    stage_close(&b);
}

static bool trickle_body(struct script *s, int fd, int nth)
{
    (void)nth;
    script_send(fd, "HTTP/1.1 202 Accepted\r\nContent-Length: 100000\r\n\r\n");
    while (script_pause(s, 5)) {
        script_send(fd, "x");
    }
    return false;
}

static void http_faults__a_body_that_trickles_is_answered_and_cut(void **state)
{
    (void)state;
    expect(trickle_body, 100, HTTP_END_ANSWERED, 202, "body: timed out");
}

static bool answer_cut_body(struct script *s, int fd, int nth)
{
    (void)s;
    (void)nth;
    script_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    return false;
}

static void http_faults__a_body_cut_short_is_answered(void **state)
{
    struct stage b;
    struct probe p;
    (void)state;
    stage_open(&b, answer_cut_body, 4);
    stage_probe(&b, &p, "/");
    stage_call(&b, &p);
    assert_int_equal(p.call.end, HTTP_END_ANSWERED);
    assert_int_equal(p.call.status, 200);
    assert_string_equal(p.answer, "half");
    assert_memory_equal(p.call.error, "body: ", 6);
    probe_release(&p);
    stage_close(&b);
}

/* A server that answers more than it was asked. What it says too much must not become the
 * next call's answer. */
static bool answer_twice_at_once(struct script *s, int fd, int nth)
{
    (void)s;
    (void)nth;
    script_send(fd, "HTTP/1.1 200 OK\r\nX-Test: own\r\nContent-Length: 2\r\n\r\nok"
                    "HTTP/1.1 200 OK\r\nX-Test: stale\r\nContent-Length: 2\r\n\r\nno");
    return true;
}

static bool answer_again_later(struct script *s, int fd, int nth)
{
    script_answer_ok(s, fd, nth);
    script_hold(s); /* until the first call is over */
    script_send(fd, "HTTP/1.1 200 OK\r\nX-Test: stale\r\nContent-Length: 2\r\n\r\nno");
    gate_pass(&s->closed);
    return true;
}

static void http_faults__a_surplus_answer_is_nobodys(void **state)
{
    struct stage b;
    struct probe p;
    (void)state;
    stage_open(&b, answer_twice_at_once, 4);
    for (int i = 0; i < 3; i++) {
        stage_probe(&b, &p, "/");
        stage_call(&b, &p);
        assert_string_not_equal(p.header, "stale");
        probe_release(&p);
    }
    stage_close(&b);
    stage_open(&b, answer_again_later, 4);
    for (int i = 0; i < 2; i++) {
        stage_probe(&b, &p, "/");
        stage_call(&b, &p);
        assert_string_not_equal(p.header, "stale");
        probe_release(&p);
        script_let_go(b.script);
        gate_wait(&b.script->closed, 1);
    }
    stage_close(&b);
}

/* ---- surroundings ---- */

static void http_faults__a_proxy_in_the_environment_is_not_used(void **state)
{
    struct script *proxy = script_start(script_answer_ok, NULL);
    char url[64];
    (void)state;
    snprintf(url, sizeof(url), "http://127.0.0.1:%d", proxy->port);
    setenv("http_proxy", url, 1);
    setenv("ALL_PROXY", url, 1);
    expect(script_answer_ok, PROBE_TIMEOUT_MS, HTTP_END_ANSWERED, 200, "");
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    assert_int_equal(gate_count(&proxy->connections), 0);
    script_stop(proxy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
