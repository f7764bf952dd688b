#include "httpd_server.h"

#include "../../consumer/console/guard.h"
#include "../../consumer/console/reply.h"

#define OPERATOR "0123456789abcdef0123456789abcdef"
#define ANN      "ann-has-a-token-of-32-characters"
#define BOB      "bob-has-a-token-of-32-characters"

static struct guard *guard;

/* GET /<resource> reads it, POST /<resource> pauses it. */
static void serve(struct server *s, struct httpd_request *r)
{
    (void)s;
    struct guard_who who;
    bool post = strcmp(httpd_method(r), "POST") == 0;
    const char *resource = httpd_path(r) + 1;
    if (guard_serve_session(guard, r)) {
        return;
    }
    if (post ? guard_lets_act_on(guard, r, RULE_PAUSE, resource, &who)
             : guard_lets_read(guard, r, resource, &who)) {
        struct json_object *doc = json_object_new_object();
        json_put_text(doc, "who", who.name);
        json_put_text(doc, "is", who.is == GUARD_OPERATOR ? "operator" : "other");
        reply_json(r, 200, doc);
    }
}

/* --- configurations by hand --- */

static struct rule rules[] = {{RULE_READ, (char *)"fleet"},
                              {RULE_PAUSE, (char *)"targets/x"},
                              {RULE_READ, (char *)"stream"}};
static struct config_role roles[] = {{(char *)"some", rules, 2},
                                     {(char *)"stream", rules + 2, 1}};
static int role_some[] = {0};
static int role_stream[] = {1};
static struct config_secret secrets[] = {{.name = (char *)"a", .value = (char *)ANN},
                                         {.name = (char *)"b", .value = (char *)BOB}};
static struct config_token tokens[] = {{(char *)"ann", (char *)"a", role_some, 1},
                                       {(char *)"bob", (char *)"b", role_stream, 1}};

/* With the first n of the tokens. */
static struct config config_of(size_t n)
{
    return (struct config){.console = {.read_only = true},
                           .secrets = secrets,
                           .secret_count = 2,
                           .access = {.parts = 4,
                                      .roles = roles,
                                      .role_count = 2,
                                      .tokens = tokens,
                                      .token_count = n}};
}

/* text: of console.token_file, which makes it act; NULL: no file at all. */
static struct guard *guard_of(size_t n, const char *text, bool read_only, struct err *err)
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
    struct config config = config_of(n);
    config.console.token_file = path;
    config.console.read_only = read_only;
    const struct guard_options options = {.config = &config, .console = true};
    struct guard *made = guard_new(&options, err);
    unlink(path);
    return made;
}

static void begin(struct server *s, size_t n, const char *text)
{
    guard = guard_of(n, text, !text, NULL);
    assert_non_null(guard);
    server_start(s, serve);
}

static void end(struct server *s)
{
    server_stop(s);
    guard_free(guard);
}

/* --- asking --- */

/* what  "GET /fleet". Returns the answer. */
static char *ask_for(struct server *s, const char *what, const char *headers)
{
    char request[2048];
    snprintf(request, sizeof request,
             "%s HTTP/1.1\r\nHost: console:8080\r\nContent-Length: 0\r\n%s\r\n", what,
             headers);
    char *answer = ask(httpd_port(s->httpd), request, "}\n");
    assert_null(strstr(answer, OPERATOR));
    assert_null(strstr(answer, ANN));
    assert_null(strstr(answer, BOB));
    return answer;
}

static void assert_answer(struct server *s, const char *what, const char *headers,
                          const char *status, const char *text)
{
    char *answer = ask_for(s, what, headers);
    if (strncmp(answer, status, strlen(status)) != 0 || !strstr(answer, text)) {
        fail_msg("%s with \"%s\": expected %s \"%s\" in:\n%s", what, headers, status,
                 text, answer);
    }
    free(answer);
}

#define BEARER(token) "Authorization: Bearer " token "\r\n"
#define MEANT         "X-Sluice-Action: 1\r\n"
#define OK            "HTTP/1.1 200 "
#define NO            "HTTP/1.1 401 "
#define DENIED        "HTTP/1.1 403 "

