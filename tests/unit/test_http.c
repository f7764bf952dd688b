/* wire/http's loop: when calls start, how many, in which order, and that each ends once.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <errno.h>
#include <time.h>

#include "http_script.h"

/* ---- one call ---- */

static void http__refuses_bounds_it_cannot_keep(void **state)
{
    struct err err = ERR_INIT;
    struct http_options options = {.in_flight = 0};
    (void)state;
    assert_null(http_start(&options, &err));
    assert_int_equal(err.code, -EINVAL);
    options.in_flight = 4097;
    assert_null(http_start(&options, &err));
    options.in_flight = 1;
    options.ca_file = "/nonexistent/ca.pem";
    assert_null(http_start(&options, &err));
    assert_non_null(strstr(err.text, "/nonexistent/ca.pem"));
}

static bool answer_in_full(struct script *s, int fd, int nth)
{
    (void)s;
    (void)nth;
    script_send(fd, "HTTP/1.1 201 Created\r\nX-Test: \t a b \r\nX-Test: second\r\n"
                    "Content-Length: 5\r\n\r\nhello");
    return true;
}

static void http__sends_what_it_is_given_and_little_else(void **state)
{
    struct stage b;
    struct probe p;
    struct http_header headers[] = {{"Idempotency-Key", "argocd/42"}, {"X-Empty", ""}};
    char host[64];
    (void)state;
    stage_open(&b, answer_in_full, 4);
    stage_probe(&b, &p, "/a/../%2e%2e/b?c=d");
    p.call.headers = headers;
    p.call.header_count = 2;
    stage_call(&b, &p);
    assert_int_equal(p.call.end, HTTP_END_ANSWERED);
    assert_int_equal(p.call.status, 201);
    assert_string_equal(p.answer, "hello");
    assert_string_equal(p.header, "a b");
    assert_string_equal(p.call.error, "");
    assert_int_equal(p.call.retry_after_ms, -1);
    assert_true(p.call.started_ms > 0 && p.call.ended_ms >= p.call.started_ms);
    snprintf(host, sizeof(host), "Host: 127.0.0.1:%d\r\n", b.script->port);
    const char *sent = script_look(b.script)->last;
    assert_memory_equal(sent, "POST /a/../%2e%2e/b?c=d HTTP/1.1\r\n", 34);
    assert_non_null(strstr(sent, host));
    assert_non_null(strstr(sent, "Idempotency-Key: argocd/42\r\n"));
    assert_non_null(strstr(sent, "X-Empty:\r\n"));
    assert_non_null(strstr(sent, "User-Agent: test/1\r\n"));
    assert_non_null(strstr(sent, "Content-Length: 2\r\n"));
    assert_non_null(strstr(sent, "\r\n\r\n{}"));
    assert_null(strcasestr(sent, "expect"));
    assert_null(strcasestr(sent, "accept-encoding"));
    assert_null(strcasestr(sent, "content-type"));
    assert_null(strcasestr(sent, "cookie"));
    probe_release(&p);
    stage_close(&b);
}

static void http__forgets_the_last_call_of_a_handle(void **state)
{
    static const char *const methods[] = {"POST", "GET", "HEAD", "PATCH", "GET", "POST"};
    struct stage b;
    struct probe p;
    (void)state;
    stage_open(&b, script_answer_ok, 1);
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        bool body = methods[i][0] == 'P';
        char line[32];
        stage_probe(&b, &p, "/");
        p.call.method = methods[i];
        p.call.body = body ? "{}" : NULL;
        p.call.body_len = body ? 2 : 0;
        stage_call(&b, &p);
        assert_int_equal(p.call.end, HTTP_END_ANSWERED);
        assert_string_equal(p.answer, methods[i][0] == 'H' ? "" : "ok");
        snprintf(line, sizeof(line), "%s / HTTP/1.1\r\n", methods[i]);
        assert_memory_equal(script_look(b.script)->last, line, strlen(line));
        assert_int_equal(strcasestr(script_look(b.script)->last, "content-length") !=
                             NULL,
                         body);
        probe_release(&p);
    }
    stage_close(&b);
}

static void http__reuses_a_connection(void **state)
{
    struct stage b;
    (void)state;
    stage_open(&b, script_answer_ok, 64);
    for (int i = 0; i < 20; i++) {
        struct probe p;
        stage_probe(&b, &p, "/");
        stage_call(&b, &p);
        assert_int_equal(p.call.status, 200);
        probe_release(&p);
    }
    assert_int_equal(gate_count(&b.script->connections), 1);
    stage_close(&b);
}

/* ---- answers ---- */

static bool answer_redirect(struct script *s, int fd, int nth)
{
    char text[128];
    (void)nth;
    snprintf(text, sizeof(text),
             "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/elsewhere\r\n"
             "Content-Length: 0\r\n\r\n",
             s->port);
    script_send(fd, text);
    return true;
}

