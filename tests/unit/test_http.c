/* wire/http's loop: when calls start, how many, in which order, and that each ends once.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <errno.h>

#include "base/metrics.h"
#include "http_script.h"

enum { MANY = 200 };

static void check_done_once(struct probe *probes, int n)
{
    for (int i = 0; i < n; i++) {
        assert_int_equal(atomic_load(&probes[i].done_count), 1);
    }
}

static int count_ends(const struct probe *probes, int n, enum http_end end)
{
    int count = 0;
    for (int i = 0; i < n; i++) {
        count += probes[i].call.end == end;
    }
    return count;
}

static struct probe *probes_new(struct stage *b, int n)
{
    struct probe *probes = mem_array((size_t)n, sizeof(*probes));
    for (int i = 0; i < n; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/%d", i);
        stage_probe(b, &probes[i], path);
    }
    return probes;
}

static void probes_free(struct probe *probes, int n)
{
    for (int i = 0; i < n; i++) {
        probe_release(&probes[i]);
    }
    free(probes);
}

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
    stage_probe(&b, &p, "/a/%2e%2e/b?c=d");
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
    assert_memory_equal(sent, "POST /a/%2e%2e/b?c=d HTTP/1.1\r\n", 31);
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
    check_done_once(p, 60);
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
    check_done_once(&held, 1);
    stage_close(&b);
    probe_release(&held);
    probe_release(&waiting);
}

/* ---- bounds ---- */

static void http__a_pool_that_hangs_holds_no_other(void **state)
{
    struct stage b;
    (void)state;
    stage_open(&b, script_answer_ok, 4);
    struct script *hanging = script_start(script_hang, NULL);
    struct http_pool *bad = http_pool_new(b.http, "bad", 2, false);
    struct probe *p = probes_new(&b, 20);
    for (int i = 0; i < 10; i++) {
        p[i].call.pool = bad;
        snprintf(p[i].url, sizeof(p[i].url), "http://127.0.0.1:%d/", hanging->port);
    }
    for (int i = 0; i < 20; i++) {
        http_submit(b.http, &p[i].call);
    }
    gate_wait(&b.done, 10);
    gate_wait(&hanging->held, 2);
    assert_int_equal(count_ends(p + 10, 10, HTTP_END_ANSWERED), 10);
    assert_int_equal(gate_count(&hanging->connections), 2);
    stage_close(&b);
    assert_int_equal(count_ends(p, 10, HTTP_END_UNCERTAIN), 2);
    assert_int_equal(count_ends(p, 10, HTTP_END_RECALLED), 8);
    check_done_once(p, 20);
    probes_free(p, 20);
    script_stop(hanging);
}

static void http__pools_take_turns(void **state)
{
    struct stage b;
    struct probe first;
    (void)state;
    stage_open(&b, script_hold_then_ok, 1);
    struct http_pool *other = http_pool_new(b.http, "other", 1, false);
    struct probe *p = probes_new(&b, 12);
    stage_probe(&b, &first, "/first");
    http_submit(b.http, &first.call);
    gate_wait(&b.script->held, 1);
    for (int i = 0; i < 12; i++) { /* ten of one pool, then two of another */
        p[i].call.pool = i < 10 ? b.pool : other;
        http_submit(b.http, &p[i].call);
    }
    script_let_go(b.script);
    gate_wait(&b.done, 13);
    int late = 0;
    for (int i = 5; i < 13; i++) {
        late += strstr(script_look(b.script)->log[i], "/10 ") != NULL ||
                strstr(script_look(b.script)->log[i], "/11 ") != NULL;
    }
    assert_int_equal(late, 0); /* among the first five, not behind the ten */
    stage_close(&b);
    probes_free(p, 12);
    probe_release(&first);
}

static struct http *counted; /* for note_running */
static atomic_int running_max;

static void note_running(struct probe *p)
{
    int now = http_running(counted);
    (void)p;
    if (now > atomic_load(&running_max)) {
        atomic_store(&running_max, now); /* only the loop writes */
    }
}

