/* How a workflow's status is put together: from a history in a private Redis, and from a
 * CI system and a target that answer, fail or hang as the test says. */
#include "config_fixture.h"
#include "httpd_server.h"

#define ask ask_redis /* there are two of this name */
#include "redis_server.h"
#undef ask

#include "../../consumer/console/console_api.h"
#include "base/now.h"
#include "wire/json.h"
#include "wire/redis_ask.h"

enum way { ANSWERS, FAILS, HANGS, BABBLES, BREAKS };

static struct stage {
    struct redis_server redis;
    struct server systems; /* the CI system and the target, by path */
    enum way ci;
    enum way cd;
    int breaks; /* so many of the next questions of CD are broken off */
    const char *ci_says;
    struct httpd_request *hung[4]; /* guarded by the server's mu */
    int hung_count;
    struct str left; /* which questions were broken off, in order; guarded by it too */
    struct config *config;
    struct ops_place place;
    struct workflow *workflow;
} t;

static void answer_as(struct httpd_request *r, enum way way, const char *json)
{
    switch (way) {
    case ANSWERS:
        httpd_reply(r, 200, NULL, json, strlen(json));
        break;
    case FAILS:
        httpd_reply(r, 503, NULL, "no", 2);
        break;
    case BABBLES:
        httpd_reply(r, 200, NULL, "<html>", 6);
        break;
    case BREAKS:
        httpd_reset(r);
        break;
    case HANGS:
        t.hung[t.hung_count++] = r; /* is decided at the end of the test */
        break;
    }
}

static void serve(struct server *s, struct httpd_request *r)
{
    bool is_ci = text_starts(httpd_path(r), "/ci/");
    str_addf(&s->seen, "%s %s %s\n", httpd_path(r),
             httpd_query(r, "app") ? httpd_query(r, "app") : "-",
             httpd_header(r, "authorization") ? httpd_header(r, "authorization") : "-");
    answer_as(r,
              is_ci            ? t.ci
              : t.breaks-- > 0 ? BREAKS
                               : t.cd,
              is_ci ? t.ci_says
                    : "{\"status\":{\"operationState\":{\"phase\":\"Running\"},"
                      "\"sync\":{\"status\":\"OutOfSync\"}}}");
}

static void note_left(void *arg, struct httpd_request *r)
{
    struct server *s = arg;
    pthread_mutex_lock(&s->mu);
    str_addf(&t.left, "%s\n", httpd_path(r));
    pthread_mutex_unlock(&s->mu);
    on_aborted(arg, r);
}

static const char text_of_config[] =
    "redis: {url: \"%s\"}\n"
    "targets:\n"
    "  argo: {kind: argocd, url: \"http://127.0.0.1:%d\"}\n"
    "  hook: {url: \"http://127.0.0.1:%d/hook\"}\n"
    "workflow:\n"
    "  timeout: %s\n"
    "  ci:\n"
    "    url: \"http://127.0.0.1:%d/ci/${event.run}?app=${event.app}\"\n"
    "    headers: {authorization: \"Bearer ${secret.ci}\"}\n"
    "    status: /state\n"
    "secrets: {ci: {env: CI_WORD}}\n";

/* timeout  far away where nothing hangs, near where what hangs is waited for. */
static void begin_on(const char *redis_url, const char *timeout)
{
    char word[] = "CI_WORD=hidden";
    char *environment[] = {word, NULL};
    char text[1024];
    struct err err = ERR_INIT;
    str_init(&t.left);
    server_init(&t.systems, serve);
    struct httpd_options options = options_of(&t.systems);
    options.aborted = note_left;
    t.systems.httpd = httpd_start(&options, &err);
    assert_non_null(t.systems.httpd);
    int port = httpd_port(t.systems.httpd);
    snprintf(text, sizeof text, text_of_config, redis_url, port, port, timeout, port);
    t.config = load_good(text);
    assert_int_equal(config_load_secrets(t.config, environment, NULL), 0);
    assert_int_equal(ops_place_open(&t.place, t.config, &err), 0);
    t.workflow = workflow_start(t.config, &err);
    assert_non_null(t.workflow);
    t.ci = t.cd = ANSWERS;
    t.ci_says = "{\"state\":\"success\"}";
    t.hung_count = 0;
    t.breaks = 0;
}

