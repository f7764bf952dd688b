#include "httpd_server.h"

#include "../../consumer/console/stream.h"
#include "base/now.h"

/* A fleet whose Redis is not there: the stream itself stands all the same. */
static struct stream *stream;
static struct metrics *metrics;

static void serve(struct server *s, struct httpd_request *r)
{
    (void)s;
    if (!stream_serve(stream, r)) {
        httpd_reply(r, 404, NULL, NULL, 0);
    }
}

static struct config *config(void)
{
    static char *none[] = {NULL};
    static const struct config_override overrides[] = {
        {"redis.url", "unix:///nonexistent/redis.sock", "test"},
        {"targets.t.url", "http://127.0.0.1:1/", "test"},
    };
    struct config_report report;
    struct config *loaded = config_load("/dev/null", overrides, 2, none, &report);
    config_report_release(&report);
    assert_non_null(loaded);
    return loaded;
}

static struct config *begin(struct server *s)
{
    struct config *loaded = config();
    metrics = metrics_new();
    const struct stream_options options = {.config = loaded,
                                           .metrics = metrics,
                                           .clients_max = 2,
                                           .ring_bytes_max = 100000};
    stream = stream_start(&options);
    server_start(s, serve);
    return loaded;
}

static void end(struct server *s, struct config *loaded)
{
    stream_goodbye(stream, now_ms());
    server_stop(s);
    stream_stop(stream);
    metrics_free(metrics);
    config_free(loaded);
}

static int listen_at(struct server *s, const char *path)
{
    char request[512];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
    int fd = dial(httpd_port(s->httpd));
    say(fd, request);
    return fd;
}

static void assert_answers(struct server *s, const char *request, const char *status,
                           const char *text)
{
    char *answer = ask(httpd_port(s->httpd), request, "}\n");
    assert_has(answer, status);
    assert_has(answer, text);
    assert_has(answer, "nosniff");
    free(answer);
}

static void assert_metric(const char *line)
{
    struct str text;
    str_init(&text);
    stream_collect(stream);
    metrics_write(metrics, &text);
    assert_has(text.data, line);
    str_release(&text);
}

static void stream__refuses_what_it_cannot_serve(void **state)
{
    (void)state;
    struct server s;
    struct config *loaded = begin(&s);
    assert_answers(&s, "GET /api/v1/stream?ns=acme HTTP/1.1\r\nHost: a\r\n\r\n",
                   "HTTP/1.1 400 ", "/acme/api");
    assert_answers(&s,
                   "POST /api/v1/stream HTTP/1.1\r\nHost: a\r\n"
                   "Content-Length: 0\r\n\r\n",
                   "HTTP/1.1 405 ", "only GET");
    assert_answers(&s,
                   "GET /api/v1/fleet HTTP/1.1\r\nHost: a\r\n"
                   "Sec-Fetch-Site: cross-site\r\n\r\n",
                   "HTTP/1.1 403 ", "another site");
    char *answer = ask(httpd_port(s.httpd),
                       "GET /api/v1/other HTTP/1.1\r\nHost: a\r\n\r\n", "\r\n\r\n");
    assert_has(answer, "HTTP/1.1 404 ");
    free(answer);
    end(&s, loaded);
}

static void stream__says_how_soon_to_come_back(void **state)
{
    (void)state;
    struct server s;
    struct config *loaded = begin(&s);
    int fd = listen_at(&s, "/api/v1/stream");
    char *answer = hear_until(fd, "retry: 2000\n\n");
    assert_has(answer, "text/event-stream");
    assert_has(answer, "no-store");
    assert_has(answer, "retry: 2000\n\n");
    free(answer);
    assert_metric("sluice_stream_clients 1\n");
    close(fd);
    end(&s, loaded);
}

static void stream__tells_of_a_gap_after_an_id_it_does_not_know(void **state)
{
    (void)state;
    struct server s;
    struct config *loaded = begin(&s);
    int fd = listen_at(&s, "/api/v1/stream?last=other-17");
    char *answer = hear_until(fd, "event: gap\n");
    assert_has(answer, "event: gap\n");
    free(answer);
    close(fd);
    end(&s, loaded);
}

