#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "answered.h"
#include "target/target.h"

#define CAP_MS (30 * 60 * 1000)
#define JSON   "Content-Type: application/json\r\n"
#define PLAIN  "Content-Type: text/plain; charset=utf-8\r\n"

static const char *const classes[] = {
    [ATTEMPT_DONE] = "done",           [ATTEMPT_RETRY] = "retry",
    [ATTEMPT_UNCERTAIN] = "uncertain", [ATTEMPT_PERMANENT] = "permanent",
    [ATTEMPT_AGAIN] = "again",         [ATTEMPT_ALREADY] = "already",
    [ATTEMPT_HELD] = "held",
};

/* 0 in retry_after_ms and wait_ms stands for "nothing said". */
struct row {
    int status;
    const char *headers;
    const char *body;
    enum attempt_class class;
    const char *reason;
    int64_t retry_after_ms;
    int64_t wait_ms;
    const char *detail; /* NULL: none */
};

static struct target *target_of(const char *kind)
{
    struct err err = ERR_INIT;
    struct json_object *body = NULL;
    static const char tree[] =
        "{\"ref\":\"r\",\"event_type\":\"e\",\"resourceKind\":\"k\","
        "\"resourceName\":\"n\"}";
    assert_int_equal(json_parse(tree, sizeof(tree) - 1, &body, NULL), 0);
    struct target_options options =
        {.name = "t",
         .kind = kind,
         .url = "https://cd/x?accountIdentifier=a&orgIdentifier=b&projectIdentifier=c",
         .body = body};
    struct target *t = target_new(&options, NULL, NULL, &err);
    if (t == NULL) {
        fail_msg("%s: %s", kind, err.text);
    }
    json_free(body);
    return t;
}

static int64_t said(int64_t ms)
{
    return ms > 0 ? ms : -1;
}

static void expect_row(const struct target *t, const struct row *row, size_t i)
{
    struct answered a;
    struct attempt_result r;
    memset(&r, 0xa5, sizeof(r));
    answer_make(&a, "https://cd/x", row->status, row->headers, row->body,
                row->body != NULL ? strlen(row->body) : 0);
    target_classify(t, &a.call, CAP_MS, &r);
    const char *detail = row->detail != NULL ? row->detail : "";
    if (r.class != row->class || strcmp(r.reason, row->reason) != 0 ||
        r.retry_after_ms != said(row->retry_after_ms) ||
        r.wait_ms != said(row->wait_ms) || strcmp(r.detail, detail) != 0) {
        fail_msg("%s, answer %zu (%d): %s '%s' retry %lld wait %lld '%s'",
                 target_kind(t)->name, i, row->status, classes[r.class], r.reason,
                 (long long)r.retry_after_ms, (long long)r.wait_ms, r.detail);
    }
    answer_drop(&a);
}

static void expect_rows(const char *kind, const struct row *rows, size_t n)
{
    struct target *t = target_of(kind);
    for (size_t i = 0; i < n; i++) {
        expect_row(t, &rows[i], i);
    }
    target_free(t);
}
#define EXPECT_ROWS(kind, rows) expect_rows(kind, rows, sizeof(rows) / sizeof((rows)[0]))