static void http__a_redirect_is_not_followed(void **state)
{
    struct stage b;
    struct probe p;
    (void)state;
    stage_open(&b, answer_redirect, 4);
    stage_probe(&b, &p, "/");
    stage_call(&b, &p);
    check_end(&p, HTTP_END_ANSWERED, 302, "");
    assert_int_equal(gate_count(&b.script->requests), 1);
    probe_release(&p);
    stage_close(&b);
}

static bool answer_after_hints(struct script *s, int fd, int nth)
{
    (void)s;
    (void)nth;
    script_send(fd, "HTTP/1.1 100 Continue\r\nX-Test: early\r\n\r\n"
                    "HTTP/1.1 103 Early Hints\r\nX-Test: hint\r\n\r\n"
                    "HTTP/1.1 200 OK\r\nx-tESt:   final \r\nContent-Length: 2\r\n\r\nok");
    return true;
}

static void http__informational_answers_are_passed_over(void **state)
{
    struct stage b;
    struct probe p;
    (void)state;
    stage_open(&b, answer_after_hints, 4);
    stage_probe(&b, &p, "/");
    stage_call(&b, &p);
    check_end(&p, HTTP_END_ANSWERED, 200, "");
    assert_string_equal(p.header, "final");
    probe_release(&p);
    stage_close(&b);
}

static bool answer_chunked(struct script *s, int fd, int nth)
{
    (void)s;
    (void)nth;
    script_send(fd,
                "HTTP/1.1 200 OK\r\nX-Test: head\r\nTransfer-Encoding: chunked\r\n\r\n"
                "3\r\nabc\r\n2\r\nde\r\n0\r\nX-Test: trailer\r\n\r\n");
    return true;
}

static void http__chunks_are_joined_and_trailers_ignored(void **state)
{
    struct stage b;
    struct probe p;
    (void)state;
    stage_open(&b, answer_chunked, 4);
    stage_probe(&b, &p, "/");
    stage_call(&b, &p);
    check_end(&p, HTTP_END_ANSWERED, 200, "");
    assert_string_equal(p.answer, "abcde");
    assert_string_equal(p.header, "head");
    probe_release(&p);
    stage_close(&b);
}

static const char *retry_after; /* set before the server starts */

static bool answer_retry_after(struct script *s, int fd, int nth)
{
    char text[256];
    (void)s;
    (void)nth;
    snprintf(text, sizeof(text),
             "HTTP/1.1 429 Too Many\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n",
             retry_after);
    script_send(fd, text);
    return true;
}

static int64_t retry_after_of(const char *value)
{
    struct stage b;
    struct probe p;
    retry_after = value;
    stage_open(&b, answer_retry_after, 4);
    stage_probe(&b, &p, "/");
    stage_call(&b, &p);
    check_end(&p, HTTP_END_ANSWERED, 429, "");
    probe_release(&p);
    stage_close(&b);
    return p.call.retry_after_ms;
}

static void http__retry_after_is_read_in_both_forms(void **state)
{
    char text[64];
    time_t soon = time(NULL) + 100;
    struct tm tm;
    (void)state;
    assert_int_equal(retry_after_of("120"), 120000);
    assert_int_equal(retry_after_of("0"), 0);
    assert_int_equal(retry_after_of("99999999999999999999"), INT64_C(7) * 24 * 3600000);
    assert_int_equal(retry_after_of("-5"), -1);
    assert_int_equal(retry_after_of("soon"), -1);
    assert_int_equal(retry_after_of(""), -1);
    assert_int_equal(retry_after_of("Wed, 21 Oct 2015 07:28:00 GMT"), 0);
    gmtime_r(&soon, &tm);
    strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    int64_t ms = retry_after_of(text);
    assert_true(ms > 0 && ms <= 100000);
}

/* ---- when a call starts ---- */

static void http__starts_no_call_before_its_time(void **state)
{
    struct stage b;
    (void)state;
    stage_open(&b, script_answer_ok, 64);
    struct probe *p = probes_new(&b, 60);
    int64_t now = now_ms();
    for (int i = 0; i < 60; i++) {
        p[i].call.not_before_ms = now + (i * 37) % 60;
        http_submit(b.http, &p[i].call);
    }
    gate_wait(&b.done, 60);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(p[i].call.end, HTTP_END_ANSWERED);
        assert_true(p[i].call.started_ms >= p[i].call.not_before_ms);
    }
    assert_true(probes_done_once(p, 60));
    stage_close(&b);
    probes_free(p, 60);
}

