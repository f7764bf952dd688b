#include "httpd_server.h"

#include "../../consumer/console/page.h"

static void serve(struct server *s, struct httpd_request *r)
{
    (void)s;
    if (!page_serve(r)) {
        httpd_reply(r, 404, NULL, NULL, 0);
    }
}

static char *get(struct server *s, const char *path, const char *more, const char *until)
{
    char request[512];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n", path, more);
    return ask(httpd_port(s->httpd), request, until);
}

static void page__is_served_with_a_strict_policy(void **state)
{
    (void)state;
    struct server s;
    server_start(&s, serve);
    char *answer = get(&s, "/", "", "</html>");
    assert_has(answer, "HTTP/1.1 200 ");
    assert_has(answer, "default-src 'none'; script-src 'self'");
    assert_has(answer, "frame-ancestors 'none'");
    assert_has(answer, "nosniff");
    assert_has(answer, "no-referrer");
    assert_has(answer, "</html>");
    assert_null(strstr(answer, "<script>")); /* the policy would refuse it */
    assert_null(strstr(answer, "style=\""));
    assert_null(strstr(answer, "content-encoding"));
    free(answer);
    server_stop(&s);
}

static void page__is_sent_once(void **state)
{
    (void)state;
    struct server s;
    server_start(&s, serve);
    char *first = get(&s, "/app.js", "Accept-Encoding: br, gzip\r\n", "\r\n\r\n");
    assert_has(first, "content-encoding: gzip");
    const char *tag = strstr(first, "etag: ");
    assert_non_null(tag);
    char known[128];
    snprintf(known, sizeof known, "Accept-Encoding: gzip\r\nIf-None-Match: %.34s\r\n",
             tag + 6);
    char *second = get(&s, "/app.js", known, "\r\n\r\n");
    assert_has(second, "HTTP/1.1 304 ");
    free(second);
    char *plain = get(&s, "/app.js", strchr(known, '\n') + 1, "\r\n\r\n");
    assert_has(plain, "HTTP/1.1 200 "); /* another form, another tag */
    free(plain);
    free(first);
    server_stop(&s);
}

static void page__has_no_other_files(void **state)
{
    (void)state;
    static const char *const paths[] = {"/../etc/passwd",
                                        "/%2e%2e/etc/passwd",
                                        "/app.js/",
                                        "/app.js%00",
                                        "//",
                                        "/page/app.js"};
    struct server s;
    server_start(&s, serve);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        char *answer = get(&s, paths[i], "", "\r\n\r\n");
        assert_has(answer, "HTTP/1.1 404 ");
        free(answer);
    }
    char *answer = ask(httpd_port(s.httpd),
                       "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "}\n");
    assert_has(answer, "HTTP/1.1 405 ");
    free(answer);
    server_stop(&s);
}

/* What a browser loads is read over slow lines, by whoever is woken at night. */
static void page__stays_small(void **state)
{
    (void)state;
    enum { PAGE_BYTES_MAX = 60 * 1024 };
    static const char *const paths[] = {"/", "/app.css", "/app.js"};
    struct server s;
    server_start(&s, serve);
    long sum = 0;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        char *answer = get(&s, paths[i], "", "\r\n\r\n");
        const char *length = strstr(answer, "Content-Length: ");
        assert_non_null(length);
        sum += strtol(length + strlen("Content-Length: "), NULL, 10);
        free(answer);
    }
    assert_in_range(sum, 1, PAGE_BYTES_MAX);
    server_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