/* --- acts without tokens: the text of console.token_file --- */

static void guard__refuses_a_wrong_token(void **state)
{
    (void)state;
    struct server s;
    begin(&s, 0, OPERATOR "\n");
    assert_answer(&s, "POST /x", MEANT, NO, "token is missing or wrong");
    assert_answer(&s, "POST /x", MEANT "Authorization: Bearer \r\n", NO, "token");
    assert_answer(&s, "POST /x", MEANT BEARER("0123456789abcdef"), NO, "token_file");
    assert_answer(&s, "POST /x", MEANT BEARER(OPERATOR "0"), NO, "token");
    assert_answer(&s, "POST /x", MEANT "Authorization: Basic " OPERATOR "\r\n", NO,
                  "token");
    assert_answer(&s, "POST /x", MEANT BEARER(OPERATOR), OK, "operator");
    end(&s);
}

static void guard__refuses_other_sites(void **state)
{
    (void)state;
    struct server s;
    static const char *const others[] = {"Origin: http://evil.example\r\n",
                                         "Origin: http://console:8081\r\n",
                                         "Origin: null\r\n",
                                         "Sec-Fetch-Site: cross-site\r\n",
                                         "Sec-Fetch-Site: same-site\r\n"};
    begin(&s, 0, OPERATOR);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char headers[256];
        snprintf(headers, sizeof headers, MEANT BEARER(OPERATOR) "%s", others[i]);
        assert_answer(&s, "POST /x", headers, DENIED, "another site");
        assert_answer(&s, "POST /api/v1/session", headers, DENIED, "another site");
    }
    assert_answer(&s, "POST /x", BEARER(OPERATOR), DENIED, "X-Sluice-Action");
    assert_answer(&s, "POST /x",
                  MEANT BEARER(OPERATOR) "Origin: http://console:8080\r\n"
                                         "Sec-Fetch-Site: same-origin\r\n",
                  OK, "operator");
    end(&s);
}

static void guard__lets_nobody_act_when_read_only(void **state)
{
    (void)state;
    struct server s;
    guard = guard_of(2, OPERATOR, true, NULL);
    assert_false(guard_lets_act(guard));
    server_start(&s, serve);
    assert_answer(&s, "POST /targets/x", MEANT BEARER(OPERATOR), DENIED, "read-only");
    assert_answer(&s, "POST /targets/x", MEANT BEARER(ANN), DENIED, "read-only");
    end(&s);
}

static void guard__wants_a_token_worth_the_name(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_null(guard_of(0, "short\n", false, &err));
    assert_has(err.text, "16 to 512 characters");
    assert_null(guard_of(0, "", false, &err));
    assert_null(guard_of(0, NULL, false, &err));
    assert_has(err.text, "No such file");
    assert_null(guard_of(1, ANN "\n", false, &err));
    assert_has(err.text, "tokens.ann");
    struct config config = config_of(0);
    config.console.read_only = false;
    const struct guard_options options = {.config = &config, .console = true};
    assert_null(guard_new(&options, &err));
    assert_has(err.text, "console.token_file");
}

static void guard__without_tokens_whoever_comes_may_read(void **state)
{
    (void)state;
    struct server s;
    begin(&s, 0, NULL);
    assert_false(guard_wants_tokens(guard));
    assert_answer(&s, "GET /fleet", "", OK, "other");
    assert_answer(&s, "GET /fleet", BEARER("whatever that is"), OK, "other");
    end(&s);
}

/* --- tokens --- */

static void guard__with_tokens_reading_wants_one_that_may(void **state)
{
    (void)state;
    struct server s;
    begin(&s, 2, NULL);
    assert_true(guard_wants_tokens(guard));
    assert_answer(&s, "GET /fleet", "", NO, "token is missing or wrong");
    assert_answer(&s, "GET /fleet", "", NO, "www-authenticate: Bearer");
    assert_answer(&s, "GET /fleet", BEARER(ANN), OK, "\"who\":\"ann\"");
    assert_answer(&s, "GET /fleet", BEARER(BOB), DENIED, "bob may not read fleet");
    assert_answer(&s, "GET /fleet", BEARER(BOB), DENIED, "roles.*.allow");
    assert_answer(&s, "GET /stream", BEARER(BOB), OK, "\"who\":\"bob\"");
    assert_answer(&s, "GET /fleet%0a", BEARER(ANN), "HTTP/1.1 400 ",
                  "could not be judged");
    end(&s);
}