static void http__starts_due_calls_in_order(void **state)
{
    static const char *const expected[] = {"/first", "/0", "/1", "/2", "/5",
                                           "/6",     "/7", "/3", "/4"};
    struct stage b;
    struct probe first;
    (void)state;
    stage_open(&b, script_hold_then_ok, 1);
    struct probe *p = probes_new(&b, 8);
    stage_probe(&b, &first, "/first");
    http_submit(b.http, &first.call);
    gate_wait(&b.script->held, 1); /* the only place is taken */
    int64_t now = now_ms();
    for (int i = 0; i < 8; i++) { /* 0 1 2 due; 5 6 7 soon; 3 4 later */
        p[i].call.not_before_ms = i < 3 ? 0 : now + (i < 5 ? 40 : 20);
        http_submit(b.http, &p[i].call);
    }
    script_let_go(b.script);
    gate_wait(&b.done, 9);
    for (int i = 0; i < 9; i++) {
        char line[64];
        snprintf(line, sizeof(line), "POST %s HTTP/1.1", expected[i]);
        assert_string_equal(script_look(b.script)->log[i], line);
    }
    stage_close(&b);
    probes_free(p, 8);
    probe_release(&first);
}

static bool never_start(struct http_call *call)
{
    (void)call;
    return false;
}

static bool start_if_due(struct http_call *call)
{
    return now_ms() >= call->not_before_ms;
}

static void http__asks_may_start_at_the_real_start(void **state)
{
    struct stage b;
    struct probe stale;
    struct probe fresh;
    (void)state;
    stage_open(&b, script_answer_ok, 4);
    stage_probe(&b, &stale, "/stale");
    stale.call.may_start = never_start;
    stage_call(&b, &stale);
    assert_int_equal(stale.call.end, HTTP_END_STALE);
    assert_int_equal(stale.call.started_ms, 0);
    assert_int_equal(gate_count(&b.script->connections), 0);
    stage_probe(&b, &fresh, "/fresh");
    fresh.call.not_before_ms = now_ms() + 20;
    fresh.call.may_start = start_if_due;
    stage_call(&b, &fresh);
    assert_int_equal(fresh.call.end, HTTP_END_ANSWERED);
    probe_release(&stale);
    probe_release(&fresh);
    stage_close(&b);
}

/* ---- recall and abort ---- */

static void http__recalls_a_call_that_has_not_started(void **state)
{
    struct stage b;
    struct probe held;
    struct probe later;
    struct probe waiting;
    (void)state;
    stage_open(&b, script_hold_then_ok, 1);
    stage_probe(&b, &held, "/held");
    stage_probe(&b, &later, "/later");
    stage_probe(&b, &waiting, "/waiting");
    http_submit(b.http, &held.call);
    gate_wait(&b.script->held, 1);
    later.call.not_before_ms = NOW_FOREVER;
    http_submit(b.http, &later.call);
    http_submit(b.http, &waiting.call);
    http_recall(b.http, &later.call);
    http_recall(b.http, &waiting.call);
    http_recall(b.http, &held.call); /* runs: left to run */
    gate_wait(&b.done, 2);
    assert_int_equal(later.call.end, HTTP_END_RECALLED);
    assert_int_equal(waiting.call.end, HTTP_END_RECALLED);
    assert_int_equal(later.call.started_ms, 0);
    script_let_go(b.script);
    gate_wait(&b.done, 3);
    assert_int_equal(held.call.end, HTTP_END_ANSWERED);
    assert_int_equal(gate_count(&b.script->requests), 1);
    stage_close(&b);
    probe_release(&held);
    probe_release(&later);
    probe_release(&waiting);
}

static void http__aborts_a_running_call(void **state)
{
    struct stage b;
    struct probe held;
    struct probe waiting;
    (void)state;
    stage_open(&b, script_hang, 1);
    stage_probe(&b, &held, "/held");
    stage_probe(&b, &waiting, "/waiting");
    http_submit(b.http, &held.call);
    gate_wait(&b.script->held, 1);
    http_submit(b.http, &waiting.call);
    http_abort(b.http, &waiting.call);
    gate_wait(&b.done, 1);
    assert_int_equal(waiting.call.end, HTTP_END_RECALLED);
    http_recall(b.http, &held.call);
    http_abort(b.http, &held.call); /* two asks of one call */
    gate_wait(&b.done, 2);
    assert_int_equal(held.call.end, HTTP_END_UNCERTAIN);
    assert_string_equal(held.call.error, "answer: timed out");
    assert_true(probes_done_once(&held, 1));
    stage_close(&b);
    probe_release(&held);
    probe_release(&waiting);
}

/* Its memory may go right after the ask: the loop must not have kept it. */
static void http__leaves_a_call_alone_that_has_ended(void **state)
{
    struct stage b;
    struct probe other;
    (void)state;
    stage_open(&b, script_answer_ok, 4);
    for (int i = 0; i < 20; i++) {
        struct probe *p = probes_new(&b, 1);
        stage_call(&b, p);
        http_recall(b.http, &p->call);
        http_abort(b.http, &p->call);
        assert_int_equal(p->call.end, HTTP_END_ANSWERED);
        assert_true(probes_done_once(p, 1));
        probes_free(p, 1);
    }
    stage_probe(&b, &other, "/");
    stage_call(&b, &other);
    assert_int_equal(other.call.end, HTTP_END_ANSWERED);
    probe_release(&other);
    stage_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