static void http__never_passes_in_flight(void **state)
{
    struct stage b;
    (void)state;
    stage_open(&b, script_answer_ok, 7);
    struct probe *p = probes_new(&b, MANY);
    counted = b.http;
    atomic_store(&running_max, 0);
    for (int i = 0; i < MANY; i++) {
        p[i].then = note_running;
        http_submit(b.http, &p[i].call);
    }
    gate_wait(&b.done, MANY);
    assert_int_equal(count_ends(p, MANY, HTTP_END_ANSWERED), MANY);
    check_done_once(p, MANY);
    assert_true(script_look(b.script)->active_max <= 7);
    assert_true(atomic_load(&running_max) <= 7);
    assert_true(gate_count(&b.script->connections) <= 7);
    stage_close(&b);
    probes_free(p, MANY);
}

static void http__fills_more_than_one_shard(void **state)
{
    enum { WIDE = HTTP_SHARD_CALLS * 3 };
    struct stage b;
    (void)state;
    stage_open(&b, script_hold_then_ok, WIDE);
    struct probe *p = probes_new(&b, WIDE);
    for (int i = 0; i < WIDE; i++) {
        http_submit(b.http, &p[i].call);
    }
    gate_wait(&b.script->held, WIDE); /* all on the wire at once */
    assert_int_equal(http_running(b.http), WIDE);
    script_let_go(b.script);
    gate_wait(&b.done, WIDE);
    assert_int_equal(count_ends(p, WIDE, HTTP_END_ANSWERED), WIDE);
    stage_close(&b);
    probes_free(p, WIDE);
}

static bool answer_long(struct script *s, int fd, int nth)
{
    enum { LONG = HTTP_BODY_KEPT_MAX * 3 };
    char *body = mem_zalloc(LONG + 1);
    char head[80];
    (void)s;
    (void)nth;
    memset(body, 'z', LONG);
    snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", LONG);
    script_send(fd, head);
    script_send(fd, body);
    free(body);
    return true;
}

static void http__keeps_the_first_bytes_of_a_long_answer(void **state)
{
    struct stage b;
    struct probe p[2];
    (void)state;
    stage_open(&b, answer_long, 1);
    for (int i = 0; i < 2; i++) {
        stage_probe(&b, &p[i], "/");
        stage_call(&b, &p[i]);
        assert_int_equal(p[i].call.end, HTTP_END_ANSWERED);
        assert_string_equal(p[i].call.error, "");
        assert_int_equal(p[i].call.answer_len, HTTP_BODY_KEPT_MAX);
        probe_release(&p[i]);
    }
    assert_int_equal(gate_count(&b.script->connections), 1); /* read to its end */
    stage_close(&b);
}

/* ---- stop ---- */

static void http__stop_ends_every_call(void **state)
{
    struct stage b;
    (void)state;
    stage_open(&b, script_hang, 3);
    struct probe *p = probes_new(&b, 30);
    for (int i = 0; i < 30; i++) {
        p[i].call.not_before_ms = i >= 20 ? now_ms() + 3600000 : 0;
        http_submit(b.http, &p[i].call);
    }
    gate_wait(&b.script->held, 3);
    http_stop(b.http);
    assert_int_equal(gate_count(&b.done), 30);
    assert_int_equal(count_ends(p, 30, HTTP_END_UNCERTAIN), 3);
    assert_int_equal(count_ends(p, 30, HTTP_END_RECALLED), 27);
    check_done_once(p, 30);
    script_stop(b.script);
    gate_release(&b.done);
    probes_free(p, 30);
}

/* Submit the probe in arg, from done. */
static void submit_next(struct probe *p)
{
    struct probe *next = p->arg;
    if (next != NULL) {
        http_submit(counted, &next->call);
    }
}

static void http__done_may_submit_also_at_stop(void **state)
{
    struct stage b;
    (void)state;
    stage_open(&b, script_hang, 1);
    struct probe *p = probes_new(&b, 4);
    counted = b.http;
    for (int i = 0; i < 3; i++) {
        p[i].then = submit_next;
        p[i].arg = &p[i + 1];
    }
    http_submit(b.http, &p[0].call);
    gate_wait(&b.script->held, 1);
    http_stop(b.http);
    assert_int_equal(p[0].call.end, HTTP_END_UNCERTAIN);
    assert_int_equal(count_ends(p + 1, 3, HTTP_END_RECALLED), 3);
    check_done_once(p, 4);
    script_stop(b.script);
    gate_release(&b.done);
    probes_free(p, 4);
}

struct chain {
    struct stage *stage;
    struct gate *gate;
    int left;
};

static void chain_go(struct chain *chain);

static void chain_done(struct http_call *call)
{
    struct probe *p = call->arg;
    struct chain *chain = p->arg;
    bool answered = call->end == HTTP_END_ANSWERED;
    free(p); /* the call with it */
    if (answered && --chain->left > 0) {
        chain_go(chain);
    } else {
        gate_pass(chain->gate);
    }
}

