#include "httpd_server.h"

#include "../../consumer/console/jobs.h"
#include "base/now.h"

enum { ASKED = JOBS_RUNNING_OF_ONE + JOBS_WAITING_OF_ONE };

static struct jobs *jobs;
static struct gate {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    int running;
    bool open;
} gate = {.mu = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

/* Blocks, as Kafka might. */
static void wait_at_gate(void *arg, struct ops_place *place, struct httpd_request *r,
                         struct ctx *ctx)
{
    (void)place;
    (void)ctx;
    assert_ptr_equal(arg, &gate);
    pthread_mutex_lock(&gate.mu);
    gate.running++;
    pthread_cond_broadcast(&gate.cond);
    while (!gate.open) {
        pthread_cond_wait(&gate.cond, &gate.mu);
    }
    pthread_mutex_unlock(&gate.mu);
    httpd_reply(r, 200, NULL, "done\n", 5);
}

static void add(struct server *s, struct httpd_request *r)
{
    (void)s;
    jobs_add(jobs, wait_at_gate, &gate, r);
}

static void on_left(void *arg, struct httpd_request *r)
{
    jobs_abort(jobs, r);
    on_aborted(arg, r);
}

static struct config *begin(struct server *s)
{
    static char *none[] = {NULL};
    static const struct config_override overrides[] = {
        {"redis.url", "unix:///nonexistent/redis.sock", "test"},
        {"targets.t.url", "http://127.0.0.1:1/", "test"},
    };
    struct config_report report;
    struct config *config = config_load("/dev/null", overrides, 2, none, &report);
    config_report_release(&report);
    assert_non_null(config);
    jobs = jobs_start(config, NULL);
    assert_non_null(jobs);
    gate.running = 0;
    gate.open = false;
    server_init(s, add);
    struct httpd_options options = options_of(s);
    options.connections_max = ASKED + 8;
    options.aborted = on_left;
    s->httpd = httpd_start(&options, NULL);
    return config;
}

static void finish(struct server *s, struct config *config)
{
    server_stop(s);
    jobs_stop(jobs);
    config_free(config);
}

static void ask_for_all(struct server *s, int fds[ASKED])
{
    for (int i = 0; i < ASKED; i++) {
        fds[i] = dial(httpd_port(s->httpd));
        say(fds[i], "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        await(s, &s->handled, i + 1);
        pthread_mutex_lock(&gate.mu);
        while (gate.running < (i < JOBS_RUNNING_OF_ONE ? i + 1 : JOBS_RUNNING_OF_ONE)) {
            pthread_cond_wait(&gate.cond, &gate.mu);
        }
        pthread_mutex_unlock(&gate.mu);
    }
}

static void open_gate(void)
{
    pthread_mutex_lock(&gate.mu);
    gate.open = true;
    pthread_cond_broadcast(&gate.cond);
    pthread_mutex_unlock(&gate.mu);
}

static void jobs__refuse_what_is_too_much_and_do_the_rest(void **state)
{
    (void)state;
    struct server s;
    int fds[ASKED];
    struct config *config = begin(&s);
    ask_for_all(&s, fds);
    char *answer = ask(httpd_port(s.httpd), "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "}\n");
    assert_has(answer, "HTTP/1.1 503 ");
    assert_has(answer, "try again");
    free(answer);
    open_gate();
    for (int i = 0; i < ASKED; i++) {
        answer = hear_until(fds[i], "done\n");
        assert_has(answer, "HTTP/1.1 200 ");
        free(answer);
        close(fds[i]);
    }
    finish(&s, config);
}

static void answer(void *arg, struct ops_place *place, struct httpd_request *r,
                   struct ctx *ctx);

static void add_answer(struct server *s, struct httpd_request *r)
{
    (void)s;
    jobs_add(jobs, answer, NULL, r);
}

static void jobs__leave_some_for_who_asks_for_something_else(void **state)
{
    (void)state;
    struct server s;
    int fds[ASKED];
    struct config *config = begin(&s);
    ask_for_all(&s, fds);
    server_handle(&s, add_answer);
    char *text = ask(httpd_port(s.httpd), "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\n");
    assert_has(text, "HTTP/1.1 200 ");
    free(text);
    open_gate();
    for (int i = 0; i < ASKED; i++) {
        free(hear_until(fds[i], "done\n"));
        close(fds[i]);
    }
    finish(&s, config);
}

/* --- readers who leave --- */

static struct seen {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    int begun;
    int ended;
    int cancelled;
} seen = {.mu = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

static void count(int *counter)
{
    pthread_mutex_lock(&seen.mu);
    (*counter)++;
    pthread_cond_broadcast(&seen.cond);
    pthread_mutex_unlock(&seen.mu);
}

static void await_seen(const int *counter, int value)
{
    pthread_mutex_lock(&seen.mu);
    while (*counter < value) {
        pthread_cond_wait(&seen.cond, &seen.mu);
    }
    pthread_mutex_unlock(&seen.mu);
}

/* Reads something that never comes. */
static void wait_for_the_end(void *arg, struct ops_place *place, struct httpd_request *r,
                             struct ctx *ctx)
{
    (void)arg;
    (void)place;
    assert_true(ctx_deadline_ms(ctx) <= now_ms() + JOBS_PATIENCE_MS);
    count(&seen.begun);
    if (ctx_sleep(ctx, NOW_FOREVER) == -ECANCELED) {
        count(&seen.cancelled);
    }
    httpd_reply(r, 200, NULL, "done\n", 5);
    count(&seen.ended);
}

/* Is over as soon as it is begun. */
static void answer(void *arg, struct ops_place *place, struct httpd_request *r,
                   struct ctx *ctx)
{
    (void)arg;
    (void)place;
    (void)ctx;
    httpd_reply(r, 200, NULL, "done\n", 5);
    count(&seen.ended);
}

static void add_waiter(struct server *s, struct httpd_request *r)
{
    (void)s;
    jobs_add(jobs, wait_for_the_end, NULL, r);
}

static struct config *begin_with(struct server *s,
                                 void (*handle)(struct server *, struct httpd_request *))
{
    struct config *config = begin(s);
    seen.begun = seen.ended = seen.cancelled = 0;
    server_handle(s, handle);
    return config;
}

static int send_one(struct server *s)
{
    int fd = dial(httpd_port(s->httpd));
    say(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    return fd;
}

static void jobs__cancel_what_runs_when_its_reader_leaves(void **state)
{
    (void)state;
    struct server s;
    struct config *config = begin_with(&s, add_waiter);
    int leaver = send_one(&s);
    await_seen(&seen.begun, 1);
    int stayer = send_one(&s);
    await_seen(&seen.begun, 2);
    close(leaver);
    await_seen(&seen.ended, 1);
    await_seen(&seen.cancelled, 1);
    await(&s, &s.aborted, 1);
    close(stayer);
    await_seen(&seen.ended, 2);
    finish(&s, config);
}

static void jobs__never_begin_what_waits_when_its_reader_leaves(void **state)
{
    (void)state;
    struct server s;
    int fds[ASKED];
    struct config *config = begin_with(&s, add_waiter);
    for (int i = 0; i < ASKED; i++) {
        fds[i] = send_one(&s);
        await(&s, &s.handled, i + 1);
        await_seen(&seen.begun, i < JOBS_RUNNING_OF_ONE ? i + 1 : JOBS_RUNNING_OF_ONE);
    }
    close(fds[JOBS_RUNNING_OF_ONE]);      /* the first that waits, */
    close(fds[JOBS_RUNNING_OF_ONE + 11]); /* one in the middle */
    close(fds[ASKED - 1]);                /* and the last */
    await(&s, &s.aborted, 3);
    server_handle(&s, add_answer); /* into a place that has become free */
    int late = send_one(&s);
    await(&s, &s.handled, ASKED + 1);
    for (int i = 0; i < ASKED - 1; i++) {
        if (i != JOBS_RUNNING_OF_ONE && i != JOBS_RUNNING_OF_ONE + 11) {
            close(fds[i]);
        }
    }
    char *text = hear_until(late, "done\n");
    assert_has(text, "HTTP/1.1 200 ");
    free(text);
    close(late);
    finish(&s, config);
    assert_true(seen.begun <= ASKED - 3);
}

static void jobs__may_end_while_their_readers_leave(void **state)
{
    (void)state;
    struct server s;
    enum { ROUNDS = 300 };
    struct config *config = begin_with(&s, add_answer);
    for (int i = 0; i < ROUNDS; i++) {
        int fd = send_one(&s);
        if (i % 3 == 0) {
            await_seen(&seen.ended, 1);
        }
        close(fd);
    }
    bool served = false;
    while (!served) { /* the queue may still be full of those that left */
        char *text =
            ask(httpd_port(s.httpd),
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "done\n");
        served = strstr(text, "HTTP/1.1 200 ") != NULL;
        free(text);
    }
    finish(&s, config);
}

static void jobs__are_cancelled_by_the_stop(void **state)
{
    (void)state;
    struct server s;
    struct config *config = begin_with(&s, add_waiter);
    int fd = send_one(&s);
    await_seen(&seen.begun, 1);
    jobs_stop(jobs);
    assert_int_equal(seen.cancelled, 1);
    char *text = hear_until(fd, "done\n");
    assert_has(text, "HTTP/1.1 200 "); /* whoever is still there is answered */
    free(text);
    close(fd);
    server_stop(&s);
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
