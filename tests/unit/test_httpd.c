#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "wire/httpd.h"

/* A server whose handler does what the test says, and a gate to wait for what it saw. */
struct server {
    struct httpd *httpd;
    void (*handle)(struct server *s, struct httpd_request *r);

    pthread_mutex_t mu;
    pthread_cond_t cond;
    int handled;
    int aborted;
    struct httpd_request *held; /* the last one a test wants to answer itself */
    struct str seen;            /* what the handler read */
};

static void on_handle(void *arg, struct httpd_request *r)
{
    struct server *s = arg;
    pthread_mutex_lock(&s->mu);
    s->handle(s, r);
    s->handled++;
    pthread_cond_broadcast(&s->cond);
    pthread_mutex_unlock(&s->mu);
}

static void on_aborted(void *arg, struct httpd_request *r)
{
    struct server *s = arg;
    assert_string_equal(httpd_method(r), "GET"); /* still readable */
    pthread_mutex_lock(&s->mu);
    s->aborted++;
    pthread_cond_broadcast(&s->cond);
    pthread_mutex_unlock(&s->mu);
}

static void await(struct server *s, const int *counter, int value)
{
    pthread_mutex_lock(&s->mu);
    while (*counter < value) {
        pthread_cond_wait(&s->cond, &s->mu);
    }
    pthread_mutex_unlock(&s->mu);
}

static struct httpd_options options_of(struct server *s)
{
    return (struct httpd_options){
        .address = "127.0.0.1",
        .connections_max = 16,
        .body_max = 1000,
        .threads = 1,
        .handle = on_handle,
        .aborted = on_aborted,
        .arg = s,
    };
}

static void server_init(struct server *s,
                        void (*handle)(struct server *, struct httpd_request *))
{
    memset(s, 0, sizeof *s);
    s->handle = handle;
    str_init(&s->seen);
    pthread_mutex_init(&s->mu, NULL);
    pthread_cond_init(&s->cond, NULL);
}

static void server_start(struct server *s,
                         void (*handle)(struct server *, struct httpd_request *))
{
    server_init(s, handle);
    struct err err = ERR_INIT;
    struct httpd_options options = options_of(s);
    s->httpd = httpd_start(&options, &err);
    assert_string_equal(err.text, "");
    assert_non_null(s->httpd);
}

static void server_release(struct server *s)
{
    str_release(&s->seen);
    pthread_mutex_destroy(&s->mu);
    pthread_cond_destroy(&s->cond);
}

static void server_stop(struct server *s)
{
    httpd_stop(s->httpd);
    server_release(s);
}

static int dial(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    size_t len = strlen(text);
    assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), len);
}

/* Read until the text is there; the end of the connection ends it too. */
static char *hear_until(int fd, const char *text)
{
    struct str in;
    str_init(&in);
    char byte;
    while (!strstr(in.data, text) && recv(fd, &byte, 1, 0) == 1) {
        str_addc(&in, byte);
    }
    return str_take(&in);
}

static char *ask(int port, const char *request, const char *until)
{
    int fd = dial(port);
    say(fd, request);
    char *answer = hear_until(fd, until);
    close(fd);
    return answer;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part)) {
        fail_msg("\"%s\" is not in \"%s\"", part, text);
    }
}

/* --- handlers --- */

static void reply_hello(struct server *s, struct httpd_request *r)
{
    (void)s;
    static const char *const headers[] = {"Content-Type", "text/plain", "X-One", "1",
                                          NULL};
    httpd_reply(r, 202, headers, "hello", 5);
}

static void hold(struct server *s, struct httpd_request *r)
{
    s->held = r;
}

static void hang(struct server *s, struct httpd_request *r)
{
    (void)s;
    httpd_hang(r);
}

static void reset(struct server *s, struct httpd_request *r)
{
    (void)s;
    httpd_reset(r);
}

static void trickle(struct server *s, struct httpd_request *r)
{
    (void)s;
    httpd_trickle(r, 200, 1);
}