static void chain_go(struct chain *chain)
{
    struct probe *p = mem_alloc(sizeof(*p));
    stage_probe(chain->stage, p, "/");
    p->call.done = chain_done;
    p->arg = chain;
    http_submit(chain->stage->http, &p->call);
}

static void http__done_may_free_its_call(void **state)
{
    struct stage b;
    (void)state;
    stage_open(&b, script_answer_ok, 4);
    struct chain chain = {&b, &b.done, 100};
    chain_go(&chain);
    gate_wait(&b.done, 1);
    assert_int_equal(chain.left, 0);
    assert_int_equal(gate_count(&b.script->requests), 100);
    stage_close(&b);
}

/* ---- many threads ---- */

struct crowd {
    struct stage *stage;
    struct probe *probes;
    int n;
    int seed;
};

/* A call stays alive until all are done, as under a waitgroup. */
static void *submit_and_disturb(void *arg)
{
    struct crowd *c = arg;
    for (int i = 0; i < c->n; i++) {
        struct probe *p = &c->probes[i];
        int dice = (i * 7 + c->seed) % 5;
        p->call.not_before_ms = dice == 0 ? 0 : now_ms() + dice;
        http_submit(c->stage->http, &p->call);
        if (dice == 1) {
            http_recall(c->stage->http, &p->call);
        }
        if (dice == 2 && i > 0) {
            struct probe *before = &c->probes[i - 1];
            if (atomic_load(&before->done_count) == 0) {
                http_abort(c->stage->http, &before->call);
            }
        }
    }
    return NULL;
}

static void http__each_call_of_a_crowd_ends_once(void **state)
{
    enum { THREADS = 4, EACH = 100 };
    struct stage b;
    pthread_t threads[THREADS];
    struct crowd crowds[THREADS];
    (void)state;
    stage_open(&b, script_answer_ok, 16);
    struct probe *p = probes_new(&b, THREADS * EACH);
    for (int i = 0; i < THREADS; i++) {
        crowds[i] = (struct crowd){&b, p + i * EACH, EACH, i};
        MUST(pthread_create(&threads[i], NULL, submit_and_disturb, &crowds[i]));
    }
    for (int i = 0; i < THREADS; i++) {
        MUST(pthread_join(threads[i], NULL));
    }
    gate_wait(&b.done, THREADS * EACH);
    stage_close(&b);
    check_done_once(p, THREADS * EACH);
    int known = count_ends(p, THREADS * EACH, HTTP_END_ANSWERED) +
                count_ends(p, THREADS * EACH, HTTP_END_RECALLED) +
                count_ends(p, THREADS * EACH, HTTP_END_NOT_SENT) +
                count_ends(p, THREADS * EACH, HTTP_END_UNCERTAIN);
    assert_int_equal(known, THREADS * EACH);
    probes_free(p, THREADS * EACH);
}

static void http__shows_what_runs(void **state)
{
    struct metrics *metrics = metrics_new();
    struct http_options options = {.in_flight = 2, .metrics = metrics};
    struct script *script = script_start(script_hold_then_ok, NULL);
    struct gate done;
    struct probe p[3];
    struct str text;
    (void)state;
    gate_init(&done);
    str_init(&text);
    struct http *http = http_start(&options, NULL);
    struct http_pool *pool = http_pool_new(http, "p", 2, false);
    for (int i = 0; i < 3; i++) {
        probe_init(&p[i], pool, script->port, "/", &done);
        http_submit(http, &p[i].call);
    }
    gate_wait(&script->held, 2);
    do { /* the third call may still be in the inbox */
        str_clear(&text);
        metrics_write(metrics, &text);
    } while (strstr(text.data, "\nsluice_http_waiting 1\n") == NULL &&
             script_pause(script, 1));
    assert_non_null(strstr(text.data, "\nsluice_http_in_flight 2\n"));
    script_let_go(script);
    gate_wait(&done, 3);
    http_stop(http);
    str_clear(&text);
    metrics_write(metrics, &text);
    assert_non_null(strstr(text.data, "\nsluice_http_in_flight 0\n"));
    str_release(&text);
    metrics_free(metrics);
    script_stop(script);
    gate_release(&done);
    for (int i = 0; i < 3; i++) {
        probe_release(&p[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
