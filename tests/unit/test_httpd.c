#include "httpd_server.h"

/* --- handlers --- */

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

static void read_refs(struct server *s, struct httpd_request *r)
{
    const char *ref = NULL;
    for (size_t i = 0; (ref = httpd_query_nth(r, "ref", i)) != NULL; i++) {
        str_addf(&s->seen, "[%s]", ref);
    }
    assert_null(httpd_query_nth(r, "none", 0));
    httpd_reply(r, 200, NULL, NULL, 0);
}

static void httpd__shows_each_value_of_a_repeated_name(void **state)
{
    (void)state;
    struct server s;
    server_start(&s, read_refs);
    free(ask(httpd_port(s.httpd),
             "GET /?ref=a%2Fb&x=1&ref=&Ref=no&ref&ref=a%2Fb&none1=2 HTTP/1.1\r\n"
             "Host: h\r\n\r\n",
             "\r\n\r\n"));
    assert_string_equal(s.seen.data, "[a/b][][][a/b]");
    server_stop(&s);
}

/* --- bounds --- */

/* As many as fit, with headers as a browser sends them. */
static void httpd__takes_a_url_of_8_kib(void **state)
{
    enum { URL_BYTES = 8192 };
    (void)state;
    struct server s;
    struct str url;
    struct str expected;
    server_start(&s, read_refs);
    str_init(&url);
    str_init(&expected);
    str_add(&url, "/api?a=b");
    for (int i = 0; url.len < URL_BYTES; i++) {
        str_addf(&url, "&ref=v1%%2FService%%2Fns-%d", i);
        str_addf(&expected, "[v1/Service/ns-%d]", i);
    }
    struct str request;
    str_init(&request);
    str_addf(&request, "GET %s HTTP/1.1\r\nHost: h\r\nCookie: ", url.data);
    for (int i = 0; i < 400; i++) {
        str_add(&request, "0123456789");
    }
    str_add(&request, "\r\n\r\n");
    char *answer = ask(httpd_port(s.httpd), request.data, "\r\n\r\n");
    assert_has(answer, "HTTP/1.1 200 ");
    assert_string_equal(s.seen.data, expected.data);
    free(answer);
    str_release(&request);
    str_release(&expected);
    str_release(&url);
    server_stop(&s);
}

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

/* Peers that fill the line and leave in the middle of a head do not keep a place. */
static void httpd__lets_go_of_one_that_left_before_its_turn(void **state)
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
    int left = dial(httpd_port(s.httpd));
    say(left, "GET / HTTP/1.1\r\nHost:");
    close(left);
    int next = dial(httpd_port(s.httpd));
    say(next, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    close(first);
    free(hear_until(next, "hello"));
    close(next);
    server_stop(&s);
}

static int dial_from(int port, const char *address)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in from = {.sin_family = AF_INET};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(inet_pton(AF_INET, address, &from.sin_addr), 1);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static void httpd__one_address_cannot_take_every_place(void **state)
{
    (void)state;
    enum { PER_ADDRESS = 3 };
    struct server s;
    server_init(&s, reply_hello);
    struct httpd_options options = options_of(&s);
    options.per_address_max = PER_ADDRESS;
    s.httpd = httpd_start(&options, NULL);
    int crowd[PER_ADDRESS + 1];
    for (int i = 0; i <= PER_ADDRESS; i++) {
        crowd[i] = dial(httpd_port(s.httpd));
    }
    char byte;
    assert_true(recv(crowd[PER_ADDRESS], &byte, 1, 0) <= 0); /* closed at once */
    int other = dial_from(httpd_port(s.httpd), "127.0.0.2");
    say(other, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    char *answer = hear_until(other, "hello");
    assert_has(answer, "HTTP/1.1 202 ");
    free(answer);
    close(other);
    for (int i = 0; i <= PER_ADDRESS; i++) {
        close(crowd[i]);
    }
    server_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
