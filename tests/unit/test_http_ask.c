/* wire/http_ask: a call ends with its context, wherever it is then. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <errno.h>

#include "http_script.h"
#include "wire/http_ask.h"

enum { RACES = 400, SOON_MS = 40, FAR_MS = 600000 };

/* ---- what the server does ---- */

static bool answer_with_header(struct script *s, int fd, int nth)
{
    (void)s;
    (void)nth;
    script_send(fd, "HTTP/1.1 200 OK\r\nX-Test: kept\r\nContent-Length: 5\r\n\r\nhello");
    return true;
}

/* Read on: comes back when the peer has closed, or the server stops. */
static bool until_closed(struct script *s, int fd, int nth)
{
    char *text = mem_alloc(SCRIPT_TEXT_MAX);
    (void)nth;
    gate_pass(&s->held);
    (void)script_read(s, fd, text);
    free(text);
    return false;
}

/* Half an answer, then the same. */
static bool half_until_closed(struct script *s, int fd, int nth)
{
    script_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    return until_closed(s, fd, nth);
}

/* ---- asks ---- */

static struct http_ask ask_of(const struct stage *b, char url[64], const char *path)
{
    snprintf(url, 64, "http://127.0.0.1:%d%s", b->script->port, path);
    return (struct http_ask){.call = {.pool = b->pool,
                                      .method = "GET",
                                      .url = url,
                                      .timeout_ms = PROBE_TIMEOUT_MS}};
}

static void http_ask__keeps_the_answer_after_the_end(void **state)
{
    struct stage b;
    char url[64];
    char header[16];
    (void)state;
    stage_open(&b, answer_with_header, 2);
    struct http_ask ask = ask_of(&b, url, "/");
    struct ctx *ctx = ctx_new(NULL, now_ms() + FAR_MS);
    assert_int_equal(http_ask(b.http, ctx, &ask), 0);
    ctx_free(ctx);
    http_stop(b.http);
    assert_int_equal(ask.call.end, HTTP_END_ANSWERED);
    assert_int_equal(ask.call.status, 200);
    assert_string_equal(ask.call.answer, "hello");
    assert_int_equal(ask.call.answer_len, 5);
    assert_string_equal(ask.body.data, "hello");
    assert_string_equal(http_answer_header(&ask.call, "x-test", header, sizeof(header)),
                        "kept");
    http_ask_release(&ask);
    script_stop(b.script);
    gate_release(&b.done);
}

static void http_ask__what_ends_by_itself_is_no_error(void **state)
{
    struct stage b;
    (void)state;
    stage_open(&b, answer_with_header, 2);
    struct http_ask ask = {.call = {.pool = b.pool,
                                    .method = "GET",
                                    .url = "http://127.0.0.1:1/",
                                    .timeout_ms = PROBE_TIMEOUT_MS}};
    assert_int_equal(http_ask(b.http, NULL, &ask), 0);
    assert_int_equal(ask.call.end, HTTP_END_NOT_SENT);
    assert_string_equal(ask.body.data, "");
    http_ask_release(&ask);
    stage_close(&b);
}

/* ---- a cancel ---- */

struct waiting {
    struct stage *b;
    struct ctx *ctx;
    struct http_ask ask;
    char url[64];
    int rc;
    pthread_t thread;
};

static void *ask_and_wait(void *arg)
{
    struct waiting *w = arg;
    w->rc = http_ask(w->b->http, w->ctx, &w->ask);
    return NULL;
}

static void waiting_start(struct waiting *w, struct stage *b, struct ctx *ctx)
{
    w->b = b;
    w->ctx = ctx;
    w->ask = ask_of(b, w->url, "/");
    MUST(pthread_create(&w->thread, NULL, ask_and_wait, w));
}

static void waiting_end(struct waiting *w, int rc)
{
    MUST(pthread_join(w->thread, NULL));
    assert_int_equal(w->rc, rc);
    http_ask_release(&w->ask);
}

/* The server sees each connection closed while the loop and the server go on. */
static void expect_cancel_closes(script_fn *act)
{
    struct stage b;
    struct waiting w;
    stage_open(&b, act, 2);
    struct ctx *parent = ctx_new(NULL, NOW_FOREVER);
    for (int i = 1; i <= 5; i++) {
        struct ctx *ctx = ctx_new(parent, NOW_FOREVER);
        waiting_start(&w, &b, ctx);
        gate_wait(&b.script->held, i);
        ctx_cancel(ctx);
        waiting_end(&w, -ECANCELED);
        assert_true(w.ask.call.end == HTTP_END_UNCERTAIN ||
                    (act == half_until_closed && w.ask.call.end == HTTP_END_ANSWERED));
        gate_wait(&b.script->closed, i);
        ctx_free(ctx);
    }
    ctx_free(parent);
    stage_close(&b);
}

