#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "answered.h"
#include "base/mem.h"
#include "target/target.h"

#define CAP_MS (30 * 60 * 1000)

static const char *secret(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "none") == 0 ? NULL : "a:b";
}

static struct target *target_of(const char *kind, const char *url, const char *token)
{
    struct err err = ERR_INIT;
    struct json_object *body = NULL;
    static const char tree[] =
        "{\"ref\":\"r\",\"event_type\":\"e\",\"resourceKind\":\"k\","
        "\"resourceName\":\"n\"}";
    static const struct http_header headers[] = {{"x-of-event", "${event.app}"},
                                                 {"x-mine", "v"},
                                                 {"content-type", "application/x"},
                                                 {"idempotency-key", "mine"}};
    assert_int_equal(json_parse(tree, sizeof(tree) - 1, &body, NULL), 0);
    struct target_options options = {.name = "t",
                                     .kind = kind,
                                     .url = url,
                                     .headers = headers,
                                     .header_count = 4,
                                     .token_secret = token,
                                     .body = body};
    struct target *t = target_new(&options, NULL, NULL, &err);
    if (t == NULL) {
        fail_msg("%s: %s", kind, err.text);
    }
    json_free(body);
    return t;
}

/* Any kind can be made with this. */
static const char any_url[] =
    "https://cd/x?accountIdentifier=a&orgIdentifier=b&projectIdentifier=c";

/* ---- follow ---- */

static const struct {
    const char *kind;
    const char *url;
    const char *headers;
    const char *body;
    const char *path; /* NULL: none */
} follows[] = {
    {"argocd", "https://cd/argo/api/v1/applications/pay/sync?x=1", NULL,
     "{\"metadata\":{\"namespace\":\"argo cd\"}}",
     "/argo/api/v1/applications/pay?appNamespace=argo%20cd"},
    {"argocd", "https://cd/api/v1/applications/pay/sync", NULL, "cut {",
     "/api/v1/applications/pay"},
    {"argocd", "https://cd/api/v1/x", NULL, "{}", NULL},
    {"argo-workflows", "https://cd/api/v1/workflows/ns/submit", NULL,
     "{\"metadata\":{\"name\":\"sluice-1\"}}",
     "/api/v1/workflows/ns/"
     "sluice-1?fields=status.phase,status.message,status.progress"},
    {"argo-workflows", "https://cd/api/v1/workflows/ns/submit", NULL, "{}", NULL},
    {"github-workflow", "https://cd/repos/o/r/actions/workflows/d.yml/dispatches", NULL,
     "{\"workflow_run_id\":9007199254740993}",
     "/repos/o/r/actions/runs/9007199254740993"},
    {"github-workflow", "https://cd/repos/o/r/actions/workflows/d.yml/dispatches", NULL,
     "", NULL},
    {"github-dispatch", "https://cd/repos/o/r/dispatches", NULL, "", NULL},
    {"gitlab", "https://cd/api/v4/projects/a%2Fb/trigger/pipeline", NULL,
     "{\"id\":7,\"project_id\":42}", "/api/v4/projects/42/pipelines/7"},
    {"gitlab", "https://cd/api/v4/projects/a%2Fb/trigger/pipeline", NULL,
     "{\"id\":\"7/../..\",\"project_id\":42}", NULL},
    {"jenkins", "https://cd/job/a/build", "Location: https://cd/queue/item/12/\r\n", "",
     "/queue/item/12/api/json"},
    {"jenkins", "https://cd/job/a/build", "Location: /j/queue/item/12/\r\n", "",
     "/j/queue/item/12/api/json"},
    {"jenkins", "https://cd/job/a/build", "Location: https://evil/queue/item/1/\r\n", "",
     NULL},
    {"jenkins", "https://cd/job/a/build", "Location: https://ab/queue/item/1/\r\n", "",
     NULL},
    {"jenkins", "https://cd/job/a/build", "Location: https://cd.evil/queue/item/1/\r\n",
     "", NULL},
    {"jenkins", "https://cd/job/a/build", "Location: //evil/queue/item/1/\r\n", "", NULL},
    {"jenkins", "https://cd/job/a/build", "Location: https://cd/login\r\n", "", NULL},
    {"jenkins", "https://cd/job/a/build", NULL, "", NULL},
    {"jenkins-gwt", "https://cd/j/generic-webhook-trigger/invoke", NULL,
     "{\"jobs\":{\"a\":{\"triggered\":false,\"url\":\"queue/item/1/\"},\"b\":{"
     "\"triggered\":true,\"url\":\"queue/item/12/\"}}}",
     "/j/queue/item/12/api/json"},
    {"jenkins-gwt", "https://cd/generic-webhook-trigger/invoke", NULL,
     "{\"jobs\":{\"b\":{\"triggered\":true,\"url\":\"x\"}}}", NULL},
    {"harness",
     "https://cd/gateway/pipeline/api/webhook/custom/TOKEN/"
     "v3?accountIdentifier=a%20b&"
     "orgIdentifier=b&projectIdentifier=c",
     NULL, "{\"data\":{\"eventCorrelationId\":\"6?4\"}}",
     "/gateway/pipeline/api/webhook/triggerExecutionDetails/"
     "6%3F4?accountIdentifier=a%20b"},
    {"http", "https://cd/x", NULL, "{}", NULL},
};