static void kind_answers__argocd(void **state)
{
    (void)state;
    static const char busy[] = "{\"error\":\"another operation is already in progress\","
                               "\"code\":9,\"message\":\"another operation is already in "
                               "progress\"}";
    static const struct row rows[] = {
        {200, JSON, "{\"metadata\":{\"name\":\"a\"}}", ATTEMPT_DONE, "http_200", 0, 0,
         NULL},
        {400, JSON, busy, ATTEMPT_RETRY, "in-progress", 0, 5000,
         "another operation is already in progress"},
        {400, JSON, "{\"code\":9,\"message\":\"application is deleting\"}",
         ATTEMPT_PERMANENT, "deleting", 0, 0, "application is deleting"},
        {400, JSON,
         "{\"code\":9,\"message\":\"Cannot sync to abc: auto-sync currently set to "
         "main\"}",
         ATTEMPT_PERMANENT, "auto-sync", 0, 0,
         "Cannot sync to abc: auto-sync currently set to main"},
        {400, JSON, "{\"code\":9,\"message\":\"Unable to resolve 'x' to a commit SHA\"}",
         ATTEMPT_PERMANENT, "revision", 0, 0, "Unable to resolve 'x' to a commit SHA"},
        {400, JSON, "{\"code\":9,\"message\":\"local sync when signature keys\"}",
         ATTEMPT_PERMANENT, "precondition", 0, 0, "local sync when signature keys"},
        {400, JSON,
         "{\"code\":3,\"message\":\"another operation is already in progress\"}",
         ATTEMPT_PERMANENT, "http_400", 0, 0, "another operation is already in progress"},
        {403, JSON, "{\"code\":7,\"message\":\"cannot sync: blocked by sync window\"}",
         ATTEMPT_HELD, "sync-window", 0, 60000, "cannot sync: blocked by sync window"},
        {403, JSON, "{\"code\":7,\"message\":\"Cannot sync: Blocked by Sync Window\"}",
         ATTEMPT_HELD, "sync-window", 0, 60000, "Cannot sync: Blocked by Sync Window"},
        {403, JSON, "{\"code\":7,\"message\":\"permission denied: applications, sync\"}",
         ATTEMPT_PERMANENT, "http_403", 0, 0, "permission denied: applications, sync"},
        {401, JSON, "{\"code\":16,\"error\":\"no session information\"}",
         ATTEMPT_PERMANENT, "http_401", 0, 0, "no session information"},
        {404, JSON,
         "{\"code\":5,\"message\":\"applications.argoproj.io \\\"a\\\" not found\"}",
         ATTEMPT_PERMANENT, "http_404", 0, 0, "applications.argoproj.io \"a\" not found"},
        {429, NULL, NULL, ATTEMPT_RETRY, "http_429", 0, 0, NULL},
        {503, "Retry-After: 7\r\n", "no upstream", ATTEMPT_RETRY, "http_503", 7000, 0,
         NULL},
        {400, NULL, "<html>", ATTEMPT_PERMANENT, "http_400", 0, 0, NULL},
        {400, JSON,
         "{\"code\":9,\"message\":\"another operation is already in progress\",\"d",
         ATTEMPT_RETRY, "in-progress", 0, 5000, NULL},
        {403, JSON, "{\"message\":\"cannot sync: blocked by sync window\",\"d",
         ATTEMPT_HELD, "sync-window", 0, 60000, NULL},
        {403, JSON, "{\"message\":\"permission denied\",\"d", ATTEMPT_PERMANENT,
         "http_403", 0, 0, NULL},
        {307, "Location: /login\r\n", NULL, ATTEMPT_PERMANENT, "redirect", 0, 0, NULL},
    };
    EXPECT_ROWS("argocd", rows);
}

static void kind_answers__argo_workflows(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {200, JSON, "{\"metadata\":{\"name\":\"sluice-1\"}}", ATTEMPT_DONE, "http_200", 0,
         0, NULL},
        {409, JSON,
         "{\"code\":6,\"message\":\"workflows \\\"sluice-1\\\" already exists\"}",
         ATTEMPT_ALREADY, "already-there", 0, 0, "workflows \"sluice-1\" already exists"},
        {409, NULL, NULL, ATTEMPT_ALREADY, "already-there", 0, 0, NULL},
        {409, NULL, "<html>", ATTEMPT_PERMANENT, "http_409", 0, 0, NULL},
        {409, JSON, "{\"code\":10,\"message\":\"aborted\"}", ATTEMPT_RETRY, "conflict", 0,
         0, "aborted"},
        {400, JSON, "{\"code\":3,\"message\":\"resource kind is not supported\"}",
         ATTEMPT_PERMANENT, "http_400", 0, 0, "resource kind is not supported"},
        {403, JSON, "{\"code\":7,\"message\":\"not allowed\"}", ATTEMPT_PERMANENT,
         "http_403", 0, 0, "not allowed"},
        {404, JSON, "{\"code\":5,\"message\":\"no template\"}", ATTEMPT_PERMANENT,
         "http_404", 0, 0, "no template"},
        {503, NULL, NULL, ATTEMPT_RETRY, "http_503", 0, 0, NULL},
    };
    EXPECT_ROWS("argo-workflows", rows);
}