static void begin(const char *timeout)
{
    redis_server_start(&t.redis, false, NULL);
    begin_on(t.redis.url, timeout);
}

static void end(void)
{
    workflow_stop(t.workflow);
    ops_place_close(&t.place);
    pthread_mutex_lock(&t.systems.mu);
    for (int i = 0; i < t.hung_count; i++) {
        httpd_reply(t.hung[i], 200, NULL, "", 0);
    }
    pthread_mutex_unlock(&t.systems.mu);
    server_stop(&t.systems);
    str_release(&t.left);
    redis_server_stop(&t.redis);
    done(t.config);
}

/* --- a history --- */

static void tell_redis(const char *a, const char *b, const char *c, const char *d)
{
    struct redis_value value;
    struct redis_command command =
        redis_words(now_ms() + PATIENCE_MS, true, a, b, c, d, NULL);
    assert_int_equal(redis_ask(t.place.redis, &command, 1, &value, NULL), 0);
    redis_values_release(&value, 1);
}

static void index_event(const char *app, const char *id, const char *seen_ms)
{
    struct str key;
    str_init(&key);
    str_addf(&key, "sluice:ops:{sluice}:apps:%s", app);
    tell_redis("ZADD", key.data, seen_ms, id);
    str_release(&key);
}

static void add_chapter_of(const char *run, const char *id, const char *units)
{
    struct str key;
    struct str text;
    str_init(&key);
    str_init(&text);
    str_addf(&key, "sluice:ops:{sluice}:events:%s", id);
    str_addf(&text,
             "{\"ended_ms\":500,\"consumer\":\"c-1\",\"topic\":\"ci\",\"partition\":1,"
             "\"offset\":7,\"published_ms\":100,\"opened_ms\":200,\"repo\":\"org/x\","
             "\"app\":\"x\",\"commit\":\"abc\",\"run\":\"%s\",\"units\":[%s]}",
             run, units);
    tell_redis("RPUSH", key.data, text.data, NULL);
    str_release(&key);
    str_release(&text);
}

static void add_chapter(const char *id, const char *units)
{
    add_chapter_of("77", id, units);
}

#define TRIGGERED(target, follow) \
    "{\"target\":\"" target \
    "\",\"verdict\":\"triggered\",\"attempts\":1,\"follow\":\"" follow "\"}"
#define ARGO TRIGGERED("argo", "/api/v1/applications/x")

static void have_event(void)
{
    index_event("x", "e1", "1");
    add_chapter("e1", ARGO);
}

/* --- reading --- */

static struct json_object *read_app(const char *app, int expected)
{
    struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
    struct json_object *doc;
    struct err err = ERR_INIT;
    int rc = workflow_read(t.workflow, &t.place, app, ctx, &doc, &err);
    if (rc != expected) {
        print_message("%s\n", err.text);
    }
    assert_int_equal(rc, expected);
    ctx_free(ctx);
    return doc;
}

static void assert_says(struct json_object *doc, const char *pointer, const char *text)
{
    const char *found = json_text_or(doc, pointer, "(nothing)");
    if (!strstr(found, text)) {
        fail_msg("%s is \"%s\", not \"%s\"", pointer, found, text);
    }
}

static void assert_legs(struct json_object *doc, const char *ci, const char *cd)
{
    assert_says(doc, "/ci/status", ci);
    assert_says(doc, "/cd/status", cd);
}

static void workflow__tells_both_sides_of_the_last_event(void **state)
{
    (void)state;
    begin("8s");
    index_event("x", "e0", "0");
    have_event();
    struct json_object *doc = read_app("x", 0);
    assert_says(doc, "/schema", "sluice.workflow/1");
    assert_says(doc, "/event", "e1");
    assert_says(doc, "/earlier/0", "e0");
    assert_says(doc, "/run", "77");
    assert_legs(doc, "ok", "ok");
    assert_int_equal(json_number_or(doc, "/ci/seen/published_ms", 0), 100);
    assert_says(doc, "/ci/live/says", "success");
    assert_says(doc, "/cd/targets/0/target", "argo");
    assert_says(doc, "/cd/targets/0/kind", "argocd");
    assert_says(doc, "/cd/targets/0/verdict", "triggered");
    assert_says(doc, "/cd/targets/0/live/phase", "running");
    assert_says(doc, "/cd/targets/0/live/text", "OutOfSync");
    assert_null(json_at(doc, "/cd/targets/0/follow"));
    assert_has(t.systems.seen.data, "/ci/77 x Bearer hidden\n");
    assert_has(t.systems.seen.data, "/api/v1/applications/x - -\n");
    json_free(doc);
    end();
}

