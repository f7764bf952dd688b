#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "decoded.h"
#include "event/trigger.h"
#include "target/target.h"

static const char value[] =
    "{\"id\":\"e 1\",\"source\":\"gh\",\"app\":\"pay\",\"branch\":\"main\",\"commit\":"
    "\"c0ffee\",\"image\":\"r/pay:1\",\"repo\":\"acme/pay\"}";
/* name of target "t" and that event: "sluice-" and the first half of a hash */
static char name[TRIGGER_NAME_MAX];

static const char *secret(void *arg, const char *word)
{
    (void)arg;
    if (strcmp(word, "login") == 0) {
        return "bot:t0ken";
    }
    if (strcmp(word, "whsec") == 0) {
        return "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    }
    return strcmp(word, "none") == 0 ? NULL : "S3";
}

static bool known(void *arg, const char *word)
{
    return secret(arg, word) != NULL;
}

struct wanted {
    const char *kind;
    const char *url;
    const char *body; /* JSON; NULL: left out */
    const char *token;
    const char *sign_secret;
    const char
        *request; /* all of it but traceparent; NAME stands for the trigger's name */
};

static struct target *make(const struct wanted *w, struct err *err)
{
    struct json_object *body = NULL;
    if (w->body != NULL) {
        assert_int_equal(json_parse(w->body, strlen(w->body), &body, NULL), 0);
    }
    struct target_options options = {.name = "t",
                                     .kind = w->kind,
                                     .url = w->url,
                                     .body = body,
                                     .token_secret = w->token,
                                     .sign = kind_find(w->kind)->sign,
                                     .sign_secret = w->sign_secret};
    struct target *t = target_new(&options, known, NULL, err);
    json_free(body);
    return t;
}

static char *text_of(const struct target_request *request)
{
    struct str out;
    str_init(&out);
    str_addf(&out, "%s %s\n", request->method, request->url);
    for (size_t i = 0; i < request->header_count; i++) {
        if (strcmp(request->headers[i].name, "traceparent") != 0) {
            str_addf(&out, "%s: %s\n", request->headers[i].name,
                     request->headers[i].value);
        }
    }
    str_addf(&out, "\n%s", request->body != NULL ? request->body : "(none)");
    return str_take(&out);
}

/* NAME in a wanted text becomes the trigger's name. */
static char *with_name(const char *text)
{
    struct str out;
    str_init(&out);
    for (const char *at = strstr(text, "NAME"); at != NULL; at = strstr(text, "NAME")) {
        str_put(&out, text, (size_t)(at - text));
        str_add(&out, name);
        text = at + strlen("NAME");
    }
    str_add(&out, text);
    return str_take(&out);
}

static void expect_request(const struct wanted *w)
{
    struct err err = ERR_INIT;
    struct target *t = make(w, &err);
    if (t == NULL) {
        fail_msg("%s: %s", w->kind, err.text);
    }
    struct decoded d = decode_text(value);
    struct target_request request;
    trigger_name(&d.ev, "t", name);
    int rc = target_request_make(t, &d.ev, 1700000000, secret, NULL, &request, &err);
    if (rc != 0) {
        fail_msg("%s: %s", w->kind, err.text);
    }
    char *have = text_of(&request);
    char *want = with_name(w->request);
    assert_string_equal(have, want);
    free(have);
    free(want);
    target_request_release(&request);
    drop(&d);
    target_free(t);
}

#define SENT_AS(type) \
    "content-type: " type "\nidempotency-key: t/e%201\nuser-agent: " AGENT
#define AGENT   "sluice/" SLUICE_VERSION "\n"
#define AS_JSON SENT_AS("application/json")
#define AS_FORM SENT_AS("application/x-www-form-urlencoded")

static const struct wanted requests[] = {
    {"argocd", "https://cd", NULL, "s", NULL,
     "POST https://cd/api/v1/applications/pay/sync\nauthorization: Bearer "
     "S3\n" AS_JSON
     "\n{\"revision\":\"c0ffee\",\"infos\":[{\"name\":\"sluice-key\",\"value\":\"t/"
     "e%201\"}]}"},
    {"argo-workflows", "https://cd/api/v1/workflows/ns/submit",
     "{\"resourceKind\":\"WorkflowTemplate\",\"resourceName\":\"d\","
     "\"submitOptions\":{"
     "\"parameters\":[\"a=${event.app}\"]}}",
     "s", NULL,
     "POST https://cd/api/v1/workflows/ns/submit\nauthorization: Bearer S3\n" AS_JSON
     "\n{\"resourceKind\":\"WorkflowTemplate\",\"resourceName\":\"d\","
     "\"submitOptions\":{"
     "\"parameters\":[\"a=pay\"],\"name\":\"NAME\"}}"},
    {"argo-events", "https://cd:12000/ci", "{\"app\":\"${event.app}\"}", "s", NULL,
     "POST https://cd:12000/ci\nauthorization: Bearer S3\n" AS_JSON
     "\n{\"app\":\"pay\"}"},
    {"github-dispatch", "https://api.github.com/repos/o/r/dispatches", NULL, "s", NULL,
     "POST https://api.github.com/repos/o/r/dispatches\naccept: "
     "application/vnd.github+json\nx-github-api-version: 2022-11-28\nauthorization: "
     "Bearer S3\n" AS_JSON "\n{\"event_type\":\"ci-succeeded\",\"client_payload\":{"
     "\"app\":\"pay\",\"commit\":"
     "\"c0ffee\",\"sluice_key\":\"t/e%201\"}}"},
    {"github-workflow",
     "https://api.github.com/repos/o/r/actions/workflows/d.yml/dispatches", NULL, "s",
     NULL,
     "POST "
     "https://api.github.com/repos/o/r/actions/workflows/d.yml/dispatches\naccept: "
     "application/vnd.github+json\nx-github-api-version: 2022-11-28\nauthorization: "
     "Bearer S3\n" AS_JSON "\n{\"ref\":\"main\",\"return_run_details\":true}"},
    {"gitlab", "https://cd/api/v4/projects/42/trigger/pipeline",
     "{\"ref\":\"${event.branch}\",\"variables\":{\"APP\":\"a ${event.app}&\"}}", "s",
     NULL,
     "POST https://cd/api/v4/projects/42/trigger/pipeline\n" AS_FORM
     "\nref=main&variables%5BAPP%5D=a%20pay%26&variables%5BSLUICE_KEY%5D=t%2Fe%25201&"
     "token=S3"},
    {"jenkins", "https://cd/job/a/buildWithParameters",
     "{\"APP\":\"${event.app}\",\"N\":7,\"B\":true}", "login", NULL,
     "POST https://cd/job/a/buildWithParameters\nauthorization: Basic "
     "Ym90OnQwa2Vu\n" AS_FORM "\nAPP=pay&N=7&B=true&SLUICE_KEY=t%2Fe%25201"},
    {"jenkins", "https://cd/job/a/buildWithParameters", NULL, NULL, NULL,
     "POST https://cd/job/a/buildWithParameters\n" AS_FORM "\nSLUICE_KEY=t%2Fe%25201"},
    {"jenkins-gwt", "https://cd/", "{\"app\":\"${event.app}\"}", "s", NULL,
     "POST https://cd/generic-webhook-trigger/invoke\ntoken: S3\n" AS_JSON
     "\n{\"app\":\"pay\"}"},
    {"spinnaker", "https://cd/webhooks/webhook/ci", "{\"parameters\":{}}", NULL, NULL,
     "POST https://cd/webhooks/webhook/ci\n" AS_JSON
     "\n{\"parameters\":{},\"sluice_key\":\"t/e%201\"}"},
    {"tekton", "https://cd/", "{\"app\":\"${event.app}\"}", NULL, NULL,
     "POST https://cd/\n" AS_JSON "\n{\"app\":\"pay\"}"},
    {"flux", "https://cd/hook/${secret.hook}", "{}", NULL, "s",
     "POST https://cd/hook/S3\n" AS_JSON "x-signature: "
     "sha256=db07a490aac6248a3b55b217f3ecdab653e51de035840f9028d6918070762d4f\n\n{}"},
    {"harness",
     "https://cd/gateway/x/"
     "v3?accountIdentifier=a&orgIdentifier=b&projectIdentifier=c",
     "{}", "s", NULL,
     "POST "
     "https://cd/gateway/x/"
     "v3?accountIdentifier=a&orgIdentifier=b&projectIdentifier=c\nx-"
     "api-key: S3\n" AS_JSON "\n{}"},
    {"devtron", "https://cd/orchestrator/webhook/ext-ci/1", NULL, "s", NULL,
     "POST https://cd/orchestrator/webhook/ext-ci/1\napi-token: S3\n" AS_JSON
     "\n{\"dockerImage\":\"r/pay:1\"}"},
    {"http", "https://cd", "{\"k\":\"${trigger.key}\"}", "s", NULL,
     "POST https://cd\nauthorization: Bearer S3\n" AS_JSON "\n{\"k\":\"t/e%201\"}"},
};

static void kind__makes_the_requests_each_system_wants(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        expect_request(&requests[i]);
    }
}