static void kind_answers__argo_events(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {200, PLAIN, "success", ATTEMPT_DONE, "http_200", 0, 0, NULL},
        {400, PLAIN, "endpoint is not active", ATTEMPT_RETRY, "not-active", 0, 0,
         "endpoint is not active"},
        {400, PLAIN, "request body too large\nmore", ATTEMPT_PERMANENT, "http_400", 0, 0,
         "request body too large"},
        {400, NULL, NULL, ATTEMPT_PERMANENT, "http_400", 0, 0, NULL},
        {401, PLAIN, "invalid auth token", ATTEMPT_PERMANENT, "http_401", 0, 0,
         "invalid auth token"},
        {500, PLAIN, "failed to publish", ATTEMPT_RETRY, "http_500", 0, 0,
         "failed to publish"},
    };
    EXPECT_ROWS("argo-events", rows);
}

/* The order: retry-after; no calls left until a time; words about a limit; else it is
 * about permission. */
static void expect_github(const char *kind)
{
    static const char date[] = "Date: Mon, 05 Jan 2026 10:00:00 GMT\r\n"; /* 1767607200 */
    static const char limits[] = "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: "
                                 "1767607320\r\n";
    static const char past[] = "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: "
                               "1767600000\r\n";
    static const char far[] = "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: "
                              "1767700000\r\n";
    char both[256];
    char with_after[256];
    char over[256];
    char late[256];
    snprintf(both, sizeof(both), "%s%s", date, limits);
    snprintf(with_after, sizeof(with_after), "%s%sRetry-After: 30\r\n", date, limits);
    snprintf(over, sizeof(over), "%s%s", date, past);
    snprintf(late, sizeof(late), "%s%s", date, far);
    static const char primary[] =
        "{\"message\":\"API rate limit exceeded for user ID 1\"}";
    static const char secondary[] =
        "{\"message\":\"You have exceeded a secondary rate limit\"}";
    const struct row rows[] = {
        {204, NULL, NULL, ATTEMPT_DONE, "http_204", 0, 0, NULL},
        {200, JSON, "{\"workflow_run_id\":7}", ATTEMPT_DONE, "http_200", 0, 0, NULL},
        {403, with_after, primary, ATTEMPT_RETRY, "rate-limit", 30000, 0,
         "API rate limit exceeded for user ID 1"},
        {429, with_after, primary, ATTEMPT_RETRY, "rate-limit", 30000, 0,
         "API rate limit exceeded for user ID 1"},
        {403, both, primary, ATTEMPT_RETRY, "rate-limit", 120000, 0,
         "API rate limit exceeded for user ID 1"},
        {429, both, NULL, ATTEMPT_RETRY, "rate-limit", 120000, 0, NULL},
        {403, over, NULL, ATTEMPT_RETRY, "rate-limit", 1000, 0, NULL},
        {403, late, NULL, ATTEMPT_RETRY, "rate-limit", CAP_MS, 0, NULL},
        {403, "x-ratelimit-remaining: 0\r\n", NULL, ATTEMPT_RETRY, "rate-limit", 60000, 0,
         NULL},
        {403, "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: soon\r\n", NULL,
         ATTEMPT_RETRY, "rate-limit", 60000, 0, NULL},
        {403, "x-ratelimit-remaining: 4999\r\n", secondary, ATTEMPT_RETRY, "rate-limit",
         60000, 0, "You have exceeded a secondary rate limit"},
        {403, NULL, "{\"message\":\"You have triggered an abuse detection mechanism\"}",
         ATTEMPT_RETRY, "rate-limit", 60000, 0,
         "You have triggered an abuse detection mechanism"},
        {429, NULL, NULL, ATTEMPT_RETRY, "rate-limit", 60000, 0, NULL},
        {403, "x-ratelimit-remaining: 4999\r\n",
         "{\"message\":\"Resource not accessible by integration\"}", ATTEMPT_PERMANENT,
         "http_403", 0, 0, "Resource not accessible by integration"},
        {403, NULL, NULL, ATTEMPT_PERMANENT, "http_403", 0, 0, NULL},
        {401, JSON, "{\"message\":\"Bad credentials\"}", ATTEMPT_PERMANENT, "http_401", 0,
         0, "Bad credentials"},
        {404, JSON, "{\"message\":\"Not Found\"}", ATTEMPT_PERMANENT, "http_404", 0, 0,
         "Not Found"},
        {422, JSON, "{\"message\":\"Unexpected inputs provided\"}", ATTEMPT_PERMANENT,
         "http_422", 0, 0, "Unexpected inputs provided"},
        {307, "Location: https://api.github.com/repositories/1/dispatches\r\n", NULL,
         ATTEMPT_PERMANENT, "redirect", 0, 0, NULL},
        {502, NULL, "<html>", ATTEMPT_RETRY, "http_502", 0, 0, NULL},
    };
    EXPECT_ROWS(kind, rows);
}