static const struct {
    enum way ci;
    enum way cd;
    const char *ci_status;
    const char *cd_status;
    const char *why;
} ways[] = {
    {ANSWERS, ANSWERS, "ok", "ok", ""},
    {FAILS, ANSWERS, "error", "ok", "HTTP 503"},
    {ANSWERS, FAILS, "ok", "error", "argo: answered with HTTP 503"},
    {FAILS, FAILS, "error", "error", "HTTP 503"},
    {BABBLES, ANSWERS, "error", "ok", "no text at /state"},
    {HANGS, ANSWERS, "timeout", "ok", "no answer in workflow.timeout"},
    {ANSWERS, HANGS, "ok", "timeout", "argo: no answer in workflow.timeout"},
    {HANGS, HANGS, "timeout", "timeout", "no answer"},
    {HANGS, FAILS, "timeout", "error", "no answer"},
    {FAILS, HANGS, "error", "timeout", "HTTP 503"},
};

static void workflow__lets_each_side_end_on_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        bool hangs = ways[i].ci == HANGS || ways[i].cd == HANGS;
        bool ci_bad = strcmp(ways[i].ci_status, "ok") != 0;
        begin(hangs ? "1s" : "8s");
        have_event();
        t.ci = ways[i].ci;
        t.cd = ways[i].cd;
        struct json_object *doc = read_app("x", 0);
        assert_legs(doc, ways[i].ci_status, ways[i].cd_status);
        assert_says(doc, ci_bad ? "/ci/why" : "/cd/why", i == 0 ? "" : ways[i].why);
        /* what the history knows is told in every case */
        assert_says(doc, "/ci/seen/consumer", "c-1");
        assert_says(doc, "/cd/targets/0/verdict", "triggered");
        json_free(doc);
        end();
    }
}

static void workflow__takes_no_answer_for_one_that_lacks_the_status(void **state)
{
    (void)state;
    begin("8s");
    have_event();
    t.ci_says = "{\"state\":{\"a\":1}}";
    struct json_object *doc = read_app("x", 0);
    assert_legs(doc, "error", "ok");
    assert_says(doc, "/ci/why", "the answer has no text at /state");
    json_free(doc);
    end();
}

static void workflow__names_the_secret_it_lacks_and_asks_the_other(void **state)
{
    (void)state;
    begin("8s");
    have_event();
    free(t.config->secrets[0].value);
    t.config->secrets[0].value = NULL;
    struct json_object *doc = read_app("x", 0);
    assert_legs(doc, "error", "ok");
    assert_says(doc, "/ci/why", "workflow.ci.headers.authorization: there is no secret");
    assert_null(strstr(t.systems.seen.data, "/ci/"));
    json_free(doc);
    end();
}

static void workflow__asks_once_more_when_a_connection_breaks(void **state)
{
    (void)state;
    begin("8s");
    have_event();
    t.breaks = 1;
    struct json_object *doc = read_app("x", 0);
    assert_legs(doc, "ok", "ok");
    assert_int_equal(t.systems.handled, 3);
    json_free(doc);
    t.breaks = 2;
    doc = read_app("x", 0);
    assert_legs(doc, "ok", "error");
    assert_says(doc, "/cd/why", "argo: answer: ");
    json_free(doc);
    end();
}

/* --- what the history says --- */

