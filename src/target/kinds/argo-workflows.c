/* Argo Workflows: submit a workflow from a template. Its name is made of target and
 * event, so that the second submission of one event is refused by the cluster. */
#include <errno.h>

#include "target/answer.h"

enum { CODE_ABORTED = 10 /* of gRPC, in the body of a 409: a race, try again */ };

/* There is a workflow of the name that was asked for. It is this trigger's own only where
 * ours is in that name: one of configuration's making may be another event's. */
static void classify_taken(const struct http_call *call, struct attempt_result *result)
{
    struct json_object *sent = NULL;
    if (call->body != NULL && json_parse(call->body, call->body_len, &sent, NULL) != 0) {
        sent = NULL;
    }
    const char *name = json_text_or(sent, "/submitOptions/name", NULL);
    if (sent == NULL || answer_has(name, "sluice-")) {
        answer_is(result, ATTEMPT_ALREADY, "already-there");
    } else if (name == NULL) { /* generateName: the next one is another */
        answer_is(result, ATTEMPT_RETRY, "conflict");
    } else {
        answer_is(result, ATTEMPT_PERMANENT, "name-taken");
        answer_say(result, "a workflow has this name, maybe another event's; put "
                           "${trigger.name} in it");
    }
    json_free(sent);
}

static void classify(const struct http_call *call, struct attempt_result *result)
{
    static const char *const words[] = {"/message", "/error", NULL};
    struct json_object *doc = answer_doc(call);
    char first = answer_first(call);
    if (result->class != ATTEMPT_DONE) {
        answer_say_at(result, doc, words);
    }
    bool aborted = json_number_or(doc, "/code", -1) == CODE_ABORTED;
    json_free(doc);
    if (call->status == 409 && aborted) {
        answer_is(result, ATTEMPT_RETRY, "conflict");
    } else if (call->status == 409 && first != '<') {
        classify_taken(call, result); /* else a proxy's words */
    }
}

static int follow(const struct http_call *call, struct str *path)
{
    struct json_object *doc = answer_doc(call);
    const char *name = json_string_at(doc, "/metadata/name", NULL);
    int rc = name != NULL ? answer_path_before(call, "/submit", path) : -ENOENT;
    if (rc == 0) {
        str_addc(path, '/');
        answer_add(path, name);
        str_add(path, "?fields=status.phase,status.message,status.progress");
    }
    json_free(doc);
    return rc;
}

static void phase(int status, struct json_object *doc, struct kind_phase *out)
{
    static const struct phase_of phases[] = {{"Pending", PHASE_PENDING},
                                             {"Running", PHASE_RUNNING},
                                             {"Succeeded", PHASE_SUCCEEDED},
                                             {"Failed", PHASE_FAILED},
                                             {"Error", PHASE_FAILED},
                                             {NULL, PHASE_UNKNOWN}};
    if (!phase_is_told(status, doc, out)) {
        return;
    }
    const char *word = json_text_or(doc, "/status/phase", "");
    const char *message = json_string_at(doc, "/status/message", NULL);
    phase_read(out, phases, word[0] != '\0' ? word : "Pending",
               message != NULL ? message : json_text_or(doc, "/status/progress", ""));
}

static const char *const needs[] = {"/resourceKind", "/resourceName", NULL};

const struct kind kind_argo_workflows = {
    .name = "argo-workflows",
    .title = "Argo Workflows: submit a workflow from a template",
    .source = "argo-workflows server/workflow (SubmitWorkflow), api/openapi-spec, 3.x",
    .url_like = "https://argo.example.com/api/v1/workflows/NAMESPACE/submit",
    .needs = needs,
    .key = {"/submitOptions/name", "\"${trigger.name}\"", "/submitOptions/generateName"},
    .auth = {KIND_AUTH_BEARER, NULL},
    .rate_per_s = 20,
    .burst = 40,
    .concurrency = 8,
    .classify = classify,
    .follow = follow,
    .follow_keeps_path = true,
    .phase = phase,
    .sample = "  argo-deploy:\n"
              "    kind: argo-workflows\n"
              "    match: {branch: main}\n"
              "    url: https://argo.example.com/api/v1/workflows/cd/submit\n"
              "    token: argo_token\n"
              "    body:\n"
              "      resourceKind: WorkflowTemplate\n"
              "      resourceName: deploy\n"
              "      submitOptions:     # its name is ours, so that it runs once\n"
              "        parameters: [\"app=${event.app}\", \"commit=${event.commit}\"]\n"
              "    limits: [argo-workflows]\n"
              "    timeout: 5s\n",
};
