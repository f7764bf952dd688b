/* GET /api/v1/apps over a Redis of its own: what is listed to whom. */
#include "config_fixture.h"
#include "httpd_server.h"

#define ask ask_redis /* there are two of this name */
#include "redis_server.h"
#undef ask

#include "../../consumer/console/console_api.h"
#include "ops/key.h"

#define ANN  "ann-has-a-token-of-32-characters"
#define ROOT "root-has-a-token-of-32-character"

static struct redis_server redis;
static struct redis *client;
static struct server console;
static struct config *config;
static struct console_api api;

static void serve(struct server *s, struct httpd_request *r)
{
    (void)s;
    assert_true(console_api_serve(&api, r));
}

static void begin(int parts)
{
    static char *environment[] = {(char *)"A=" ANN, (char *)"R=" ROOT, NULL};
    char text[1024];
    struct err err = ERR_INIT;
    redis_server_start(&redis, false, NULL);
    client = redis_client(redis.url);
    snprintf(
        text, sizeof text,
        "redis: {url: \"%s\"}\n" TARGET "secrets: {a: {env: A}, r: {env: R}}\n"
        "roles: {some: {allow: [\"read apps/payments-*\"]}, all: {allow: [\"* *\"]}}\n"
        "tokens: {ann: {secret: a, roles: [some]}, root: {secret: r, roles: [all]}}\n"
        "access: {parts: %d}\n",
        redis.url, parts);
    config = load_good(text);
    assert_int_equal(config_load_secrets(config, environment, &err), 0);
    const struct guard_options who = {.config = config, .console = true};
    api = (struct console_api){.config = config,
                               .guard = guard_new(&who, &err),
                               .jobs = jobs_start(config, &err)};
    server_start(&console, serve);
}

static void end(void)
{
    server_stop(&console);
    jobs_stop(api.jobs);
    guard_free(api.guard);
    redis_stop(client, now_ms() + PATIENCE_MS);
    redis_server_stop(&redis);
    done(config);
}

/* The application was seen at 1000 + n. */
static void see(const char *app, int n)
{
    char score[16];
    struct str key;
    struct err err = ERR_INIT;
    struct redis_value value;
    str_init(&key);
    ops_key(config, "apps", &key);
    snprintf(score, sizeof score, "%d", 1000 + n);
    struct redis_command command =
        redis_words(now_ms() + PATIENCE_MS, true, "ZADD", key.data, score, app, NULL);
    assert_int_equal(redis_ask(client, &command, 1, &value, &err), 0);
    redis_values_release(&value, 1);
    str_release(&key);
}

static void assert_apps(const char *token, const char *list)
{
    char request[256];
    snprintf(request, sizeof request,
             "GET /api/v1/apps HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n",
             token);
    char *answer = ask(httpd_port(console.httpd), request, "}\n");
    assert_has(answer, "HTTP/1.1 200 ");
    assert_has(answer, list);
    free(answer);
}

static void console_apps__each_sees_their_own_by_name(void **state)
{
    (void)state;
    for (int parts = 1; parts <= 64; parts *= 4) {
        begin(parts);
        see("payments-web", 3);
        see("search", 2);
        see("payments-api", 1);
        see("billing", 4);
        see("payments-Z", 5);
        assert_apps(ANN, "\"apps\":[{\"app\":\"payments-Z\",\"last_ms\":1005},"
                         "{\"app\":\"payments-api\",\"last_ms\":1001},"
                         "{\"app\":\"payments-web\",\"last_ms\":1003}]");
        assert_apps(ROOT, "\"apps\":[{\"app\":\"billing\",\"last_ms\":1004},"
                          "{\"app\":\"payments-Z\",\"last_ms\":1005},"
                          "{\"app\":\"payments-api\",\"last_ms\":1001},"
                          "{\"app\":\"payments-web\",\"last_ms\":1003},"
                          "{\"app\":\"search\",\"last_ms\":1002}]");
        end();
    }
}

static void console_apps__one_that_cannot_be_judged_is_listed_as_that(void **state)
{
    (void)state;
    begin(4);
    see("a\tb", 1);
    see("payments-api", 2);
    see("search", 3);
    assert_apps(ANN, "\"apps\":[{\"app\":\"a\\tb\",\"error\":\"whether you may read it "
                     "could not be judged: Invalid argument\"},"
                     "{\"app\":\"payments-api\",\"last_ms\":1002}]");
    end();
}

static void console_apps__there_may_be_none(void **state)
{
    (void)state;
    begin(4);
    assert_apps(ANN, "\"apps\":[]");
    see("search", 1);
    assert_apps(ANN, "\"apps\":[]");
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