static void workflow__joins_what_became_of_each_target(void **state)
{
    (void)state;
    begin("8s");
    index_event("x", "e1", "1");
    add_chapter("e1", "{\"target\":\"argo\",\"verdict\":\"deferred\",\"attempts\":2,"
                      "\"reason\":\"http_503\"}," TRIGGERED("hook", ""));
    add_chapter("e1", ARGO);
    add_chapter("e1",
                "{\"target\":\"argo\",\"verdict\":\"duplicate\",\"attempts\":1},"
                "{\"target\":\"gone\",\"verdict\":\"dead\",\"reason\":\"http_404\"}");
    struct json_object *doc = read_app("x", 0);
    assert_legs(doc, "ok", "ok");
    assert_int_equal(json_object_array_length(json_at(doc, "/cd/targets")), 3);
    assert_says(doc, "/cd/targets/0/verdict", "triggered");
    assert_null(json_at(doc, "/cd/targets/0/reason"));
    assert_says(doc, "/cd/targets/0/live/phase", "running");
    assert_says(doc, "/cd/targets/1/live/status", "none");
    assert_says(doc, "/cd/targets/1/live/why", "no answer of the target named a run");
    assert_says(doc, "/cd/targets/2/reason", "http_404");
    assert_says(doc, "/cd/targets/2/live/why", "not configured here");
    json_free(doc);
    end();
}

static void workflow__says_that_no_target_matched(void **state)
{
    (void)state;
    begin("8s");
    index_event("x", "e1", "1");
    add_chapter("e1", "{\"target\":\"none\",\"verdict\":\"skipped\"}");
    struct json_object *doc = read_app("x", 0);
    assert_legs(doc, "ok", "none");
    assert_says(doc, "/cd/why", "no target matched");
    json_free(doc);
    end();
}

static void workflow__counts_the_targets_it_leaves_out(void **state)
{
    (void)state;
    enum { TARGETS = WORKFLOW_TARGETS_MAX + 3 };
    struct str units;
    str_init(&units);
    for (int i = 0; i < TARGETS; i++) {
        str_addf(&units, "%s{\"target\":\"t%d\",\"verdict\":\"skipped\"}", i ? "," : "",
                 i);
    }
    begin("8s");
    index_event("x", "e1", "1");
    add_chapter("e1", units.data);
    struct json_object *doc = read_app("x", 0);
    assert_int_equal(json_object_array_length(json_at(doc, "/cd/targets")),
                     WORKFLOW_TARGETS_MAX);
    assert_int_equal(json_number_or(doc, "/cd/more_targets", 0), 3);
    json_free(doc);
    str_release(&units);
    end();
}

static void workflow__knows_no_application_that_was_not_seen(void **state)
{
    (void)state;
    begin("8s");
    assert_null(read_app("nobody", -ENOENT));
    index_event("x", "e1", "1"); /* whose story is gone */
    assert_null(read_app("x", -ENOENT));
    assert_int_equal(t.systems.handled, 0);
    end();
}

static void workflow__goes_back_to_an_event_that_has_a_story(void **state)
{
    (void)state;
    begin("8s");
    have_event();
    index_event("x", "e2", "2");
    struct json_object *doc = read_app("x", 0);
    assert_says(doc, "/event", "e1");
    json_free(doc);
    end();
}

static void workflow__knows_names_with_slashes_and_blanks(void **state)
{
    (void)state;
    begin("8s");
    index_event("team a/x", "e1", "1");
    add_chapter("e1", ARGO);
    struct json_object *doc = read_app("team a/x", 0);
    assert_says(doc, "/app", "team a/x");
    assert_has(t.systems.seen.data, "/ci/77 team a/x ");
    json_free(doc);
    end();
}

static void workflow__says_on_both_sides_that_the_history_cannot_be_read(void **state)
{
    (void)state;
    memset(&t.redis, 0, sizeof t.redis);
    begin_on("unix:///nonexistent/redis.sock", "50ms");
    struct json_object *doc = read_app("x", -ETIMEDOUT);
    assert_legs(doc, "timeout", "timeout");
    assert_says(doc, "/ci/why", "Redis does not answer");
    assert_says(doc, "/cd/why", "Redis does not answer");
    assert_says(doc, "/app", "x");
    json_free(doc);
    end();
}

/* --- readers who leave --- */

struct reader {
    struct ctx *ctx;
    struct json_object *doc;
};

static void *read_in_thread(void *arg)
{
    struct reader *reader = arg;
    struct err err = ERR_INIT;
    int rc = workflow_read(t.workflow, &t.place, "x", reader->ctx, &reader->doc, &err);
    assert_int_equal(rc, 0);
    return NULL;
}