static const char *header(const struct target_request *request, const char *word)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (strcmp(request->headers[i].name, word) == 0) {
            return request->headers[i].value;
        }
    }
    return NULL;
}

static void kind__signs_and_masks(void **state)
{
    (void)state;
    static const struct {
        struct wanted w;
        const char *header;
        const char *front; /* of the signature */
        const char *masked;
    } cases[] = {
        {{"flux", "https://cd/hook/x", NULL, NULL, "s", NULL},
         "x-signature",
         "sha256=",
         "sha256=••••••"},
        {{"standard-webhooks", "https://cd/x", NULL, NULL, "whsec", NULL},
         "webhook-signature",
         "v1,",
         "v1,••••••"},
        {{"jenkins", "https://cd/job/x", NULL, "login", NULL, NULL},
         "authorization",
         "Basic Ym9",
         "Basic ••••••"},
        {{"gitlab", "https://cd/projects/1/x", "{\"ref\":\"r\"}", "s", NULL, NULL},
         NULL,
         NULL,
         NULL},
    };
    for (size_t i = 0; i < 4; i++) {
        struct target *t = make(&cases[i].w, NULL);
        struct decoded d = decode_text(value);
        struct target_request shown;
        struct target_request sent;
        assert_int_equal(target_request_make(t, &d.ev, 1, secret, NULL, &sent, NULL), 0);
        assert_int_equal(target_request_make(t, &d.ev, 1, NULL, NULL, &shown, NULL), 0);
        if (cases[i].header != NULL) {
            assert_string_equal(header(&shown, cases[i].header), cases[i].masked);
            assert_int_equal(strncmp(header(&sent, cases[i].header), cases[i].front,
                                     strlen(cases[i].front)),
                             0);
        } else {
            assert_non_null(strstr(sent.body, "token=S3"));
            assert_null(strstr(shown.body, "S3"));
        }
        target_request_release(&sent);
        target_request_release(&shown);
        drop(&d);
        target_free(t);
    }
}

