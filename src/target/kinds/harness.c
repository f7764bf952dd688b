/* Harness: a custom webhook trigger. */
#include <errno.h>
#include <string.h>

#include "target/answer.h"

static void classify(const struct http_call *call, struct attempt_result *result)
{
    static const char *const words[] = {"/message", "/responseMessages/0/message", NULL};
    struct json_object *doc = answer_doc(call);
    const char *status = json_string_at(doc, "/status", NULL);
    if (result->class != ATTEMPT_DONE) {
        answer_say_at(result, doc, words);
    } else if (status != NULL && strcmp(status, "SUCCESS") != 0) {
        answer_is(result, ATTEMPT_PERMANENT, "nothing-started");
        answer_say(result, status);
        answer_say_at(result, doc, words);
    }
    json_free(doc);
}

/* The account is asked for again, and stands in the query of the trigger's url. */
static const char *account(const struct http_call *call, size_t *len)
{
    static const char name[] = "accountIdentifier=";
    const char *at = strstr(call->url, name);
    if (at == NULL || strchr("?&", at[-1]) == NULL) {
        return NULL;
    }
    at += strlen(name);
    *len = strcspn(at, "&#");
    return at;
}

static int follow(const struct http_call *call, struct str *path)
{
    struct json_object *doc = answer_doc(call);
    const char *id = json_string_at(doc, "/data/eventCorrelationId", NULL);
    size_t len = 0;
    const char *who = account(call, &len);
    int rc =
        id != NULL && who != NULL ? answer_path_before(call, "/webhook/", path) : -ENOENT;
    if (rc == 0) {
        str_add(path, "/webhook/triggerExecutionDetails/");
        answer_add(path, id);
        str_add(path, "?accountIdentifier=");
        str_put(path, who, len);
    }
    json_free(doc);
    return rc;
}

static void phase(int status, struct json_object *doc, struct kind_phase *out)
{
    static const struct phase_of runs[] =
        {{"Running", PHASE_RUNNING},    {"AsyncWaiting", PHASE_RUNNING},
         {"Success", PHASE_SUCCEEDED},  {"IgnoreFailed", PHASE_SUCCEEDED},
         {"Failed", PHASE_FAILED},      {"Errored", PHASE_FAILED},
         {"Expired", PHASE_FAILED},     {"ApprovalRejected", PHASE_FAILED},
         {"Aborted", PHASE_CANCELLED},  {"ApprovalWaiting", PHASE_PENDING},
         {"NotStarted", PHASE_PENDING}, {"Queued", PHASE_PENDING},
         {NULL, PHASE_UNKNOWN}};
    static const struct phase_of events[] = {{"TARGET_EXECUTION_REQUESTED",
                                              PHASE_RUNNING},
                                             {NULL, PHASE_UNKNOWN}};
    if (!phase_is_told(status, doc, out)) {
        return;
    }
    const char *run =
        json_string_at(doc, "/data/executionDetails/pipelineExecutionSummary/status",
                       NULL);
    const char *event =
        json_string_at(doc, "/data/webhookProcessingDetails/status", NULL);
    if (run != NULL) {
        phase_read(out, runs, run, NULL);
        return;
    }
    phase_read(out, events, event,
               json_text_or(doc, "/data/webhookProcessingDetails/message", ""));
    if (event == NULL) {
        out->phase = PHASE_PENDING; /* the event is not worked yet */
    } else if (out->phase == PHASE_UNKNOWN) {
        out->phase = PHASE_FAILED; /* any other word says why it was not started */
    }
}

static const char *const needs[] = {"?accountIdentifier", "?orgIdentifier",
                                    "?projectIdentifier", NULL};

const struct kind kind_harness = {
    .name = "harness",
    .title = "Harness: a custom webhook trigger",
    .source = "developer.harness.io: custom triggers, troubleshoot triggers",
    .url_like = "https://app.harness.io/gateway/pipeline/api/webhook/custom/TOKEN/v3?...",
    .needs = needs,
    .auth = {KIND_AUTH_HEADER, "x-api-key"},
    .rate_per_s = 5,
    .burst = 10,
    .concurrency = 4,
    .classify = classify,
    .follow = follow,
    .phase = phase,
    .sample = "  harness-deploy:\n"
              "    kind: harness\n"
              "    match: {branch: main}\n"
              "    url: "
              "\"https://app.harness.io/gateway/pipeline/api/webhook/custom/"
              "${secret.harness_hook}/v3?accountIdentifier=ACCOUNT&orgIdentifier=default&"
              "projectIdentifier=CD&pipelineIdentifier=deploy&triggerIdentifier=ci\"\n"
              "    token: harness_key\n"
              "    # body left out: the event itself\n"
              "    limits: [harness]\n"
              "    timeout: 5s\n",
};
