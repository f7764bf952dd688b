#include "httpd_server.h"

enum { STALL_BYTES = 8 << 20 };

/* A body as the test says: what is in `waiting`, or without end. */
struct body {
    struct httpd_request *request;
    struct server *server;
    pthread_mutex_t mu;
    pthread_cond_t cond;
    struct str waiting;
    const char *late; /* comes while pull runs, after it looked */
    bool endless;
    bool ended;
    size_t pulled;
    int pulls;
    int closed;
};

static struct body body; /* of the test that runs */

static ssize_t pull(void *arg, char *out, size_t max)
{
    struct body *b = arg;
    pthread_mutex_lock(&b->mu);
    ssize_t n = b->ended ? -EPIPE : 0;
    if (b->endless) {
        memset(out, 'x', max);
        n = (ssize_t)max;
    } else if (b->waiting.len > 0) {
        size_t part = b->waiting.len < max ? b->waiting.len : max;
        memcpy(out, b->waiting.data, part);
        char *rest = mem_strdup(b->waiting.data + part);
        str_clear(&b->waiting);
        str_add(&b->waiting, rest);
        free(rest);
        n = (ssize_t)part;
    }
    const char *late = n == 0 ? b->late : NULL;
    if (late) {
        str_add(&b->waiting, late);
        b->late = NULL;
    }
    b->pulls++;
    b->pulled += n > 0 ? (size_t)n : 0;
    pthread_cond_broadcast(&b->cond);
    pthread_mutex_unlock(&b->mu);
    if (late) {
        httpd_stream_wake(b->request);
    }
    return n;
}

static void closed(void *arg)
{
    struct body *b = arg;
    pthread_mutex_lock(&b->mu);
    b->closed++;
    pthread_cond_broadcast(&b->cond);
    pthread_mutex_unlock(&b->mu);
}

static void stream(struct server *s, struct httpd_request *r)
{
    static const char *const headers[] = {"content-type", "text/event-stream", NULL};
    const struct httpd_stream how = {.pull = pull, .closed = closed, .arg = &body};
    (void)s;
    body.request = r;
    httpd_stream(r, 200, headers, &how);
}

static void give(const char *text)
{
    pthread_mutex_lock(&body.mu);
    str_add(&body.waiting, text);
    pthread_mutex_unlock(&body.mu);
    httpd_stream_wake(body.request);
}

static void await_body(const int *counter, int value)
{
    pthread_mutex_lock(&body.mu);
    while (*counter < value) {
        pthread_cond_wait(&body.cond, &body.mu);
    }
    pthread_mutex_unlock(&body.mu);
}

static int start(struct server *s, const char *request)
{
    memset(&body, 0, sizeof body);
    str_init(&body.waiting);
    pthread_mutex_init(&body.mu, NULL);
    pthread_cond_init(&body.cond, NULL);
    server_init(s, stream);
    struct httpd_options options = options_of(s);
    options.connections_max = 1; /* so the next one shows that this one is gone */
    s->httpd = httpd_start(&options, NULL);
    assert_non_null(s->httpd);
    int fd = dial(httpd_port(s->httpd));
    say(fd, request);
    return fd;
}

static void stop(struct server *s)
{
    server_stop(s);
    str_release(&body.waiting);
    pthread_mutex_destroy(&body.mu);
    pthread_cond_destroy(&body.cond);
}