static void kind_answers__github_dispatch(void **state)
{
    (void)state;
    expect_github("github-dispatch");
}

static void kind_answers__github_workflow(void **state)
{
    (void)state;
    expect_github("github-workflow");
}

static void kind_answers__gitlab(void **state)
{
    (void)state;
    static const char empty[] =
        "{\"message\":{\"base\":[\"The resulting pipeline would have been empty.\"]}}";
    static const char rules[] =
        "{\"message\":{\"base\":[\"Pipeline will not run for the selected trigger.\"]}}";
    static const char many[] =
        "{\"message\":{\"base\":[\"Too many pipelines created in the "
        "last minute. Try again later.\"]}}";
    static const struct row rows[] = {
        {201, JSON, "{\"id\":7,\"status\":\"created\"}", ATTEMPT_DONE, "http_201", 0, 0,
         NULL},
        {400, JSON, empty, ATTEMPT_PERMANENT, "nothing-started", 0, 0,
         "The resulting pipeline would have been empty."},
        {400, JSON, rules, ATTEMPT_PERMANENT, "nothing-started", 0, 0,
         "Pipeline will not run for the selected trigger."},
        {400, JSON, "{\"message\":\"No stages / jobs for this pipeline.\"}",
         ATTEMPT_PERMANENT, "nothing-started", 0, 0,
         "No stages / jobs for this pipeline."},
        {400, JSON, many, ATTEMPT_RETRY, "rate-limit", 0, 60000,
         "Too many pipelines created in the last minute. Try again later."},
        {400, JSON, "{\"message\":{\"base\":[\"Reference not found\"]}}",
         ATTEMPT_PERMANENT, "http_400", 0, 0, "Reference not found"},
        {400, JSON, "{\"message\":{\"ref\":[\"is too long\"]}}", ATTEMPT_PERMANENT,
         "http_400", 0, 0, "{\"ref\":[\"is too long\"]}"},
        {400, JSON, "{\"error\":\"ref is missing\"}", ATTEMPT_PERMANENT, "http_400", 0, 0,
         "ref is missing"},
        {404, JSON, "{\"message\":\"404 Not Found\"}", ATTEMPT_PERMANENT, "http_404", 0,
         0, "404 Not Found"},
        {401, JSON, "{\"message\":\"401 Unauthorized\"}", ATTEMPT_PERMANENT, "http_401",
         0, 0, "401 Unauthorized"},
        {429, "Retry-After: 42\r\n", "Retry later\n", ATTEMPT_RETRY, "http_429", 42000, 0,
         NULL},
        {500, NULL, NULL, ATTEMPT_RETRY, "http_500", 0, 0, NULL},
    };
    EXPECT_ROWS("gitlab", rows);
}

