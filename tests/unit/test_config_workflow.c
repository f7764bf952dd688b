/* workflow.*: how the status of a workflow is asked for. */
#include "config_fixture.h"

#define CI TARGET "secrets: {s: {file: f}}\nworkflow:\n  ci:\n" /* 6 lines */

static const struct bad_config bad[] = {
    {CI "    url: ftp://h/x\n", "7:10", "SL-C36", "a URL begins with"},
    {CI "    url: http://${event.app}/x\n", "7:10", "SL-C36", "the host may not come"},
    {CI "    url: http://h/${event.digest}\n", "7:10", "SL-C36",
     "event id, app, repo, commit"},
    {CI "    url: http://h/${event:/a/b}\n", "7:10", "SL-C36", "nothing at /a/b"},
    {CI "    url: http://h/${secret.no}\n", "7:10", "SL-C36", "there is no secret 'no'"},
    {CI "    url: http://h/\n    headers: {a: b, x: \"${event.env}\"}\n", "8:24",
     "SL-C36", "no field 'env'"},
    {CI "    url: http://h/\n    headers: {host: b}\n", "8:21", "SL-C36",
     "belongs to the transport"},
    {CI "    url: http://h/\n    status: status\n", "8:13", "SL-C36", "no JSON pointer"},
    {CI "    status: /a\n", "7:13", "SL-C36", "there is no workflow.ci.url"},
    {CI "    headers: {a: b}\n", "7:18", "SL-C36", "there is no workflow.ci.url"},
};

static void config_workflow__bad_queries_are_refused_at_their_place(void **state)
{
    (void)state;
    expect_refused(bad, sizeof bad / sizeof bad[0]);
}

static void config_workflow__asks_nobody_by_itself(void **state)
{
    (void)state;
    struct config *config = load(TARGET);
    assert_non_null(config);
    assert_null(config->workflow.ci);
    assert_null(config->workflow.ci_status);
    assert_int_equal(config->workflow.timeout_ms, 5000);
    done(config);
}

static const char *value_of(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "run") == 0 ? "a/7" : strcmp(name, "app") == 0 ? "shop" : NULL;
}

static const char *secret_of(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "s") == 0 ? "hidden" : NULL;
}

static void config_workflow__makes_the_query_of_an_event_that_is_no_more(void **state)
{
    (void)state;
    struct config *config =
        load(CI "    url: http://h/runs/${event.run}?a=${event.app}\n"
                "    headers: {authorization: \"Bearer ${secret.s}\"}\n"
                "    status: /run/state\n  timeout: 2s\n");
    struct event event;
    struct target_request request;
    struct err err = ERR_INIT;
    assert_non_null(config);
    config_workflow_event(&event, value_of, NULL);
    assert_int_equal(target_request_make(config->workflow.ci, &event, 0, secret_of, NULL,
                                         &request, &err),
                     0);
    assert_string_equal(request.method, "GET");
    assert_string_equal(request.url, "http://h/runs/a%2F7?a=shop");
    assert_int_equal(request.body_len, 0);
    bool told = false;
    for (size_t i = 0; i < request.header_count; i++) {
        told = told || strcmp(request.headers[i].value, "Bearer hidden") == 0;
    }
    assert_true(told);
    target_request_release(&request);
    event_release(&event);
    assert_string_equal(config->workflow.ci_status, "/run/state");
    assert_int_equal(config->workflow.timeout_ms, 2000);
    done(config);
}

/* An event that lacks what the query wants is told in the words of the configuration. */
static void config_workflow__says_what_an_event_lacks(void **state)
{
    (void)state;
    struct config *config = load(CI "    url: http://h/${event.branch}\n");
    struct event event;
    struct target_request request;
    struct err err = ERR_INIT;
    char sentence[ERR_TEXT_MAX];
    assert_non_null(config);
    config_workflow_event(&event, value_of, NULL);
    assert_int_equal(target_request_make(config->workflow.ci, &event, 0, secret_of, NULL,
                                         &request, &err),
                     -ENOENT);
    assert_string_equal(config_workflow_sentence(err.text, sentence),
                        "workflow.ci.url: the event has no field 'branch'");
    target_request_release(&request);
    event_release(&event);
    done(config);
}

static void config_workflow__shows_no_credential_and_is_in_no_hash(void **state)
{
    (void)state;
    char without[CONFIG_HASH_LEN];
    char with[CONFIG_HASH_LEN];
    struct str text;
    str_init(&text);
    struct config *config = load(TARGET "secrets: {s: {file: f}}\n");
    config_hash(config, without);
    done(config);
    config = load(CI "    url: http://h/x\n"
                     "    headers: {authorization: \"Bearer word\"}\n");
    assert_non_null(config);
    config_hash(config, with);
    config_show(config, false, false, &text);
    assert_string_equal(with, without);
    assert_null(strstr(text.data, "word"));
    done(config);
    str_release(&text);
}

/* One secret that cannot be read keeps no other from being read. */
static void config_workflow__reads_the_secrets_that_are_there(void **state)
{
    (void)state;
    char good[] = "GOOD=word";
    char *environment[] = {good, NULL};
    struct err err = ERR_INIT;
    struct config *config = load(TARGET "secrets:\n  a: {file: /nonexistent/a}\n"
                                        "  b: {env: GOOD}\n  c: {env: NONE}\n");
    assert_non_null(config);
    assert_int_equal(config_load_secrets(config, environment, &err), -ENOENT);
    assert_non_null(strstr(err.text, "secret a"));
    assert_null(config_secret_get(config, "a"));
    assert_string_equal(config_secret_get(config, "b"), "word");
    done(config);
}

static const struct CMUnitTest tests[] = {
#include UNIT_TESTS
};

int main(void)
{
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