static void workflow__aborts_both_queries_when_its_context_ends(void **state)
{
    (void)state;
    begin("8s");
    have_event();
    t.ci = t.cd = HANGS;
    pthread_t thread;
    struct reader reader = {.ctx = ctx_new(NULL, NOW_FOREVER)};
    assert_int_equal(pthread_create(&thread, NULL, read_in_thread, &reader), 0);
    await(&t.systems, &t.systems.handled, 2);
    assert_int_equal(t.systems.aborted, 0);
    ctx_cancel(reader.ctx);
    await(&t.systems, &t.systems.aborted, 2); /* both see their peer leave */
    pthread_join(thread, NULL);
    assert_legs(reader.doc, "error", "error");
    assert_says(reader.doc, "/ci/why", "broken off");
    json_free(reader.doc);
    ctx_free(reader.ctx);
    end();
}

static struct console_api api;

static void serve_api(struct server *s, struct httpd_request *r)
{
    (void)s;
    assert_true(console_api_serve(&api, r));
}

static void on_left(void *arg, struct httpd_request *r)
{
    jobs_abort(api.jobs, r);
    on_aborted(arg, r);
}

static void begin_console(struct server *console)
{
    struct err err = ERR_INIT;
    struct jobs *jobs = jobs_start(t.config, &err);
    assert_non_null(jobs);
    const struct guard_options guard = {.config = t.config, .console = true};
    api = (struct console_api){.config = t.config,
                               .guard = guard_new(&guard, &err),
                               .jobs = jobs,
                               .workflow = t.workflow};
    assert_non_null(api.guard);
    server_init(console, serve_api);
    struct httpd_options options = options_of(console);
    options.aborted = on_left;
    console->httpd = httpd_start(&options, NULL);
    assert_non_null(console->httpd);
}

static void end_console(struct server *console)
{
    server_stop(console);
    jobs_stop(api.jobs);
    guard_free(api.guard);
}

#define GET(path) "GET /api/v1/" path " HTTP/1.1\r\nHost: a\r\n\r\n"

static void workflow__is_served_by_name_and_says_what_is_not_there(void **state)
{
    (void)state;
    struct server console;
    begin("8s");
    index_event("team a/x", "e1", "1");
    add_chapter("e1", ARGO);
    begin_console(&console);
    int port = httpd_port(console.httpd);
    char *answer = ask(port, GET("apps/team%20a%2Fx/workflow"), "}\n");
    assert_has(answer, "HTTP/1.1 200 ");
    assert_has(answer, "\"app\":\"team a/x\"");
    assert_has(answer, "\"phase\":\"running\"");
    free(answer);
    answer = ask(port, GET("apps/nobody/workflow"), "}\n");
    assert_has(answer, "HTTP/1.1 404 ");
    assert_has(answer, "nothing is known of application nobody");
    assert_has(answer, "\"next\":");
    free(answer);
    end_console(&console);
    end();
}

/* Who asked before and stays would be the first whose patience ends. */
static void workflow__aborts_both_queries_when_the_reader_leaves(void **state)
{
    (void)state;
    struct server console;
    begin("8s");
    have_event();
    index_event("y", "e2", "1");
    add_chapter_of("78", "e2", TRIGGERED("argo", "/api/v1/applications/y"));
    t.ci = t.cd = HANGS;
    begin_console(&console);
    int stayer = dial(httpd_port(console.httpd));
    say(stayer, GET("apps/x/workflow"));
    await(&t.systems, &t.systems.handled, 2);
    int leaver = dial(httpd_port(console.httpd));
    say(leaver, GET("apps/y/workflow"));
    await(&t.systems, &t.systems.handled, 4);
    close(leaver);
    await(&t.systems, &t.systems.aborted, 2);
    pthread_mutex_lock(&t.systems.mu);
    assert_has(t.left.data, "/ci/78\n");
    assert_has(t.left.data, "/api/v1/applications/y\n");
    pthread_mutex_unlock(&t.systems.mu);
    close(stayer);
    end_console(&console);
    end();
}

static const struct CMUnitTest tests[] = {
#include UNIT_TESTS
};

int main(void)
{
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