static void kind_answers__jenkins(void **state)
{
    (void)state;
    static const char refused[] = "the queue did not take it, or the address is wrong";
    static const char odd[] = "only 201 says that a build is in the queue";
    static const struct row rows[] = {
        {201, "Location: https://cd/queue/item/12/\r\n", NULL, ATTEMPT_DONE, "http_201",
         0, 0, NULL},
        {302, "Location: .\r\n", NULL, ATTEMPT_PERMANENT, "nothing-started", 0, 0,
         refused},
        {303, "Location: /login\r\n", NULL, ATTEMPT_PERMANENT, "nothing-started", 0, 0,
         refused},
        {200, "Content-Type: text/html\r\n", "<html>log in", ATTEMPT_PERMANENT,
         "nothing-started", 0, 0, odd},
        {409, NULL, NULL, ATTEMPT_PERMANENT, "not-buildable", 0, 0,
         "the job is disabled or cannot be built"},
        {500, NULL, "java.lang.IllegalStateException: This build is not parameterized!",
         ATTEMPT_PERMANENT, "not-parameterized", 0, 0,
         "the job has no parameters; its url ends in /build then"},
        {500, NULL, "<html>Oops!", ATTEMPT_RETRY, "http_500", 0, 0, NULL},
        {503, NULL, "Please wait while Jenkins is getting ready", ATTEMPT_RETRY,
         "http_503", 0, 0, NULL},
        {401, NULL, NULL, ATTEMPT_PERMANENT, "http_401", 0, 0, NULL},
        {403, NULL, "No valid crumb was included", ATTEMPT_PERMANENT, "http_403", 0, 0,
         NULL},
        {404, NULL, NULL, ATTEMPT_PERMANENT, "http_404", 0, 0, NULL},
    };
    EXPECT_ROWS("jenkins", rows);
}

static void kind_answers__jenkins_gwt(void **state)
{
    (void)state;
    static const char filtered[] = "no job was triggered: its filter did not match";
    static const char unnamed[] = "the answer names no job that was triggered";
    static const char some[] =
        "{\"jobs\":{\"a\":{\"triggered\":false},\"b\":{\"triggered\":true,\"id\":3}}}";
    static const char none[] =
        "{\"jobs\":{\"a\":{\"triggered\":false},\"b\":{\"triggered\":false}}}";
    static const char broke[] = "{\"jobs\":{\"a\":{\"triggered\":true},\"b\":\"Exception "
                                "occurred\"},\"message\":\"There were errors\"}";
    static const struct row rows[] = {
        {200, JSON, some, ATTEMPT_DONE, "http_200", 0, 0, NULL},
        {200, JSON, none, ATTEMPT_PERMANENT, "nothing-started", 0, 0, filtered},
        {200, JSON, "{\"jobs\":{\"a\":{\"triggered\":\"yes\"}}}", ATTEMPT_PERMANENT,
         "nothing-started", 0, 0, filtered},
        {200, NULL, NULL, ATTEMPT_DONE, "http_200", 0, 0, NULL}, /* all are silent */
        {200, JSON,
         "{\"status\":\"ok\",\"data\":{\"triggerResults\":{\"a\":{\"triggered\":false}}}"
         "}",
         ATTEMPT_PERMANENT, "nothing-started", 0, 0, filtered},
        {200, JSON,
         "{\"status\":\"ok\",\"data\":{\"triggerResults\":{\"a\":{\"triggered\":true}}}}",
         ATTEMPT_DONE, "http_200", 0, 0, NULL},
        {200, JSON,
         "{\"jobs\":{\"a\":{\"triggered\":true,\"resolvedVariables\":{\"x\":\"",
         ATTEMPT_DONE, "http_200", 0, 0, NULL},
        {200, JSON,
         "{\"jobs\":{\"a\":{\"triggered\":false,\"resolvedVariables\":{\"x\":\"",
         ATTEMPT_PERMANENT, "nothing-started", 0, 0,
         "of what is kept of the answer, no job was triggered"},
        {200, JSON, "{\"jobs\":{},\"message\":\"Triggered jobs.\"}", ATTEMPT_PERMANENT,
         "nothing-started", 0, 0, unnamed},
        {200, JSON, "{\"status\":\"ok\"}", ATTEMPT_PERMANENT, "nothing-started", 0, 0,
         unnamed},
        {500, JSON, "{\"jobs\":{\"a\":{\"triggered\":true,\"resolvedVariables\":{\"x\":",
         ATTEMPT_UNCERTAIN, "partly-started", 0, 0,
         "some jobs were triggered, others failed"},
        {500, JSON, "{\"jobs\":{\"a\":{\"triggered\":false,\"resolvedVariables\":{\"x\":",
         ATTEMPT_RETRY, "http_500", 0, 0, NULL},
        {404, JSON, "{\"jobs\":null,\"message\":\"Did not find any jobs\"}",
         ATTEMPT_PERMANENT, "http_404", 0, 0, "no job has this token"},
        {403, JSON, "{\"message\":\"Sender, with headers {token=[SECRET]}\"}",
         ATTEMPT_PERMANENT, "http_403", 0, 0, "the sender did not pass the whitelist"},
        {500, JSON, broke, ATTEMPT_UNCERTAIN, "partly-started", 0, 0,
         "some jobs were triggered, others failed"},
        {500, JSON, "{\"jobs\":{\"b\":\"Exception occurred\"}}", ATTEMPT_RETRY,
         "http_500", 0, 0, NULL},
    };
    EXPECT_ROWS("jenkins-gwt", rows);
}