static void kind_follow__says_where_to_ask(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(follows) / sizeof(follows[0]); i++) {
        struct answered a;
        struct str path;
        struct target *t = target_of(follows[i].kind, follows[i].url, NULL);
        answer_make(&a, follows[i].url, 201, follows[i].headers, follows[i].body,
                    strlen(follows[i].body));
        str_init(&path);
        str_add(&path, "kept ");
        int rc = target_follow(t, &a.call, &path);
        bool ok =
            follows[i].path == NULL
                ? rc == -ENOENT && strcmp(path.data, "kept ") == 0
                : rc == 0 && strcmp(path.data + strlen("kept "), follows[i].path) == 0;
        if (!ok) {
            fail_msg("case %zu (%s): %d '%s'", i, follows[i].kind, rc, path.data);
        }
        str_release(&path);
        answer_drop(&a);
        target_free(t);
    }
}

static void kind_follow__keeps_no_secret_and_no_book(void **state)
{
    (void)state;
    static const char url[] = "https://cd/S3CRET/sync";
    struct str path;
    struct answered a;
    struct target *t = target_of("argocd", "https://cd/${secret.x}/sync", NULL);
    str_init(&path);
    answer_make(&a, url, 200, NULL, "{}", 2);
    assert_int_equal(target_follow(t, &a.call, &path), -ENOENT);
    assert_int_equal(path.len, 0);
    answer_drop(&a);
    target_free(t);
    char location[700] = "Location: /queue/item/1/";
    memset(location + strlen(location), 'x', 600);
    location[690] = '\0';
    t = target_of("jenkins", "https://cd/job/a", NULL);
    answer_make(&a, "https://cd/job/a", 201, location, "", 0);
    assert_int_equal(target_follow(t, &a.call, &path), -ENOENT);
    assert_int_equal(path.len, 0);
    answer_drop(&a);
    target_free(t);
    str_release(&path);
}

/* ---- asking ---- */

static const char *header(const struct target_request *request, const char *word)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (strcmp(request->headers[i].name, word) == 0) {
            return request->headers[i].value;
        }
    }
    return NULL;
}

static void kind_follow__asks_with_the_targets_credentials(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct target_request r;
    struct target *t = target_of("jenkins", "https://cd:8443/job/a", "login");
    assert_int_equal(target_status_make(t, "/queue/item/1/api/json?x=%20", secret, NULL,
                                        &r, &err),
                     0);
    assert_string_equal(r.method, "GET");
    assert_string_equal(r.url, "https://cd:8443/queue/item/1/api/json?x=%20");
    assert_string_equal(header(&r, "authorization"), "Basic YTpi");
    assert_string_equal(header(&r, "x-mine"), "v");
    assert_null(header(&r, "x-of-event")); /* there is none here */
    assert_null(header(&r, "content-type"));
    assert_null(header(&r, "idempotency-key"));
    assert_non_null(header(&r, "user-agent"));
    assert_null(r.body);
    target_request_release(&r);
    static const char *const bad[] = {"",       "x",        "@evil/",  "/a/../b",
                                      "//evil", "/a b",     "/a\r\nb", "/a#b",
                                      ".evil/", "/%2e%2e/x"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(target_status_make(t, bad[i], secret, NULL, &r, &err), -EBADMSG);
        target_request_release(&r);
    }
    target_free(t);
    t = target_of("argocd", "https://cd/a/sync", "none");
    assert_int_equal(target_status_make(t, "/a", secret, NULL, &r, &err), -ENOENT);
    target_request_release(&r);
    target_free(t);
}

/* ---- phases ---- */

