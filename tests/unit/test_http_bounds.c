/* wire/http under bounds: how many calls run, and that each ends once, also at stop. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include "base/metrics.h"
#include "http_script.h"

enum { MANY = 200 };

/* ---- bounds ---- */

static void http_bounds__a_pool_that_hangs_holds_no_other(void **state)
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
    assert_true(probes_done_once(p, 20));
    probes_free(p, 20);
    script_stop(hanging);
}

static void http_bounds__pools_take_turns(void **state)
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

static void http_bounds__never_passes_in_flight(void **state)
{
    struct stage b;
    (void)state;
    stage_open(&b, script_answer_ok, 7);
    struct http_pool *other = http_pool_new(b.http, "other", 7, false);
    struct probe *p = probes_new(&b, MANY);
    counted = b.http;
    atomic_store(&running_max, 0);
    for (int i = 0; i < MANY; i++) {
        p[i].call.pool = i % 2 == 0 ? b.pool : other;
        p[i].then = note_running;
        http_submit(b.http, &p[i].call);
    }
    gate_wait(&b.done, MANY);
    assert_int_equal(count_ends(p, MANY, HTTP_END_ANSWERED), MANY);
    assert_true(probes_done_once(p, MANY));
    assert_true(script_look(b.script)->active_max <= 7);
    assert_true(atomic_load(&running_max) <= 7);
    assert_true(gate_count(&b.script->connections) <= 7);
    stage_close(&b);
    probes_free(p, MANY);
}

static void http_bounds__fills_more_than_one_shard(void **state)
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

static void http_bounds__keeps_the_first_bytes_of_a_long_answer(void **state)
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

static void http_bounds__stop_ends_every_call(void **state)
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
    assert_true(probes_done_once(p, 30));
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

static void http_bounds__done_may_submit_also_at_stop(void **state)
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
    assert_true(probes_done_once(p, 4));
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

static void http_bounds__done_may_free_its_call(void **state)
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

static void http_bounds__each_call_of_a_crowd_ends_once(void **state)
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
    assert_true(probes_done_once(p, THREADS * EACH));
    int known = count_ends(p, THREADS * EACH, HTTP_END_ANSWERED) +
                count_ends(p, THREADS * EACH, HTTP_END_RECALLED) +
                count_ends(p, THREADS * EACH, HTTP_END_NOT_SENT) +
                count_ends(p, THREADS * EACH, HTTP_END_UNCERTAIN);
    assert_int_equal(known, THREADS * EACH);
    probes_free(p, THREADS * EACH);
}

static void http_bounds__shows_what_runs(void **state)
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