/* A second task is another trigger, and the same one never is. */
static void kind__names_a_trigger_by_target_and_event(void **state)
{
    (void)state;
    char names[3][TRIGGER_NAME_MAX];
    struct decoded d = decode_text(value);
    trigger_name(&d.ev, "t", names[0]);
    trigger_name(&d.ev, "t", names[1]);
    assert_string_equal(names[0], names[1]);
    assert_int_equal(strlen(names[0]), strlen("sluice-") + 32);
    trigger_name(&d.ev, "u", names[1]);
    assert_string_not_equal(names[0], names[1]);
    event_send_again(&d.ev, "task-1");
    trigger_name(&d.ev, "t", names[2]);
    assert_string_not_equal(names[0], names[2]);
    struct str key;
    str_init(&key);
    trigger_add_key(&d.ev, "t", &key);
    assert_string_equal(key.data, "t/e%201/task-1");
    str_release(&key);
    drop(&d);
}

static void kind__leaves_what_configuration_says(void **state)
{
    (void)state;
    static const struct wanted cases[] = {
        {"argocd", "https://cd/other/sync?project=p",
         "{\"infos\":[{\"name\":\"mine\",\"value\":\"${trigger.key}\"}]}", NULL, NULL,
         "POST https://cd/other/sync?project=p\n" AS_JSON
         "\n{\"infos\":[{\"name\":\"mine\",\"value\":\"t/e%201\"}]}"},
        {"argocd", "https://cd/a/sync", "{\"infos\":[{\"name\":\"a\",\"value\":\"b\"}]}",
         NULL, NULL,
         "POST https://cd/a/sync\n" AS_JSON "\n{\"infos\":[{\"name\":\"a\",\"value\":"
         "\"b\"},{\"name\":\"sluice-key\",\"value\":"
         "\"t/e%201\"}]}"},
        {"argo-workflows", "https://cd/w/submit",
         "{\"resourceKind\":\"k\",\"resourceName\":\"n\",\"submitOptions\":{"
         "\"generateName\":"
         "\"x-\"}}",
         NULL, NULL,
         "POST https://cd/w/submit\n" AS_JSON
         "\n{\"resourceKind\":\"k\",\"resourceName\":\"n\",\"submitOptions\":{"
         "\"generateName\":\"x-\"}}"},
        {"argo-workflows", "https://cd/w/submit",
         "{\"resourceKind\":\"k\",\"resourceName\":\"n\",\"submitOptions\":{"
         "\"name\":\"x-${event.commit}\",\"labels\":\"k=${trigger.name}\"}}",
         NULL, NULL,
         "POST https://cd/w/submit\n" AS_JSON
         "\n{\"resourceKind\":\"k\",\"resourceName\":\"n\",\"submitOptions\":{"
         "\"name\":\"x-c0ffee\",\"labels\":\"k=NAME\"}}"},
        {"github-dispatch", "https://cd/repos/o/r/dispatches",
         "{\"event_type\":\"e\",\"client_payload\":{\"a\":0,\"b\":0,\"c\":0,\"d\":0,"
         "\"e\":0,\"f\":0,\"g\":0,\"h\":0,\"i\":0,\"j\":0}}",
         NULL, NULL,
         "POST https://cd/repos/o/r/dispatches\naccept: application/vnd.github+json\n"
         "x-github-api-version: 2022-11-28\n" AS_JSON
         "\n{\"event_type\":\"e\",\"client_payload\":{\"a\":0,\"b\":0,\"c\":0,\"d\":0,"
         "\"e\":0,\"f\":0,\"g\":0,\"h\":0,\"i\":0,\"j\":0}}"},
        {"gitlab", "https://cd/projects/1/trigger/pipeline",
         "{\"ref\":\"r\",\"inputs\":{\"key\":\"${trigger.key}\"}}", NULL, NULL,
         "POST https://cd/projects/1/trigger/pipeline\n" AS_FORM
         "\nref=r&inputs%5Bkey%5D=t%2Fe%25201"},
        {"argocd", "https://cd?x=1", NULL, NULL, NULL,
         "POST https://cd/api/v1/applications/pay/sync?x=1\n" AS_JSON
         "\n{\"revision\":\"c0ffee\",\"infos\":[{\"name\":\"sluice-key\",\"value\":\"t/"
         "e%201\"}]}"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_request(&cases[i]);
    }
    static const struct http_header own[] = {{"Accept", "mine"}};
    struct target_options options = {.name = "t",
                                     .kind = "github-dispatch",
                                     .url = "https://cd/repos/o/r/dispatches",
                                     .headers = own,
                                     .header_count = 1};
    struct target *t = target_new(&options, NULL, NULL, NULL);
    struct decoded d = decode_text(value);
    struct target_request request;
    assert_int_equal(target_request_make(t, &d.ev, 1, secret, NULL, &request, NULL), 0);
    assert_string_equal(header(&request, "Accept"), "mine");
    assert_null(header(&request, "accept"));
    target_request_release(&request);
    drop(&d);
    target_free(t);
}

static void kind__names_what_is_missing(void **state)
{
    (void)state;
    static const struct {
        struct wanted w;
        const char *says;
    } cases[] = {
        {{"jenkins", "https://cd", NULL, NULL, NULL, NULL},
         "targets.t.url: a target of kind jenkins needs a path"},
        {{"jenkins", "https://cd/", NULL, NULL, NULL, NULL}, "init --target jenkins`"},
        {{"argo-workflows", "https://cd/x", NULL, NULL, NULL, NULL},
         "targets.t.body: a target of kind argo-workflows needs /resourceKind"},
        {{"argo-workflows", "https://cd/x", "{\"resourceKind\":\"k\"}", NULL, NULL, NULL},
         "needs /resourceName"},
        {{"harness", "https://cd/x?accountIdentifier=a", NULL, NULL, NULL, NULL},
         "targets.t.url: a target of kind harness needs ?orgIdentifier=..."},
        {{"gitlab", "https://cd/projects/1", "{\"a\":1}", NULL, NULL, NULL},
         "needs /ref"},
        {{"gitlab", "https://cd/projects/1", "{\"ref\":\"r\",\"token\":\"x\"}", "s", NULL,
          NULL},
         "targets.t.token: goes to /token of the body"},
        {{"gitlab", "https://cd/projects/1", "[1]", NULL, NULL, NULL}, "needs /ref"},
        {{"jenkins", "https://cd/x", "[1]", NULL, NULL, NULL}, "a form is made of names"},
        {{"argocd", "https://cd/x", "{\"infos\":{}}", NULL, NULL, NULL},
         "targets.t.body: the idempotency key goes to /infos/-"},
        {{"http", "https://cd/x", NULL, "none", NULL, NULL},
         "targets.t.token: there is no secret 'none'"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = ERR_INIT;
        struct target *t = make(&cases[i].w, &err);
        if (t != NULL || strstr(err.text, cases[i].says) == NULL) {
            fail_msg("'%s' does not say '%s'", err.text, cases[i].says);
        }
    }
    static const struct http_header own[] = {{"Authorization", "mine"}};
    struct err err = ERR_INIT;
    struct target_options options = {.name = "t",
                                     .url = "https://cd/x",
                                     .headers = own,
                                     .header_count = 1,
                                     .token_secret = "s"};
    assert_null(target_new(&options, NULL, NULL, &err));
    assert_non_null(strstr(err.text, "sets the header authorization, and so do headers"));
}

/* Nothing that a file in kinds/ says may break what is made of it. */
static void kind__each_is_whole(void **state)
{
    (void)state;
    size_t n = 0;
    for (const struct kind *k = kind_at(0); k != NULL; k = kind_at(n)) {
        n++;
        assert_ptr_equal(kind_find(k->name), k);
        assert_non_null(k->title);
        assert_non_null(k->source);
        assert_non_null(k->sample);
        assert_true((k->follow == NULL) == (k->phase == NULL));
        assert_true(k->rate_per_s > 0 || strcmp(k->name, "http") == 0);
        assert_true(k->path == NULL || k->url_like == NULL);
    }
    assert_true(n >= 15);
    assert_null(kind_find("Argocd"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
