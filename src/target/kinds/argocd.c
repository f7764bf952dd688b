/* Argo CD: sync an application. */
#include <errno.h>

#include "target/answer.h"

enum {
    CODE_PERMISSION_DENIED = 7,      /* of gRPC, in the body of a 403 */
    CODE_FAILED_PRECONDITION = 9,    /* in the body of a 400 */
    IN_PROGRESS_WAIT_MS = 5000,      /* a sync takes some seconds at least */
    SYNC_WINDOW_WAIT_MS = 60 * 1000, /* windows open at whole minutes */
};

/* What else a sync is refused for; none of it gets better by itself. */
static const char *refusal(const char *text)
{
    static const struct {
        const char *says;
        const char *reason;
    } refusals[] = {
        {"is deleting", "deleting"},
        {"auto-sync", "auto-sync"},
        {"automatic sync", "auto-sync"},
        {"resolve", "revision"},
    };
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        if (answer_has(text, refusals[i].says)) {
            return refusals[i].reason;
        }
    }
    return "precondition";
}

static void in_progress(struct attempt_result *result)
{
    answer_is(result, ATTEMPT_RETRY, "in-progress");
    result->wait_ms = IN_PROGRESS_WAIT_MS;
}

static void sync_window(struct attempt_result *result)
{
    answer_is(result, ATTEMPT_HELD, "sync-window");
    result->wait_ms = SYNC_WINDOW_WAIT_MS;
}

/* The end of the answer was not kept, or never came: its words still speak. */
static void classify_cut(const struct http_call *call, struct attempt_result *result)
{
    if (call->status == 400 &&
        answer_has(call->answer, "another operation is already in progress")) {
        in_progress(result);
    } else if (call->status == 403 &&
               answer_has(call->answer, "blocked by sync window")) {
        sync_window(result);
    }
}

static void classify(const struct http_call *call, struct attempt_result *result)
{
    static const char *const words[] = {"/message", "/error", NULL};
    struct json_object *doc = answer_doc(call);
    int64_t code = json_number_or(doc, "/code", -1);
    if (result->class != ATTEMPT_DONE) {
        answer_say_at(result, doc, words);
    }
    bool cut = doc == NULL && answer_first(call) == '{';
    json_free(doc);
    if (cut) {
        classify_cut(call, result);
    } else if (call->status == 400 && code == CODE_FAILED_PRECONDITION) {
        if (answer_has(result->detail, "already in progress")) {
            in_progress(result);
        } else {
            answer_is(result, ATTEMPT_PERMANENT, refusal(result->detail));
        }
    } else if (call->status == 403 && code == CODE_PERMISSION_DENIED &&
               answer_has(result->detail, "sync window")) {
        sync_window(result);
    }
}

static int follow(const struct http_call *call, struct str *path)
{
    struct json_object *doc = answer_doc(call);
    const char *ns = json_string_at(doc, "/metadata/namespace", NULL);
    int rc = answer_path_before(call, "/sync", path);
    if (rc == 0 && ns != NULL) {
        str_add(path, "?appNamespace=");
        answer_add(path, ns);
    }
    json_free(doc);
    return rc;
}

static void phase(int status, struct json_object *doc, struct kind_phase *out)
{
    static const struct phase_of phases[] = {{"Running", PHASE_RUNNING},
                                             {"Succeeded", PHASE_SUCCEEDED},
                                             {"Failed", PHASE_FAILED},
                                             {"Error", PHASE_FAILED},
                                             {"Terminating", PHASE_CANCELLED},
                                             {NULL, PHASE_UNKNOWN}};
    struct str more;
    if (!phase_is_told(status, doc, out)) {
        return;
    }
    const char *word = json_string_at(doc, "/status/operationState/phase", NULL);
    if (json_at(doc, "/operation") != NULL && word == NULL) {
        out->phase = PHASE_PENDING; /* recorded, the controller has not taken it up */
        return;
    }
    str_init(&more);
    str_addf(&more, "%s %s %s", json_text_or(doc, "/status/sync/status", ""),
             json_text_or(doc, "/status/health/status", ""),
             json_text_or(doc, "/status/operationState/message", ""));
    phase_read(out, phases, word, more.data);
    str_release(&more);
}

const struct kind kind_argocd = {
    .name = "argocd",
    .title = "Argo CD: sync an application",
    .source = "argo-cd server/application (Sync), util/argo (SetAppOperation), 2.x",
    .path = "/api/v1/applications/${event.app}/sync",
    .body = "{\"revision\":\"${event.commit}\"}",
    .key = {"/infos/-", "{\"name\":\"sluice-key\",\"value\":\"${trigger.key}\"}", NULL},
    .auth = {KIND_AUTH_BEARER, NULL},
    .rate_per_s = 50,
    .burst = 100,
    .concurrency = 16,
    .classify = classify,
    .follow = follow,
    .follow_keeps_path = true,
    .phase = phase,
    .sample = "  argocd-prod:\n"
              "    kind: argocd\n"
              "    match: {branch: main, app: \"payments-*\"}\n"
              "    url: https://argocd.example.com  # /api/v1/applications/<app>/sync\n"
              "    token: argocd_token\n"
              "    body: {revision: \"${event.commit}\", prune: false}\n"
              "    limits: [argocd]\n"
              "    timeout: 5s\n",
};