static const struct {
    const char *kind;
    int status;
    const char *body;
    enum kind_phase_word phase;
    const char *text;
} phases[] = {
    {"argocd", 200,
     "{\"status\":{\"sync\":{\"status\":\"Synced\"},\"health\":{\"status\":"
     "\"Healthy\"},"
     "\"operationState\":{\"phase\":\"Succeeded\",\"message\":\"ok\"}}}",
     PHASE_SUCCEEDED, "Succeeded Synced Healthy ok"},
    {"argocd", 200, "{\"operation\":{\"sync\":{}},\"status\":{}}", PHASE_PENDING, ""},
    {"argocd", 200,
     "{\"operation\":{},\"status\":{\"operationState\":{\"phase\":\"Running\"}}}",
     PHASE_RUNNING, "Running   "},
    {"argocd", 200, "{\"status\":{\"operationState\":{\"phase\":\"Error\"}}}",
     PHASE_FAILED, "Error   "},
    {"argocd", 403, "{}", PHASE_UNKNOWN, "the query was answered with 403"},
    {"argocd", 200, "[]", PHASE_UNKNOWN, "the answer is not the JSON it should be"},
    {"argo-workflows", 200, "{\"status\":{}}", PHASE_PENDING, "Pending"},
    {"argo-workflows", 200, "{\"status\":{\"phase\":\"Running\",\"progress\":\"1/3\"}}",
     PHASE_RUNNING, "Running 1/3"},
    {"argo-workflows", 200, "{\"status\":{\"phase\":\"Failed\",\"message\":\"exit 1\"}}",
     PHASE_FAILED, "Failed exit 1"},
    {"github-workflow", 200, "{\"status\":\"queued\",\"conclusion\":null}", PHASE_PENDING,
     "queued"},
    {"github-workflow", 200, "{\"status\":\"in_progress\"}", PHASE_RUNNING,
     "in_progress"},
    {"github-workflow", 200, "{\"status\":\"completed\",\"conclusion\":\"success\"}",
     PHASE_SUCCEEDED, "success"},
    {"github-workflow", 200, "{\"status\":\"completed\",\"conclusion\":\"timed_out\"}",
     PHASE_FAILED, "timed_out"},
    {"github-workflow", 200, "{\"status\":\"completed\",\"conclusion\":\"novel\"}",
     PHASE_UNKNOWN, "novel"},
    {"gitlab", 200, "{\"status\":\"running\",\"ref\":\"main\"}", PHASE_RUNNING,
     "running main"},
    {"gitlab", 200, "{\"status\":\"canceled\"}", PHASE_CANCELLED, "canceled"},
    {"gitlab", 404, "{}", PHASE_UNKNOWN, "the query was answered with 404"},
    {"jenkins", 200, "{\"why\":\"Waiting for next available executor\"}", PHASE_PENDING,
     "Waiting for next available executor"},
    {"jenkins", 200, "{\"executable\":{\"number\":42}}", PHASE_RUNNING,
     "began as build 42"},
    {"jenkins-gwt", 200, "{\"cancelled\":true}", PHASE_CANCELLED, ""},
    {"harness", 200,
     "{\"data\":{\"webhookProcessingDetails\":{\"status\":\"TARGET_EXECUTION_"
     "REQUESTED\",\"message\":\"requested\"}}}",
     PHASE_RUNNING, "TARGET_EXECUTION_REQUESTED requested"},
    {"harness", 200,
     "{\"data\":{\"webhookProcessingDetails\":{\"status\":\"INVALID_PAYLOAD\"}}}",
     PHASE_FAILED, "INVALID_PAYLOAD"},
    {"harness", 200,
     "{\"data\":{\"executionDetails\":{\"pipelineExecutionSummary\":{\"status\":"
     "\"Success\"}}}}",
     PHASE_SUCCEEDED, "Success"},
    {"harness", 200, "{\"data\":{}}", PHASE_PENDING, ""},
};

static void kind_follow__reads_how_a_run_goes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
        struct kind_phase phase;
        struct json_object *doc = NULL;
        memset(&phase, 0xa5, sizeof(phase));
        assert_int_equal(json_parse(phases[i].body, strlen(phases[i].body), &doc, NULL),
                         0);
        kind_find(phases[i].kind)->phase(phases[i].status, doc, &phase);
        if (phase.phase != phases[i].phase || strcmp(phase.text, phases[i].text) != 0) {
            fail_msg("case %zu (%s): %s '%s'", i, phases[i].kind,
                     kind_phase_name(phase.phase), phase.text);
        }
        json_free(doc);
    }
}

/* ---- bodies of any kind ---- */

