/* GitHub: run a workflow (workflow_dispatch). Inputs are declared in the workflow and
 * others refused, so the key is put there by configuration only. */
#include <errno.h>

#include "target/answer.h"
#include "target/github.h"

/* Only who asks for return_run_details is told what was started. */
static int follow(const struct http_call *call, struct str *path)
{
    struct json_object *doc = answer_doc(call);
    int64_t run = json_number_or(doc, "/workflow_run_id", -1);
    json_free(doc);
    if (run < 0 || answer_path_before(call, "/workflows/", path) != 0) {
        return -ENOENT;
    }
    str_addf(path, "/runs/%lld", (long long)run);
    return 0;
}

static void phase(int status, struct json_object *doc, struct kind_phase *out)
{
    static const struct phase_of phases[] = {{"queued", PHASE_PENDING},
                                             {"requested", PHASE_PENDING},
                                             {"waiting", PHASE_PENDING},
                                             {"pending", PHASE_PENDING},
                                             {"in_progress", PHASE_RUNNING},
                                             {"success", PHASE_SUCCEEDED},
                                             {"neutral", PHASE_SUCCEEDED},
                                             {"skipped", PHASE_CANCELLED},
                                             {"cancelled", PHASE_CANCELLED},
                                             {"stale", PHASE_CANCELLED},
                                             {"failure", PHASE_FAILED},
                                             {"timed_out", PHASE_FAILED},
                                             {"startup_failure", PHASE_FAILED},
                                             {"action_required", PHASE_PENDING},
                                             {NULL, PHASE_UNKNOWN}};
    if (!phase_is_told(status, doc, out)) {
        return;
    }
    const char *conclusion = json_string_at(doc, "/conclusion", NULL);
    const char *word =
        conclusion != NULL ? conclusion : json_string_at(doc, "/status", NULL);
    phase_read(out, phases, word, json_text_or(doc, "/display_title", ""));
}

static const char *const needs[] = {"/ref", NULL};

const struct kind kind_github_workflow = {
    .name = "github-workflow",
    .title = "GitHub: run a workflow (workflow_dispatch)",
    .source = "docs.github.com REST API: actions/workflows dispatches, workflow runs",
    .url_like =
        "https://api.github.com/repos/OWNER/REPO/actions/workflows/FILE/dispatches",
    .headers = github_headers,
    .body = "{\"ref\":\"${event.branch}\",\"return_run_details\":true}",
    .needs = needs,
    .auth = {KIND_AUTH_BEARER, NULL},
    .rate_per_s = 1,
    .burst = 1,
    .concurrency = 1,
    .classify = github_classify,
    .follow = follow,
    .follow_keeps_path = true,
    .phase = phase,
    .sample =
        "  github-run:\n"
        "    kind: github-workflow\n"
        "    match: {repo: \"acme/*\", branch: main}\n"
        "    url: "
        "https://api.github.com/repos/acme/deploy/actions/workflows/deploy.yml/"
        "dispatches\n"
        "    token: github_token\n"
        "    body:\n"
        "      ref: main\n"
        "      return_run_details: true   # leave out where the server is older\n"
        "      inputs: {app: \"${event.app}\", key: \"${trigger.key}\"}  # as declared\n"
        "    limits: [github-workflow]\n"
        "    timeout: 5s\n",
};
