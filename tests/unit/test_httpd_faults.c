#include "httpd_server.h"

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

/* As it is written before a port. */
static void httpd__takes_an_address_in_brackets(void **state)
{
    (void)state;
    struct server s;
    struct err err = ERR_INIT;
    server_init(&s, reply_hello);
    struct httpd_options options = options_of(&s);
    options.address = "[127.0.0.1"; /* one alone is none */
    assert_null(httpd_start(&options, &err));
    options.address = "[::1]";
    err = (struct err)ERR_INIT;
    s.httpd = httpd_start(&options, &err);
    if (s.httpd == NULL) { /* a machine without IPv6 has the address, but not to use */
        assert_has(err.text, "cannot listen on [::1]:0: ");
        server_release(&s);
        skip();
    }
    server_stop(&s);
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

/* Clients of all sorts, some of them impatient, while the server stops. */
static void *hammer(void *arg)
{
    int port = *(int *)arg;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (int i = 0;; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        struct timeval patience = {.tv_usec = 1 + 1000 * (i % 4)};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (connect(fd, (struct sockaddr *)&at, sizeof at) != 0) {
            close(fd);
            return NULL;
        }
        char answer[512];
        if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0) {
            (void)!recv(fd, answer, sizeof answer, 0);
        }
        close(fd);
    }
}

/* Every way to decide in turn; held ones are decided by the next call, on another thread.
 */
static void mixed(struct server *s, struct httpd_request *r)
{
    struct httpd_request *held = s->held;
    s->held = NULL;
    if (held) {
        httpd_reply(held, 200, NULL, "late", 4);
    }
    switch (s->handled % 5) {
    case 0:
        httpd_reply(r, 200, NULL, "now", 3);
        break;
    case 1:
        httpd_hang(r);
        break;
    case 2:
        httpd_reset(r);
        break;
    case 3:
        httpd_trickle(r, 200, 1);
        break;
    default:
        s->held = r;
    }
}

static void httpd__stops_under_load(void **state)
{
    (void)state;
    enum { CLIENTS = 4, REQUESTS = 400 };
    struct server s;
    server_init(&s, mixed);
    struct httpd_options options = options_of(&s);
    options.threads = 2;
    s.httpd = httpd_start(&options, NULL);
    int port = httpd_port(s.httpd);
    pthread_t clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        pthread_create(&clients[i], NULL, hammer, &port);
    }
    await(&s, &s.handled, REQUESTS);
    httpd_stop(s.httpd);
    if (s.held) {
        httpd_reply(s.held, 200, NULL, "too late", 8);
    }
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i], NULL);
    }
    server_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