static void stream__takes_so_many_clients_and_frees_their_places(void **state)
{
    (void)state;
    struct server s;
    struct config *loaded = begin(&s);
    int fds[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = listen_at(&s, "/api/v1/stream?ns=/acme");
        free(hear_until(fds[i], "retry"));
    }
    assert_answers(&s, "GET /api/v1/stream HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 503 ",
                   "as many clients");
    close(fds[0]);
    char *answer = NULL;
    while (!answer || !strstr(answer, "retry")) { /* until it was seen to leave */
        free(answer);
        fds[0] = dial(httpd_port(s.httpd));
        say(fds[0], "GET /api/v1/stream HTTP/1.1\r\nHost: a\r\n"
                    "Connection: close\r\n\r\n");
        answer = hear_until(fds[0], "retry: 2000\n\n");
        if (!strstr(answer, "retry")) {
            close(fds[0]);
        }
    }
    free(answer);
    close(fds[0]);
    close(fds[1]);
    end(&s, loaded);
}

static void stream__says_goodbye(void **state)
{
    (void)state;
    struct server s;
    struct config *loaded = begin(&s);
    int fd = listen_at(&s, "/api/v1/stream");
    free(hear_until(fd, "retry: 2000\n\n\r\n"));
    stream_goodbye(stream, NOW_FOREVER);
    char *answer = hear_until(fd, "\r\n0\r\n\r\n");
    assert_has(answer, "event: goodbye\ndata: {");
    assert_has(answer, "\r\n0\r\n\r\n"); /* an orderly end */
    free(answer);
    close(fd);
    end(&s, loaded);
}

static void stream__gives_a_frame_without_redis_too(void **state)
{
    (void)state;
    struct server s;
    struct config *loaded = begin(&s);
    char *answer = ask(httpd_port(s.httpd),
                       "GET /api/v1/fleet HTTP/1.1\r\nHost: a\r\n\r\n", "\"redis\":{");
    assert_has(answer, "HTTP/1.1 200 ");
    assert_has(answer, "sluice.fleet/1");
    free(answer);
    end(&s, loaded);
}

/* --- with a guard --- */

#define TOKEN "a-token-of-32-characters-exactly"

/* With a token that may read the stream, or no role at all. */
static void let(struct guard *guard, bool lets)
{
    static struct rule rule = {RULE_READ, (char *)"stream"};
    static struct config_role role = {(char *)"r", &rule, 1};
    static int roles[] = {0};
    static struct config_secret secret = {.name = (char *)"s", .value = (char *)TOKEN};
    struct config_token token = {(char *)"t", (char *)"s", roles, lets ? 1 : 0};
    const struct config made = {.secrets = &secret,
                                .secret_count = 1,
                                .access = {.parts = 1,
                                           .roles = &role,
                                           .role_count = 1,
                                           .tokens = &token,
                                           .token_count = 1}};
    assert_int_equal(guard_set(guard, &made, NULL), 0);
}

static void stream__ends_for_who_may_listen_no_longer(void **state)
{
    (void)state;
    struct server s;
    struct config *loaded = config();
    const struct guard_options who = {.config = loaded};
    struct guard *guard = guard_new(&who, NULL);
    const struct stream_options options = {.config = loaded,
                                           .clients_max = 2,
                                           .ring_bytes_max = 100000,
                                           .guard = guard};
    let(guard, true);
    stream = stream_start(&options);
    server_start(&s, serve);
    assert_answers(&s, "GET /api/v1/stream HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 401 ",
                   "token");
    int fd = dial(httpd_port(s.httpd));
    say(fd, "GET /api/v1/stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            "Authorization: Bearer " TOKEN "\r\n\r\n");
    char *begun = hear_until(fd, "event: fleet\n");
    assert_has(begun, "event: fleet\n");
    free(begun);
    let(guard, true); /* the same again: it goes on */
    stream_look_again(stream);
    begun = hear_until(fd, "event: fleet\n");
    assert_has(begun, "event: fleet\n");
    free(begun);
    let(guard, false);
    stream_look_again(stream);
    free(hear_until(fd, "never said")); /* to the end */
    close(fd);
    stream_goodbye(stream, now_ms());
    server_stop(&s);
    stream_stop(stream);
    guard_free(guard);
    config_free(loaded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