static void guard__acting_wants_a_token_that_may(void **state)
{
    (void)state;
    struct server s;
    begin(&s, 2, OPERATOR);
    assert_answer(&s, "POST /targets/x", MEANT BEARER(ANN), OK, "\"who\":\"ann\"");
    assert_answer(&s, "POST /targets/y", MEANT BEARER(ANN), DENIED,
                  "ann may not pause targets/y");
    assert_answer(&s, "POST /targets/x", MEANT BEARER(BOB), DENIED, "bob may not");
    assert_answer(&s, "POST /targets/x", MEANT, NO, "configuration's tokens");
    assert_answer(&s, "POST /targets/y", MEANT BEARER(OPERATOR), OK, "operator");
    assert_answer(&s, "GET /config", BEARER(OPERATOR), OK, "operator");
    end(&s);
}

static const struct {
    const char *headers;
    const char *status;
} headers[] = {
    {"authorization: bearer " ANN "\r\n", OK},
    {"AUTHORIZATION: BEARER " ANN "\r\n", OK},
    {"Authorization: Bearer    " ANN "\r\n", OK},
    {"Authorization: Bearer " ANN "   \r\n", OK}, /* optional space ends a value */
    {"Authorization:\r\n", NO},
    {"Authorization: Bearer\r\n", NO},
    {"Authorization: Bearer" ANN "\r\n", NO},
    {"Authorization: Bearer\t" ANN "\r\n", NO},
    {"Authorization: " ANN "\r\n", NO},
    {"Authorization: Bearer " ANN " x\r\n", NO},
    {"Authorization: Bearer " ANN ", Bearer " BOB "\r\n", NO},
    {"Authorization: Bearer ann-has-a-token\r\n", NO},
    {"Authorization: Bearer " ANN "%00\r\n", NO},
    {"Authorization: Bearer \"" ANN "\"\r\n", NO},
    {"Authorization: Basic " ANN "\r\n", NO},
    {"Proxy-Authorization: Bearer " ANN "\r\n", NO},
    {"X-Authorization: Bearer " ANN "\r\n", NO},
    {BEARER(ANN) BEARER(ANN), NO},
    {BEARER(ANN) BEARER(BOB), NO},
    {BEARER(BOB) BEARER(ANN), NO},
    {"Authorization: \r\n" BEARER(ANN), NO},
    {"Cookie: sluice_session_8080=" ANN "\r\n", NO},
};

static void guard__reads_one_header_and_that_strictly(void **state)
{
    (void)state;
    struct server s;
    begin(&s, 2, NULL);
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        assert_answer(&s, "GET /fleet", headers[i].headers, headers[i].status, "");
    }
    assert_answer(&s, "GET /fleet?access_token=" ANN, "", NO, "token");
    end(&s);
}

/* --- sessions --- */

/* "sluice_session_8080=<id>" of an answer's Set-Cookie. */
static void read_cookie(const char *answer, char cookie[128])
{
    const char *at = strcasestr(answer, "set-cookie: ");
    assert_non_null(at);
    at += strlen("set-cookie: ");
    snprintf(cookie, 128, "%.*s", (int)strcspn(at, ";"), at);
}

static void sign_in(struct server *s, const char *token, char cookie[128])
{
    char *answer = ask_for(s, "POST /api/v1/session", token);
    assert_has(answer, OK);
    assert_has(answer, "HttpOnly");
    assert_has(answer, "SameSite=Strict");
    assert_has(answer, "Path=/api/v1/;");
    assert_null(strstr(answer, "Secure"));
    read_cookie(answer, cookie);
    assert_has(cookie, "sluice_session_8080=");
    assert_true(strlen(cookie) == strlen("sluice_session_8080=") + 64);
    free(answer);
}

