#include "httpd_server.h"

#include "../../consumer/guard.h"

static const char token[] = "0123456789abcdef0123456789abcdef";
static struct guard *guard;

static void serve(struct server *s, struct httpd_request *r)
{
    (void)s;
    if (guard_admits(guard, r)) {
        httpd_reply(r, 200, NULL, "{}\n", 3);
    }
}

/* A guard over a token file of this text; NULL: no file at all. */
static struct guard *guard_of(const char *text, bool read_only, struct err *err)
{
    char path[] = "/tmp/test_guard.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    if (text) {
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    } else {
        unlink(path);
    }
    close(fd);
    struct config config = {.console = {.token_file = path, .read_only = read_only}};
    struct guard *made = guard_new(&config, err);
    unlink(path);
    return made;
}

static void assert_admits(struct server *s, const char *headers, const char *status,
                          const char *text)
{
    char request[1024];
    snprintf(request, sizeof request,
             "POST /x HTTP/1.1\r\nHost: console:8080\r\nContent-Length: 0\r\n%s\r\n",
             headers);
    char *answer = ask(httpd_port(s->httpd), request, "}\n");
    assert_has(answer, status);
    assert_has(answer, text);
    assert_null(strstr(answer, token));
    free(answer);
}

#define RIGHT "Authorization: Bearer 0123456789abcdef0123456789abcdef\r\n"
#define MEANT "X-Sluice-Action: 1\r\n"

static void guard__refuses_a_wrong_token(void **state)
{
    (void)state;
    struct server s;
    guard = guard_of("0123456789abcdef0123456789abcdef\n", false, NULL);
    server_start(&s, serve);
    assert_admits(&s, MEANT, "HTTP/1.1 401 ", "token is missing or wrong");
    assert_admits(&s, MEANT "Authorization: Bearer \r\n", "HTTP/1.1 401 ", "token");
    assert_admits(&s, MEANT "Authorization: Bearer 0123456789abcdef\r\n", "HTTP/1.1 401 ",
                  "token");
    assert_admits(&s, MEANT "Authorization: Basic 0123456789abcdef0123456789abcdef\r\n",
                  "HTTP/1.1 401 ", "token");
    assert_admits(&s, MEANT RIGHT, "HTTP/1.1 200 ", "{}");
    server_stop(&s);
    guard_free(guard);
}

static void guard__refuses_other_sites(void **state)
{
    (void)state;
    struct server s;
    guard = guard_of(token, false, NULL);
    server_start(&s, serve);
    assert_admits(&s, MEANT RIGHT "Origin: http://evil.example\r\n", "HTTP/1.1 403 ",
                  "another site");
    assert_admits(&s, MEANT RIGHT "Origin: http://console:8081\r\n", "HTTP/1.1 403 ",
                  "another site");
    assert_admits(&s, MEANT RIGHT "Origin: null\r\n", "HTTP/1.1 403 ", "another site");
    assert_admits(&s, MEANT RIGHT "Sec-Fetch-Site: cross-site\r\n", "HTTP/1.1 403 ",
                  "another site");
    assert_admits(&s, MEANT RIGHT "Sec-Fetch-Site: same-site\r\n", "HTTP/1.1 403 ",
                  "another site");
    assert_admits(&s, RIGHT, "HTTP/1.1 403 ", "X-Sluice-Action");
    assert_admits(&s,
                  MEANT RIGHT "Origin: http://console:8080\r\n"
                              "Sec-Fetch-Site: same-origin\r\n",
                  "HTTP/1.1 200 ", "{}");
    server_stop(&s);
    guard_free(guard);
}

static void guard__lets_nobody_act_when_read_only(void **state)
{
    (void)state;
    struct server s;
    guard = guard_of(token, true, NULL);
    assert_false(guard_lets_act(guard));
    server_start(&s, serve);
    assert_admits(&s, MEANT RIGHT, "HTTP/1.1 403 ", "read-only");
    server_stop(&s);
    guard_free(guard);
}

static void guard__wants_a_token_worth_the_name(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_null(guard_of("short\n", false, &err));
    assert_has(err.text, "16 to 512 characters");
    assert_null(guard_of("", false, &err));
    assert_null(guard_of(NULL, false, &err));
    assert_has(err.text, "No such file");
    struct config config = {.console = {.read_only = false}};
    assert_null(guard_new(&config, &err));
    assert_has(err.text, "console.token_file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