static void note_header(void *arg, const char *name, const char *value)
{
    str_addf(arg, "[%s: %s]", name, value);
}

static void read_all(struct server *s, struct httpd_request *r)
{
    size_t len;
    const char *body = httpd_body(r, &len);
    const char *query = httpd_query(r, "q");
    const char *empty = httpd_query(r, "empty");
    const char *header = httpd_header(r, "x-lower");
    str_addf(&s->seen, "%s %s q=%s empty=%s none=%d x=%s body=%zu:%s ", httpd_method(r),
             httpd_path(r), query ? query : "-", empty ? empty : "-",
             httpd_query(r, "none") == NULL, header ? header : "-", len, body);
    httpd_each_header(r, note_header, &s->seen);
    httpd_reply(r, 200, NULL, NULL, 0);
}

/* --- answering --- */

static void httpd__answers_from_the_handler(void **state)
{
    (void)state;
    struct server s;
    server_start(&s, reply_hello);
    char *answer = ask(httpd_port(s.httpd), "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "hello");
    assert_has(answer, "HTTP/1.1 202 ");
    assert_has(answer, "Content-Type: text/plain\r\n");
    assert_has(answer, "X-One: 1\r\n");
    assert_has(answer, "\r\n\r\nhello");
    free(answer);
    server_stop(&s);
}

static void httpd__answers_later_from_another_thread(void **state)
{
    (void)state;
    struct server s;
    server_start(&s, hold);
    int fd = dial(httpd_port(s.httpd));
    for (int i = 1; i <= 3; i++) { /* the connection is kept */
        say(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        await(&s, &s.handled, i);
        httpd_reply(s.held, 200, NULL, "later", 5);
        char *answer = hear_until(fd, "later");
        assert_has(answer, "HTTP/1.1 200 ");
        free(answer);
    }
    close(fd);
    server_stop(&s);
}

static void httpd__answers_head_without_a_body(void **state)
{
    (void)state;
    struct server s;
    server_start(&s, reply_hello);
    char *answer =
        ask(httpd_port(s.httpd),
            "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "never");
    assert_has(answer, "HTTP/1.1 202 ");
    assert_has(answer, "Content-Length: 5\r\n");
    assert_null(strstr(answer, "hello"));
    free(answer);
    server_stop(&s);
}

static void httpd__leaves_out_a_header_with_a_line_break(void **state)
{
    (void)state;
    struct server s;
    server_start(&s, hold);
    int fd = dial(httpd_port(s.httpd));
    say(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await(&s, &s.handled, 1);
    static const char *const headers[] = {"X-Bad", "a\r\nX-Smuggled: 1", "X-Good", "b",
                                          NULL};
    httpd_reply(s.held, 200, headers, "done", 4);
    char *answer = hear_until(fd, "done");
    assert_null(strstr(answer, "Smuggled"));
    assert_has(answer, "X-Good: b");
    free(answer);
    close(fd);
    server_stop(&s);
}

/* --- reading --- */

static void httpd__shows_method_path_query_headers_and_body(void **state)
{
    (void)state;
    struct server s;
    server_start(&s, read_all);
    free(ask(httpd_port(s.httpd),
             "POST /a%20b/c?q=1%262&empty HTTP/1.1\r\nHost: h\r\nX-LOWER: v\r\n"
             "Content-Type: application/x-www-form-urlencoded\r\n"
             "Content-Length: 7\r\n\r\nk=v&k=w",
             "\r\n\r\n"));
    assert_has(s.seen.data, "POST /a b/c q=1&2 empty= none=1 x=v body=7:k=v&k=w [");
    assert_has(s.seen.data, "[X-LOWER: v]");
    server_stop(&s);
}

static void httpd__keeps_an_encoded_nul_encoded(void **state)
{
    (void)state;
    struct server s;
    server_start(&s, read_all);
    free(ask(httpd_port(s.httpd), "GET /livez%00x HTTP/1.1\r\nHost: h\r\n\r\n",
             "\r\n\r\n"));
    assert_has(s.seen.data, "GET /livez%00x ");
    server_stop(&s);
}

/* --- bounds --- */

static void httpd__takes_a_body_of_the_greatest_size(void **state)
{
    (void)state;
    struct server s;
    server_start(&s, read_all);
    char request[2000];
    snprintf(request, sizeof request,
             "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n%01000d", 1);
    free(ask(httpd_port(s.httpd), request, "\r\n\r\n"));
    assert_has(s.seen.data, "body=1000:000");
    server_stop(&s);
}

static void httpd__refuses_a_larger_body(void **state)
{
    (void)state;
    struct server s;
    server_start(&s, read_all);
    char request[2000];
    snprintf(request, sizeof request,
             "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n%01001d", 1);
    char *answer = ask(httpd_port(s.httpd), request, "\r\n\r\n");
    assert_has(answer, "HTTP/1.1 413 ");
    free(answer);
    snprintf(request, sizeof request,
             "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
             "3e9\r\n%01001d\r\n0\r\n\r\n",
             1);
    answer = ask(httpd_port(s.httpd), request, "\r\n\r\n");
    assert_has(answer, "HTTP/1.1 413 ");
    free(answer);
    assert_int_equal(s.handled, 0);
    server_stop(&s);
}

static void httpd__refuses_a_huge_body_before_it_comes(void **state)
{
    (void)state;
    struct server s;
    server_start(&s, read_all);
    char *answer =
        ask(httpd_port(s.httpd),
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n",
            "\r\n\r\n");
    assert_has(answer, "HTTP/1.1 413 ");
    free(answer);
    assert_int_equal(s.handled, 0);
    server_stop(&s);
}

static void httpd__refuses_headers_without_end(void **state)
{
    (void)state;
    struct server s;
    server_start(&s, read_all);
    int fd = dial(httpd_port(s.httpd));
    char line[1024];
    snprintf(line, sizeof line, "X: %01000d\r\n", 1);
    say(fd, "GET / HTTP/1.1\r\nHost: h\r\n");
    int lines = 0;
    while (lines < 100000 && send(fd, line, strlen(line), MSG_NOSIGNAL) > 0) {
        lines++;
    }
    assert_true(lines < 100000); /* it hung up on us */
    assert_int_equal(s.handled, 0);
    close(fd);
    server_stop(&s);
}

static void httpd__serves_the_next_one_when_a_connection_ends(void **state)
{
    (void)state;
    struct server s;
    server_init(&s, reply_hello);
    struct httpd_options options = options_of(&s);
    options.connections_max = 1;
    s.httpd = httpd_start(&options, NULL);
    int first = dial(httpd_port(s.httpd));
    say(first, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    free(hear_until(first, "hello"));
    int second = dial(httpd_port(s.httpd));
    say(second, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    close(first);
    char *answer = hear_until(second, "hello");
    assert_has(answer, "HTTP/1.1 202 ");
    free(answer);
    close(second);
    server_stop(&s);
}

/* --- peers that leave --- */

static void httpd__tells_of_a_peer_that_left(void **state)
{
    (void)state;
    struct server s;
    server_start(&s, hold);
    int fd = dial(httpd_port(s.httpd));
    say(fd, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    await(&s, &s.handled, 1);
    close(fd);
    await(&s, &s.aborted, 1);
    httpd_reply(s.held, 200, NULL, "too late", 8);
    server_stop(&s);
    assert_int_equal(s.aborted, 1);
}

static void httpd__tells_of_a_peer_that_left_at_once(void **state)
{
    (void)state;
    struct server s;
    server_start(&s, hold);
    for (int i = 1; i <= 50; i++) {
        int fd = dial(httpd_port(s.httpd));
        say(fd, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
        close(fd);
        await(&s, &s.aborted, i);
        httpd_reply(s.held, 200, NULL, "too late", 8);
    }
    server_stop(&s);
}

/* --- misbehaving --- */

static void httpd__resets_a_connection(void **state)
{
    (void)state;
    struct server s;
    server_start(&s, reset);
    int fd = dial(httpd_port(s.httpd));
    say(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    char byte;
    errno = 0;
    assert_int_equal(recv(fd, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    close(fd);
    server_stop(&s);
}

static void httpd__hangs_until_the_peer_leaves(void **state)
{
    (void)state;
    struct server s;
    server_init(&s, hang);
    struct httpd_options options = options_of(&s);
    options.connections_max = 1; /* so the next one shows that this one is gone */
    s.httpd = httpd_start(&options, NULL);
    for (int i = 1; i <= 3; i++) {
        int fd = dial(httpd_port(s.httpd));
        say(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        await(&s, &s.handled, i);
        char byte;
        assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
        close(fd);
    }
    assert_int_equal(s.aborted, 0);
    server_stop(&s);
}

static void httpd__trickles_bytes_until_the_peer_leaves(void **state)
{
    (void)state;
    struct server s;
    server_start(&s, trickle);
    int fd = dial(httpd_port(s.httpd));
    say(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    char *answer = hear_until(fd, "\r\n.\r\n1\r\n.\r\n1\r\n.\r\n"); /* chunks of a byte */
    assert_has(answer, "HTTP/1.1 200 ");
    assert_has(answer, ".\r\n1\r\n.\r\n1\r\n.\r\n");
    free(answer);
    close(fd);
    server_stop(&s);
}

/* --- start and stop --- */

static void httpd__takes_the_next_port_when_told_so(void **state)
{
    (void)state;
    struct server first;
    server_start(&first, reply_hello);
    struct server second;
    server_init(&second, reply_hello);
    struct httpd_options options = options_of(&second);
    options.port = httpd_port(first.httpd);

    struct err err = ERR_INIT;
    assert_null(httpd_start(&options, &err));
    assert_has(err.text, "Address already in use");

    options.port_tries = 50;
    second.httpd = httpd_start(&options, &err);
    assert_non_null(second.httpd);
    assert_in_range(httpd_port(second.httpd), options.port + 1, options.port + 50);
    server_stop(&second);
    server_stop(&first);
}

static void httpd__refuses_a_bad_address(void **state)
{
    (void)state;
    struct server s;
    server_init(&s, reply_hello);
    struct httpd_options options = options_of(&s);
    options.address = "no.such.address";
    struct err err = ERR_INIT;
    assert_null(httpd_start(&options, &err));
    assert_int_equal(err.code, -EINVAL);
    assert_has(err.text, "no.such.address");
    server_release(&s);
}

static void httpd__stop_drops_what_is_open(void **state)
{
    (void)state;
    struct server s;
    server_start(&s, hold);
    int held = dial(httpd_port(s.httpd));
    say(held, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await(&s, &s.handled, 1);
    pthread_mutex_lock(&s.mu);
    s.handle = hang;
    pthread_mutex_unlock(&s.mu);
    int hung = dial(httpd_port(s.httpd));
    say(hung, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await(&s, &s.handled, 2);
    int half = dial(httpd_port(s.httpd));
    say(half, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n123");

    httpd_stop(s.httpd);

    assert_int_equal(s.aborted, 1);
    assert_string_equal(httpd_path(s.held), "/"); /* ours until we have decided */
    httpd_reply(s.held, 200, NULL, "too late", 8);
    char byte;
    assert_true(recv(held, &byte, 1, 0) <= 0);
    assert_true(recv(hung, &byte, 1, 0) <= 0);
    close(held);
    close(hung);
    close(half);
    server_release(&s);
}

static void httpd__stop_gives_all_descriptors_back(void **state)
{
    (void)state;
    int before = dup(0);
    close(before);
    struct server s;
    server_start(&s, trickle);
    int fd = dial(httpd_port(s.httpd));
    say(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    free(hear_until(fd, "\r\n\r\n"));
    server_stop(&s);
    close(fd);
    int after = dup(0);
    close(after);
    assert_int_equal(after, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