static void assert_with_cookie(struct server *s, const char *what, const char *cookie,
                               const char *more, const char *status, const char *text)
{
    char all[512];
    snprintf(all, sizeof all, "Cookie: a=b; %s; c=d\r\n%s", cookie, more);
    assert_answer(s, what, all, status, text);
}

static void guard__a_session_reads_and_does_not_act(void **state)
{
    (void)state;
    struct server s;
    char cookie[128];
    begin(&s, 2, OPERATOR);
    assert_answer(&s, "POST /api/v1/session", "", NO, "token");
    assert_answer(&s, "POST /api/v1/session", BEARER("wrong-wrong-wrong-wrong"), NO,
                  "token");
    sign_in(&s, BEARER(ANN), cookie);
    assert_with_cookie(&s, "GET /fleet", cookie, "", OK, "\"who\":\"ann\"");
    assert_with_cookie(&s, "GET /stream", cookie, "", DENIED, "ann may not");
    assert_with_cookie(&s, "GET /fleet", cookie, BEARER("wrong-wrong-wrong-wrong"), NO,
                       "token"); /* what is said aloud counts */
    assert_with_cookie(&s, "GET /fleet", cookie, BEARER(BOB), DENIED, "bob may not");
    assert_with_cookie(&s, "GET /fleet", cookie, "Authorization: Basic x\r\n", OK, "ann");
    assert_with_cookie(&s, "POST /targets/x", cookie, MEANT, NO, "token");
    sign_in(&s, BEARER(OPERATOR), cookie);
    assert_with_cookie(&s, "GET /stream", cookie, "", OK, "operator");
    end(&s);
}

static void guard__a_session_is_for_this_site_alone(void **state)
{
    (void)state;
    struct server s;
    char cookie[128];
    begin(&s, 2, NULL);
    sign_in(&s, BEARER(ANN), cookie);
    assert_with_cookie(&s, "GET /fleet", cookie, "Sec-Fetch-Site: cross-site\r\n", NO,
                       "");
    assert_with_cookie(&s, "GET /fleet", cookie, "Sec-Fetch-Site: same-site\r\n", NO, "");
    assert_with_cookie(&s, "GET /fleet", cookie, "Origin: http://console:8081\r\n", NO,
                       "");
    assert_with_cookie(&s, "GET /fleet", cookie, "Sec-Fetch-Site: none\r\n", OK, "ann");
    assert_with_cookie(&s, "GET /fleet", cookie, "Sec-Fetch-Site: same-origin\r\n", OK,
                       "ann");
    cookie[strlen(cookie) - 1] ^= 1;
    assert_with_cookie(&s, "GET /fleet", cookie, "", NO, "");
    assert_with_cookie(&s, "GET /fleet", "sluice_session_8080=", "", NO, "");
    end(&s);
}

static void guard__signing_out_ends_it(void **state)
{
    (void)state;
    struct server s;
    char cookie[128];
    char other[128];
    begin(&s, 2, NULL);
    sign_in(&s, BEARER(ANN), cookie);
    sign_in(&s, BEARER(ANN), other);
    assert_with_cookie(&s, "DELETE /api/v1/session", cookie,
                       "Sec-Fetch-Site: same-site\r\n", DENIED, "another site");
    assert_with_cookie(&s, "GET /fleet", cookie, "", OK, "ann");
    assert_with_cookie(&s, "DELETE /api/v1/session", cookie, "", OK, "Max-Age=0");
    assert_with_cookie(&s, "GET /fleet", cookie, "", NO, "");
    assert_with_cookie(&s, "GET /fleet", other, "", OK, "ann");
    assert_answer(&s, "DELETE /api/v1/session", "", OK, "Max-Age=0"); /* as good as out */
    assert_answer(&s, "GET /api/v1/session", BEARER(ANN), "HTTP/1.1 405 ", "DELETE");
    assert_answer(&s, "PUT /api/v1/session", BEARER(ANN), "HTTP/1.1 405 ",
                  "allow: POST, DELETE");
    end(&s);
}

static void guard__a_cookie_is_secure_behind_tls(void **state)
{
    (void)state;
    struct server s;
    begin(&s, 2, NULL);
    assert_answer(&s, "POST /api/v1/session", BEARER(ANN) "X-Forwarded-Proto: https\r\n",
                  OK, "SameSite=Strict; Secure");
    end(&s);
}