static void http_ask__a_cancel_closes_the_connection(void **state)
{
    (void)state;
    expect_cancel_closes(until_closed);
}

static void http_ask__a_cancel_in_the_middle_of_an_answer_closes_it_too(void **state)
{
    (void)state;
    expect_cancel_closes(half_until_closed);
}

static void http_ask__a_parents_cancel_is_a_cancel(void **state)
{
    struct stage b;
    struct waiting w[2];
    (void)state;
    stage_open(&b, until_closed, 2);
    struct ctx *parent = ctx_new(NULL, NOW_FOREVER);
    struct ctx *ctx = ctx_new(parent, NOW_FOREVER);
    waiting_start(&w[0], &b, ctx);
    waiting_start(&w[1], &b, parent);
    gate_wait(&b.script->held, 2);
    ctx_cancel(parent);
    waiting_end(&w[0], -ECANCELED);
    waiting_end(&w[1], -ECANCELED);
    gate_wait(&b.script->closed, 2);
    ctx_free(ctx);
    ctx_free(parent);
    stage_close(&b);
}

static void http_ask__an_ended_context_sends_nothing(void **state)
{
    struct stage b;
    char url[64];
    (void)state;
    stage_open(&b, answer_with_header, 2);
    struct ctx *cancelled = ctx_new(NULL, NOW_FOREVER);
    struct ctx *late = ctx_new(NULL, now_ms() - 1);
    struct http_ask ask = ask_of(&b, url, "/");
    ctx_cancel(cancelled);
    assert_int_equal(http_ask(b.http, cancelled, &ask), -ECANCELED);
    assert_int_equal(ask.call.end, HTTP_END_RECALLED);
    assert_int_equal(http_ask(b.http, late, &ask), -ETIMEDOUT);
    assert_int_equal(ask.call.end, HTTP_END_RECALLED);
    assert_int_equal(gate_count(&b.script->connections), 0);
    ctx_free(cancelled);
    ctx_free(late);
    stage_close(&b);
}

static void http_ask__a_cancel_takes_it_out_of_the_queue(void **state)
{
    struct stage b;
    struct waiting first;
    struct waiting second;
    (void)state;
    stage_open(&b, until_closed, 1); /* room for one */
    struct ctx *one = ctx_new(NULL, NOW_FOREVER);
    struct ctx *two = ctx_new(NULL, NOW_FOREVER);
    waiting_start(&first, &b, one);
    gate_wait(&b.script->held, 1);
    waiting_start(&second, &b, two);
    ctx_cancel(two);
    waiting_end(&second, -ECANCELED);
    assert_int_equal(second.ask.call.end, HTTP_END_RECALLED);
    assert_int_equal(gate_count(&b.script->requests), 1);
    ctx_cancel(one);
    waiting_end(&first, -ECANCELED);
    ctx_free(one);
    ctx_free(two);
    stage_close(&b);
}

/* ---- a deadline ---- */

static void http_ask__a_deadline_cuts_the_timeout(void **state)
{
    struct stage b;
    char url[64];
    (void)state;
    stage_open(&b, until_closed, 2);
    struct ctx *ctx = ctx_new(NULL, now_ms() + SOON_MS);
    struct http_ask ask = ask_of(&b, url, "/");
    assert_int_equal(http_ask(b.http, ctx, &ask), -ETIMEDOUT);
    assert_true(now_ms() >= ctx_deadline_ms(ctx));
    assert_int_equal(ask.call.end, HTTP_END_UNCERTAIN);
    gate_wait(&b.script->closed, 1);
    http_ask_release(&ask);
    ctx_free(ctx);
    stage_close(&b);
}

static void http_ask__its_own_timeout_is_not_the_contexts(void **state)
{
    struct stage b;
    char url[64];
    (void)state;
    stage_open(&b, until_closed, 2);
    struct ctx *ctx = ctx_new(NULL, now_ms() + FAR_MS);
    struct http_ask ask = ask_of(&b, url, "/");
    ask.call.timeout_ms = SOON_MS;
    assert_int_equal(http_ask(b.http, ctx, &ask), 0);
    assert_string_equal(ask.call.error, "answer: timed out");
    http_ask_release(&ask);
    ctx_free(ctx);
    stage_close(&b);
}