static void expect_as_without(const struct target *t, int status, const char *body,
                              size_t len)
{
    struct answered a;
    struct answered bare;
    struct attempt_result r;
    struct attempt_result wanted;
    struct str path;
    str_init(&path);
    answer_make(&a, any_url, status, NULL, body, len);
    answer_make(&bare, any_url, status, NULL, NULL, 0);
    target_classify(t, &a.call, CAP_MS, &r);
    target_classify(t, &bare.call, CAP_MS, &wanted);
    if (r.class != wanted.class || strcmp(r.reason, wanted.reason) != 0) {
        fail_msg("%s, %d, '%.40s': %s, without a body %s", target_kind(t)->name, status,
                 body, r.reason, wanted.reason);
    }
    assert_true(text_is_utf8(r.detail, strlen(r.detail)));
    (void)target_follow(t, &a.call, &path);
    a.call.answer = NULL;
    a.call.answer_len = 0;
    target_classify(t, &a.call, CAP_MS, &r);
    assert_int_equal(r.class, wanted.class);
    str_release(&path);
    answer_drop(&a);
    answer_drop(&bare);
}

/* These say in their document that something was started, so one that does not is
 * understood. */
static bool is_understood(const struct kind *kind, const char *body, size_t len)
{
    struct json_object *doc = NULL;
    bool object = json_parse(body, len, &doc, NULL) == 0 &&
                  json_object_is_type(doc, json_type_object);
    json_free(doc);
    return object && (strcmp(kind->name, "spinnaker") == 0 ||
                      strcmp(kind->name, "jenkins-gwt") == 0);
}

static void expect_unmoved(const struct target *t, const char *body, size_t len)
{
    static const int statuses[] = {200, 201, 202, 204, 302, 400, 401, 403,
                                   404, 409, 410, 422, 429, 500, 503};
    struct kind_phase phase;
    struct json_object *doc = NULL;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        if (statuses[i] / 100 != 2 || !is_understood(target_kind(t), body, len)) {
            expect_as_without(t, statuses[i], body, len);
        }
    }
    if (target_kind(t)->phase != NULL) {
        (void)!json_parse(body, len, &doc, NULL);
        target_kind(t)->phase(200, doc, &phase);
        assert_true(text_is_utf8(phase.text, strlen(phase.text)));
        json_free(doc);
    }
}

static void kind_follow__what_is_not_understood_changes_nothing(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "null",
        "7",
        "\"text\"",
        "[]",
        "{}",
        "{",
        "{\"a\":",
        "\xff\xfe{}",
        "html>",
        "{\"code\":\"9\",\"message\":{\"a\":{}},\"error\":[1],\"jobs\":[1],\"status\":7,"
        "\"eventProcessed\":1,\"metadata\":5,\"errors\":{\"0\":1},\"data\":[],\"id\":{},"
        "\"project_id\":true,\"executable\":\"x\",\"cancelled\":[],\"operation\":1}",
        "{\"code\":1e300,\"message\":null,\"jobs\":{},\"status\":null,\"eventID\":3,"
        "\"workflow_run_id\":-1,\"operationState\":{\"phase\":{}}}",
    };
    char *huge = mem_alloc(2 * 1024 * 1024);
    memset(huge, '[', 2 * 1024 * 1024);
    for (size_t k = 0; kind_at(k) != NULL; k++) {
        struct target *t = target_of(kind_at(k)->name, any_url, NULL);
        for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
            expect_unmoved(t, bodies[i], strlen(bodies[i]));
        }
        expect_unmoved(t, "{\"a\0b\":1}", 10);
        expect_unmoved(t, huge, 2 * 1024 * 1024);
        target_free(t);
    }
    free(huge);
}

static void kind_follow__the_targets_words_are_kept_clean(void **state)
{
    (void)state;
    struct answered a;
    struct attempt_result r;
    struct str body;
    struct target *t = target_of("argocd", any_url, NULL);
    str_init(&body);
    str_add(&body, "{\"message\":\"\\u001b[31mred\\r\\n ");
    for (int i = 0; i < 200; i++) {
        str_add(&body, "é");
    }
    str_add(&body, "\"}");
    answer_make(&a, any_url, 400, NULL, body.data, body.len);
    target_classify(t, &a.call, CAP_MS, &r);
    assert_int_equal(strncmp(r.detail, "?[31mred?? é", strlen("?[31mred?? é")), 0);
    assert_true(strlen(r.detail) >= ATTEMPT_DETAIL_MAX - 2);
    assert_true(text_is_utf8(r.detail, strlen(r.detail)));
    str_release(&body);
    answer_drop(&a);
    target_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
