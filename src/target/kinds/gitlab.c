/* GitLab: start a pipeline with a trigger token. The token goes in the body: a query
 * stands in logs. Newer projects let nobody set variables and declare inputs instead, so
 * whoever writes inputs says there where the key goes, and gets no variable of ours. */
#include <errno.h>

#include "target/answer.h"

enum { TOO_MANY_WAIT_MS = 60 * 1000 /* the limit is one of pipelines a minute */ };

/* Why no pipeline came of it, by the words of GitLab. */
static bool started_nothing(const char *text)
{
    static const char *const words[] = {"would have been empty", "no stages / jobs",
                                        "pipeline will not run", "prevented any jobs",
                                        "filtered out by workflow rules"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (answer_has(text, words[i])) {
            return true;
        }
    }
    return false;
}

/* "message" is a text, or an object of lists of texts. */
static void say(struct attempt_result *result, struct json_object *doc)
{
    static const char *const words[] = {"/message", "/message/base/0", "/error", NULL};
    answer_say_at(result, doc, words);
    struct json_object *message = json_at(doc, "/message");
    if (result->detail[0] == '\0' && json_object_is_type(message, json_type_object)) {
        struct str text;
        str_init(&text);
        json_print(message, &text);
        answer_say(result, text.data);
        str_release(&text);
    }
}

static void classify(const struct http_call *call, struct attempt_result *result)
{
    if (result->class == ATTEMPT_DONE) {
        return;
    }
    struct json_object *doc = answer_doc(call);
    say(result, doc);
    json_free(doc);
    if (call->status != 400) {
        return;
    }
    if (answer_has(result->detail, "too many pipelines")) {
        answer_is(result, ATTEMPT_RETRY, "rate-limit");
        result->wait_ms = TOO_MANY_WAIT_MS; /* of this project, user and commit */
    } else if (started_nothing(result->detail)) {
        answer_is(result, ATTEMPT_PERMANENT, "nothing-started");
    }
}

static int follow(const struct http_call *call, struct str *path)
{
    struct json_object *doc = answer_doc(call);
    int64_t pipeline = json_number_or(doc, "/id", -1);
    int64_t project = json_number_or(doc, "/project_id", -1);
    json_free(doc);
    if (pipeline < 0 || project < 0 ||
        answer_path_before(call, "/projects/", path) != 0) {
        return -ENOENT;
    }
    str_addf(path, "/projects/%lld/pipelines/%lld", (long long)project,
             (long long)pipeline);
    return 0;
}

static void phase(int status, struct json_object *doc, struct kind_phase *out)
{
    static const struct phase_of phases[] =
        {{"created", PHASE_PENDING},     {"waiting_for_resource", PHASE_PENDING},
         {"preparing", PHASE_PENDING},   {"pending", PHASE_PENDING},
         {"scheduled", PHASE_PENDING},   {"manual", PHASE_PENDING},
         {"running", PHASE_RUNNING},     {"success", PHASE_SUCCEEDED},
         {"failed", PHASE_FAILED},       {"canceled", PHASE_CANCELLED},
         {"canceling", PHASE_CANCELLED}, {"skipped", PHASE_CANCELLED},
         {NULL, PHASE_UNKNOWN}};
    if (phase_is_told(status, doc, out)) {
        phase_read(out, phases, json_string_at(doc, "/status", NULL),
                   json_text_or(doc, "/ref", ""));
    }
}

static const char *const needs[] = {"/ref", NULL};

const struct kind kind_gitlab = {
    .name = "gitlab",
    .title = "GitLab: start a pipeline with a trigger token",
    .source = "docs.gitlab.com api/pipeline_triggers, lib/gitlab/ci/pipeline/chain",
    .url_like = "https://gitlab.example.com/api/v4/projects/ID/trigger/pipeline",
    .body = "{\"ref\":\"${event.branch}\"}",
    .form = true,
    .needs = needs,
    .key = {"/variables/SLUICE_KEY", "\"${trigger.key}\"", "/inputs"},
    .auth = {KIND_AUTH_BODY, "/token"},
    .rate_per_s = 2,
    .burst = 5,
    .concurrency = 4,
    .classify = classify,
    .follow = follow,
    .follow_keeps_path = true,
    .phase = phase,
    .sample = "  gitlab-deploy:\n"
              "    kind: gitlab\n"
              "    match: {branch: main}\n"
              "    url: https://gitlab.example.com/api/v4/projects/42/trigger/pipeline\n"
              "    token: gitlab_trigger_token\n"
              "    body:\n"
              "      ref: main\n"
              "      variables: {APP: \"${event.app}\", COMMIT: \"${event.commit}\"}\n"
              "      # or, as declared: inputs: {app: \"${event.app}\", key: "
              "\"${trigger.key}\"}\n"
              "    limits: [gitlab]\n"
              "    timeout: 5s\n",
};