static void kind_answers__spinnaker(void **state)
{
    (void)state;
    static const char unprocessed[] = "it does not say that the event was processed";
    static const struct row rows[] = {
        {200, JSON, "{\"eventProcessed\":true,\"eventId\":\"x\"}", ATTEMPT_DONE,
         "http_200", 0, 0, NULL},
        {200, JSON, "{\"eventProcessed\":false,\"eventId\":\"x\"}", ATTEMPT_PERMANENT,
         "nothing-started", 0, 0, unprocessed},
        {200, JSON, "{\"eventProcessed\":\"no\"}", ATTEMPT_PERMANENT, "nothing-started",
         0, 0, unprocessed},
        {200, JSON, "{}", ATTEMPT_PERMANENT, "nothing-started", 0, 0, unprocessed},
        {200, NULL, NULL, ATTEMPT_DONE, "http_200", 0, 0, NULL},
        {400, JSON, "{\"message\":\"bad\"}", ATTEMPT_PERMANENT, "http_400", 0, 0, "bad"},
        {500, JSON, "{\"error\":\"Internal Server Error\"}", ATTEMPT_RETRY, "http_500", 0,
         0, "Internal Server Error"},
    };
    EXPECT_ROWS("spinnaker", rows);
}

static void kind_answers__tekton(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {202, JSON, "{\"eventListener\":\"l\",\"eventID\":\"14a657c3\"}", ATTEMPT_DONE,
         "http_202", 0, 0, "eventID 14a657c3"},
        {202, NULL, NULL, ATTEMPT_DONE, "http_202", 0, 0, NULL},
        {400, JSON, "{\"errorMessage\":\"Invalid event body format\"}", ATTEMPT_PERMANENT,
         "http_400", 0, 0, "Invalid event body format"},
        {500, NULL, NULL, ATTEMPT_RETRY, "http_500", 0, 0, NULL},
    };
    EXPECT_ROWS("tekton", rows);
}

static void kind_answers__flux(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {200, NULL, NULL, ATTEMPT_DONE, "http_200", 0, 0, NULL},
        {400, PLAIN, "unable to validate HMAC signature\n", ATTEMPT_PERMANENT, "http_400",
         0, 0, "unable to validate HMAC signature"},
        {404, NULL, NULL, ATTEMPT_PERMANENT, "http_404", 0, 0, NULL},
        {413, NULL, NULL, ATTEMPT_PERMANENT, "http_413", 0, 0, NULL},
        {500, NULL, NULL, ATTEMPT_RETRY, "http_500", 0, 0, NULL},
        {503, PLAIN, "receiver is suspended", ATTEMPT_RETRY, "http_503", 0, 0,
         "receiver is suspended"},
    };
    EXPECT_ROWS("flux", rows);
}