/* --- another configuration --- */

static struct guard_who last;

static void serve_and_keep(struct server *s, struct httpd_request *r)
{
    (void)s;
    if (guard_serve_session(guard, r) || !guard_lets_read(guard, r, "fleet", &last)) {
        return;
    }
    reply_json(r, 200, json_object_new_object());
}

static void set(size_t n)
{
    const struct config config = config_of(n);
    assert_int_equal(guard_set(guard, &config, NULL), 0);
}

static void guard__a_token_that_is_gone_takes_everything_along(void **state)
{
    (void)state;
    struct server s;
    char cookie[128];
    guard = guard_of(1, NULL, true, NULL);
    server_start(&s, serve_and_keep);
    sign_in(&s, BEARER(ANN), cookie);
    assert_with_cookie(&s, "GET /", cookie, "", OK, "");
    struct guard_who by_session = last;
    assert_answer(&s, "GET /", BEARER(ANN), OK, "");
    struct guard_who by_token = last;
    assert_true(guard_still(guard, &by_session, RULE_READ, "fleet"));
    assert_true(guard_still(guard, &by_token, RULE_READ, "fleet"));
    assert_false(guard_still(guard, &by_token, RULE_READ, "stream"));
    set(1); /* the same again */
    assert_true(guard_still(guard, &by_session, RULE_READ, "fleet"));
    secrets[0].value = (char *)"another-text-for-the-same-token";
    set(1);
    secrets[0].value = (char *)ANN;
    assert_false(guard_still(guard, &by_session, RULE_READ, "fleet"));
    assert_false(guard_still(guard, &by_token, RULE_READ, "fleet"));
    assert_with_cookie(&s, "GET /", cookie, "", NO, "");
    end(&s);
}

static void guard__signing_out_ends_what_listens(void **state)
{
    (void)state;
    struct server s;
    char cookie[128];
    guard = guard_of(1, NULL, true, NULL);
    server_start(&s, serve_and_keep);
    sign_in(&s, BEARER(ANN), cookie);
    assert_with_cookie(&s, "GET /", cookie, "", OK, "");
    assert_true(guard_still(guard, &last, RULE_READ, "fleet"));
    assert_with_cookie(&s, "DELETE /api/v1/session", cookie, "", OK, "");
    assert_false(guard_still(guard, &last, RULE_READ, "fleet"));
    end(&s);
}

static void guard__a_role_that_is_less_ends_what_it_let_in(void **state)
{
    (void)state;
    struct server s;
    guard = guard_of(1, NULL, true, NULL);
    server_start(&s, serve_and_keep);
    assert_answer(&s, "GET /", BEARER(ANN), OK, "");
    rules[0].glob = (char *)"doctor";
    set(1);
    rules[0].glob = (char *)"fleet";
    assert_false(guard_still(guard, &last, RULE_READ, "fleet"));
    end(&s);
}

static void guard__who_came_without_a_token_leaves_when_one_is_wanted(void **state)
{
    (void)state;
    struct server s;
    guard = guard_of(0, NULL, true, NULL);
    server_start(&s, serve_and_keep);
    assert_answer(&s, "GET /", "", OK, "");
    assert_true(guard_still(guard, &last, RULE_READ, "fleet"));
    set(1);
    assert_false(guard_still(guard, &last, RULE_READ, "fleet"));
    assert_answer(&s, "GET /", "", NO, "");
    end(&s);
}

static void guard__what_will_not_do_changes_nothing(void **state)
{
    (void)state;
    struct server s;
    struct err err = ERR_INIT;
    struct config config = config_of(2);
    begin(&s, 1, OPERATOR);
    config.console.token_file = (char *)"/nonexistent/token";
    assert_int_not_equal(guard_set(guard, &config, &err), 0);
    assert_has(err.text, "/nonexistent/token");
    assert_answer(&s, "GET /stream", BEARER(BOB), NO, "");
    assert_answer(&s, "GET /stream", BEARER(OPERATOR), OK, "");
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