/* While it waits for room, and while it waits for its time. */
static void http_ask__a_deadline_ends_what_has_not_started(void **state)
{
    struct stage b;
    struct waiting first;
    char url[64];
    (void)state;
    stage_open(&b, until_closed, 1); /* room for one */
    struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
    waiting_start(&first, &b, ctx);
    gate_wait(&b.script->held, 1);
    for (int i = 0; i < 4; i++) {
        struct ctx *soon = ctx_new(ctx, now_ms() + SOON_MS);
        struct http_ask ask = ask_of(&b, url, "/");
        ask.call.not_before_ms = i % 2 == 0 ? 0 : now_ms() + FAR_MS;
        assert_int_equal(http_ask(b.http, soon, &ask), -ETIMEDOUT);
        assert_int_equal(ask.call.end, HTTP_END_RECALLED);
        assert_true(now_ms() >= ctx_deadline_ms(soon));
        ctx_free(soon);
    }
    assert_int_equal(gate_count(&b.script->requests), 1);
    ctx_cancel(ctx);
    waiting_end(&first, -ECANCELED);
    ctx_free(ctx);
    stage_close(&b);
}

/* ---- without waiting ---- */

struct started {
    struct http_ask ask;
    char url[64];
    struct gate *gate;
    atomic_int *answered;
};

static void free_started(struct http_ask *ask)
{
    struct started *s = ask->arg;
    struct gate *gate = s->gate;
    ASSERT(ask->rc == -ECANCELED || ask->rc == 0);
    ASSERT(ask->rc != 0 || ask->call.end == HTTP_END_ANSWERED ||
           ask->call.end == HTTP_END_UNCERTAIN); /* cut by the loop's stop */
    atomic_fetch_add(s->answered, ask->call.status == 200 ? 1 : 0);
    http_ask_release(ask);
    free(s);
    gate_pass(gate);
}

/* What it lives in is freed in its done. */
static void start_one(struct stage *b, struct ctx *ctx, atomic_int *answered)
{
    struct started *s = mem_zalloc(sizeof(*s));
    s->ask = ask_of(b, s->url, "/");
    s->ask.done = free_started;
    s->ask.arg = s;
    s->gate = &b->done;
    s->answered = answered;
    http_ask_start(b->http, ctx, &s->ask);
}

static void *cancel_it(void *arg)
{
    ctx_cancel(arg);
    return NULL;
}

/* One thread cancels while another hands in and the loop answers. */
static void http_ask__a_cancel_may_race_with_the_start_and_the_end(void **state)
{
    struct stage b;
    atomic_int answered = 0;
    (void)state;
    stage_open(&b, answer_with_header, 4);
    for (int i = 0; i < RACES; i++) {
        struct ctx *ctx = ctx_new(NULL, i % 3 == 0 ? NOW_FOREVER : now_ms() + FAR_MS);
        pthread_t thread;
        if (i % 2 == 0) {
            MUST(pthread_create(&thread, NULL, cancel_it, ctx));
            start_one(&b, ctx, &answered);
        } else {
            start_one(&b, ctx, &answered);
            MUST(pthread_create(&thread, NULL, cancel_it, ctx));
        }
        MUST(pthread_join(thread, NULL));
        gate_wait(&b.done, i + 1);
        ctx_free(ctx);
    }
    assert_true(atomic_load(&answered) <= RACES);
    stage_close(&b);
}

static void http_ask__the_stop_ends_asks(void **state)
{
    struct stage b;
    atomic_int answered = 0;
    (void)state;
    for (int round = 0; round < 20; round++) {
        stage_open(&b, until_closed, 1);
        struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
        for (int i = 0; i < 3; i++) { /* one runs, two wait */
            start_one(&b, ctx, &answered);
        }
        gate_wait(&b.script->held, 1);
        pthread_t thread;
        MUST(pthread_create(&thread, NULL, cancel_it, ctx)); /* while it stops */
        http_stop(b.http);
        MUST(pthread_join(thread, NULL));
        assert_int_equal(gate_count(&b.done), 3);
        ctx_free(ctx);
        script_stop(b.script);
        gate_release(&b.done);
    }
    assert_int_equal(atomic_load(&answered), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