static void kind_answers__harness(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {200, JSON, "{\"status\":\"SUCCESS\",\"data\":{\"eventCorrelationId\":\"x\"}}",
         ATTEMPT_DONE, "http_200", 0, 0, NULL},
        {200, JSON, "{\"status\":\"FAILED\",\"data\":{}}", ATTEMPT_PERMANENT,
         "nothing-started", 0, 0, "FAILED"},
        {200, JSON, "{\"status\":\"ERROR\",\"message\":\"no such trigger\"}",
         ATTEMPT_PERMANENT, "nothing-started", 0, 0, "no such trigger"},
        {400, JSON, "{\"status\":\"ERROR\",\"message\":\"Invalid request\"}",
         ATTEMPT_PERMANENT, "http_400", 0, 0, "Invalid request"},
        {401, JSON, "{\"status\":\"ERROR\",\"message\":\"Token is not valid\"}",
         ATTEMPT_PERMANENT, "http_401", 0, 0, "Token is not valid"},
        {429, NULL, NULL, ATTEMPT_RETRY, "http_429", 0, 0, NULL},
        {500, JSON, "{\"status\":\"ERROR\",\"message\":\"Oops\"}", ATTEMPT_RETRY,
         "http_500", 0, 0, "Oops"},
    };
    EXPECT_ROWS("harness", rows);
}

static void kind_answers__devtron(void **state)
{
    (void)state;
    static const char denied[] = "{\"code\":401,\"status\":\"Unauthorized\",\"errors\":[{"
                                 "\"userMessage\":\"no access\"}]}";
    static const struct row rows[] = {
        {200, JSON, "{\"code\":200,\"status\":\"OK\",\"result\":null}", ATTEMPT_DONE,
         "http_200", 0, 0, NULL},
        {200, JSON, "{\"code\":404,\"status\":\"Not Found\"}", ATTEMPT_PERMANENT,
         "nothing-started", 0, 0, "Not Found"},
        {401, JSON, denied, ATTEMPT_PERMANENT, "http_401", 0, 0, "no access"},
        {400, JSON, "{\"code\":400,\"errors\":[{\"internalMessage\":\"no image\"}]}",
         ATTEMPT_PERMANENT, "http_400", 0, 0, "no image"},
        {404, PLAIN, "404 page not found", ATTEMPT_PERMANENT, "http_404", 0, 0, NULL},
        {409, JSON, "{\"code\":409,\"errors\":[{\"userMessage\":\"already exists\"}]}",
         ATTEMPT_PERMANENT, "http_409", 0, 0, "already exists"},
        {500, JSON, "{\"code\":500,\"status\":\"Internal Server Error\"}", ATTEMPT_RETRY,
         "http_500", 0, 0, "Internal Server Error"},
    };
    EXPECT_ROWS("devtron", rows);
}

static void kind_answers__standard_webhooks(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {200, NULL, NULL, ATTEMPT_DONE, "http_200", 0, 0, NULL},
        {410, NULL, NULL, ATTEMPT_PERMANENT, "gone", 0, 0,
         "the receiver wants no more of this"},
        {302, NULL, NULL, ATTEMPT_PERMANENT, "redirect", 0, 0, NULL},
        {429, "Retry-After: 5\r\n", NULL, ATTEMPT_RETRY, "http_429", 5000, 0, NULL},
        {502, NULL, NULL, ATTEMPT_RETRY, "http_502", 0, 0, NULL},
        {504, NULL, NULL, ATTEMPT_RETRY, "http_504", 0, 0, NULL},
    };
    EXPECT_ROWS("standard-webhooks", rows);
}