static const char get[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/* --- */

static void httpd_stream__sends_what_there_is_when_it_is_woken(void **state)
{
    (void)state;
    struct server s;
    int fd = start(&s, get);
    await(&s, &s.handled, 1);
    give("first");
    char *answer = hear_until(fd, "first\r\n");
    assert_has(answer, "HTTP/1.1 200 ");
    assert_has(answer, "Transfer-Encoding: chunked\r\n");
    assert_has(answer, "text/event-stream\r\n");
    free(answer);
    give("second");
    answer = hear_until(fd, "second\r\n");
    assert_string_equal(answer, "6\r\nsecond\r\n");
    free(answer);
    close(fd);
    await_body(&body.closed, 1);
    stop(&s);
}

static void httpd_stream__ends_a_body_in_order(void **state)
{
    (void)state;
    struct server s;
    int fd = start(&s, get);
    await(&s, &s.handled, 1);
    pthread_mutex_lock(&body.mu);
    body.ended = true;
    pthread_mutex_unlock(&body.mu);
    httpd_stream_wake(body.request);
    char *answer = hear_until(fd, "\r\n\r\n0\r\n\r\n");
    assert_has(answer, "\r\n\r\n0\r\n\r\n");
    free(answer);
    await_body(&body.closed, 1);
    say(fd, get); /* the connection goes on */
    await(&s, &s.handled, 2);
    await_body(&body.closed, 2);
    close(fd);
    stop(&s);
}

static void httpd_stream__closes_after_the_body_for_an_old_client(void **state)
{
    (void)state;
    struct server s;
    int fd = start(&s, "GET / HTTP/1.0\r\n\r\n");
    await(&s, &s.handled, 1);
    give("all");
    char *answer = hear_until(fd, "all");
    assert_null(strstr(answer, "chunked"));
    free(answer);
    pthread_mutex_lock(&body.mu);
    body.ended = true;
    pthread_mutex_unlock(&body.mu);
    httpd_stream_wake(body.request);
    char byte;
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    close(fd);
    stop(&s);
}

static void httpd_stream__has_no_body_for_head(void **state)
{
    (void)state;
    struct server s;
    int fd = start(&s, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    await_body(&body.closed, 1);
    free(hear_until(fd, "\r\n\r\n"));
    assert_int_equal(body.pulls, 0);
    close(fd);
    stop(&s);
}

/* No wake-up is lost, whenever it comes. */
static void httpd_stream__loses_no_wake_up(void **state)
{
    (void)state;
    struct server s;
    int fd = start(&s, get);
    await(&s, &s.handled, 1);
    for (int i = 0; i < 2000; i++) {
        char text[16];
        snprintf(text, sizeof text, "<%d>", i);
        give(text);
        if (i % 3 == 0) { /* else it comes while the one before is on its way */
            free(hear_until(fd, text));
        }
    }
    give("<end>");
    char *answer = hear_until(fd, "<end>");
    assert_has(answer, "<end>");
    free(answer);
    close(fd);
    stop(&s);
}

static void httpd_stream__keeps_a_wake_up_that_comes_while_pull_runs(void **state)
{
    (void)state;
    struct server s;
    int fd = start(&s, get);
    await_body(&body.pulls, 1);
    pthread_mutex_lock(&body.mu);
    body.late = "late";
    pthread_mutex_unlock(&body.mu);
    httpd_stream_wake(body.request);
    char *answer = hear_until(fd, "late");
    assert_has(answer, "late");
    free(answer);
    close(fd);
    stop(&s);
}

static void httpd_stream__frees_the_place_of_one_that_left(void **state)
{
    (void)state;
    struct server s;
    int fd = start(&s, get);
    await_body(&body.pulls, 1);
    for (int i = 1; i <= 20; i++) { /* nobody wakes it: it is seen all the same */
        close(fd);
        await_body(&body.closed, i);
        fd = dial(httpd_port(s.httpd));
        say(fd, get);
        await(&s, &s.handled, i + 1);
    }
    close(fd);
    stop(&s);
    assert_int_equal(body.closed, 21);
}

/* Start an endless body that nobody reads, and wait until it has come to a stop. */
static int stall(struct server *s)
{
    int fd = start(s, get);
    await(s, &s->handled, 1);
    pthread_mutex_lock(&body.mu);
    body.endless = true;
    pthread_mutex_unlock(&body.mu);
    httpd_stream_wake(body.request);
    struct timespec until;
    pthread_mutex_lock(&body.mu);
    size_t before;
    do {
        before = body.pulled;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 200 * 1000 * 1000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        while (body.pulled == before &&
               pthread_cond_timedwait(&body.cond, &body.mu, &until) == 0) {
        }
    } while (body.pulled != before || before == 0);
    pthread_mutex_unlock(&body.mu);
    return fd;
}

static void httpd_stream__holds_little_for_one_that_takes_nothing(void **state)
{
    (void)state;
    struct server s;
    int fd = stall(&s);
    assert_true(body.pulled < STALL_BYTES);
    httpd_stream_cut(body.request);
    await_body(&body.closed, 1);
    int next = dial(httpd_port(s.httpd));
    say(next, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    await(&s, &s.handled, 2);
    close(next);
    close(fd);
    stop(&s);
}

static void httpd_stream__cuts_one_that_waits(void **state)
{
    (void)state;
    struct server s;
    int fd = start(&s, get);
    await_body(&body.pulls, 1);
    httpd_stream_cut(body.request);
    await_body(&body.closed, 1);
    char *answer = hear_until(fd, "never");
    assert_null(strstr(answer, "0\r\n\r\n")); /* no orderly end */
    free(answer);
    close(fd);
    stop(&s);
}

static void httpd_stream__stops_with_bodies_that_wait_or_stall(void **state)
{
    (void)state;
    struct server s;
    int fd = stall(&s);
    stop(&s);
    assert_int_equal(body.closed, 1);
    close(fd);
    fd = start(&s, get);
    await_body(&body.pulls, 1);
    stop(&s);
    assert_int_equal(body.closed, 1);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