/* The name that was asked for is there: whose workflow is it? */
static void kind_answers__a_name_that_is_not_ours_is_nobodys_proof(void **state)
{
    (void)state;
    static const struct {
        const char *sent;
        enum attempt_class class;
        const char *reason;
    } rows[] = {
        {"{\"submitOptions\":{\"name\":\"sluice-0a\"}}", ATTEMPT_ALREADY,
         "already-there"},
        {"{\"submitOptions\":{\"name\":\"pay-sluice-0a\"}}", ATTEMPT_ALREADY,
         "already-there"},
        {"{\"submitOptions\":{\"name\":\"deploy-pay\"}}", ATTEMPT_PERMANENT,
         "name-taken"},
        {"{\"submitOptions\":{\"generateName\":\"pay-\"}}", ATTEMPT_RETRY, "conflict"},
    };
    static const char there[] = "{\"code\":6,\"message\":\"workflows \\\"x\\\" already "
                                "exists\"}";
    struct target *t = target_of("argo-workflows");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct answered a;
        struct attempt_result r;
        answer_make(&a, "https://cd/x", 409, JSON, there, sizeof(there) - 1);
        a.call.body = rows[i].sent;
        a.call.body_len = strlen(rows[i].sent);
        target_classify(t, &a.call, CAP_MS, &r);
        assert_int_equal(r.class, rows[i].class);
        assert_string_equal(r.reason, rows[i].reason);
        answer_drop(&a);
    }
    target_free(t);
}

/* A sign-in or a proxy in front of a system answers for it: 200, and nothing was done. */
static void kind_answers__a_page_is_no_success_of_an_api(void **state)
{
    (void)state;
    static const char page[] = "\xef\xbb\xbf\r\n<!DOCTYPE html><title>Sign in</title>";
    static const char says[] =
        "the answer is not the API's: a sign-in or a proxy in front "
        "of it, or a wrong address";
    for (size_t i = 0; kind_at(i) != NULL; i++) {
        const char *name = kind_at(i)->name;
        bool any = kind_at(i)->any_body;
        const struct row rows[] = {
            {201, "Content-Type: text/html\r\n", page,
             any ? ATTEMPT_DONE : ATTEMPT_PERMANENT, any ? "http_201" : "not-the-api", 0,
             0, any ? NULL : says},
            {201, PLAIN, "OK", ATTEMPT_DONE, "http_201", 0, 0, NULL},
            {201, "Content-Encoding: gzip\r\n", "\x1f\x8b", ATTEMPT_DONE, "http_201", 0,
             0, NULL},
            {201, NULL, NULL, ATTEMPT_DONE, "http_201", 0, 0, NULL},
            {201, "Content-Type: text/html\r\n", " {\"a\":1", ATTEMPT_DONE, "http_201", 0,
             0, NULL},
        };
        expect_rows(name, rows, sizeof(rows) / sizeof(rows[0]));
    }
}

/* Whose head says it is read though the rest was too much. */
static void kind_answers__a_success_that_is_too_large_is_read(void **state)
{
    (void)state;
    struct answered a;
    struct attempt_result r;
    struct target *t = target_of("argocd");
    answer_make(&a, "https://cd/x", 200, NULL, "<html>", 6);
    a.call.end = HTTP_END_TOO_LARGE;
    target_classify(t, &a.call, CAP_MS, &r);
    assert_string_equal(r.reason, "not-the-api");
    answer_drop(&a);
    answer_make(&a, "https://cd/x", 200, NULL, "{\"metadata\":{", 13);
    a.call.end = HTTP_END_TOO_LARGE;
    target_classify(t, &a.call, CAP_MS, &r);
    assert_int_equal(r.class, ATTEMPT_DONE);
    answer_drop(&a);
    target_free(t);
}

/* A kind of its own words, http has none: whatever the body says. */
static void kind_answers__http_reads_the_status_alone(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {200, JSON, "{\"eventProcessed\":false,\"status\":\"FAILED\"}", ATTEMPT_DONE,
         "http_200", 0, 0, NULL},
        {400, JSON, "{\"code\":9,\"message\":\"already in progress\"}", ATTEMPT_PERMANENT,
         "http_400", 0, 0, NULL},
        {409, NULL, NULL, ATTEMPT_PERMANENT, "http_409", 0, 0, NULL},
        {403, "Retry-After: 1\r\n", NULL, ATTEMPT_RETRY, "http_403", 1000, 0, NULL},
    };
    EXPECT_ROWS("http", rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
