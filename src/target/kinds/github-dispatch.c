/* GitHub: a repository_dispatch event. */
#include "target/answer.h"
#include "target/github.h"

enum { PAYLOAD_MAX = 10 /* properties of client_payload; more are refused, 422 */ };

static const char *const needs[] = {"/event_type", NULL};

const struct kind kind_github_dispatch = {
    .name = "github-dispatch",
    .title = "GitHub: a repository_dispatch event",
    .source = "docs.github.com REST API: repos/dispatches, rate limits, best practices",
    .url_like = "https://api.github.com/repos/OWNER/REPO/dispatches",
    .headers = github_headers,
    .body =
        "{\"event_type\":\"ci-succeeded\",\"client_payload\":{\"app\":\"${event.app}\","
        "\"commit\":\"${event.commit}\"}}",
    .needs = needs,
    .key = {"/client_payload/sluice_key", "\"${trigger.key}\"", NULL},
    .key_room = PAYLOAD_MAX,
    .auth = {KIND_AUTH_BEARER, NULL},
    .rate_per_s = 1,
    .burst = 1,
    .concurrency = 1,
    .classify = github_classify,
    .sample =
        "  github-deploy:\n"
        "    kind: github-dispatch\n"
        "    match: {repo: \"acme/*\", branch: main}\n"
        "    url: https://api.github.com/repos/acme/deploy/dispatches\n"
        "    token: github_token\n"
        "    body:\n"
        "      event_type: ci-succeeded\n"
        "      client_payload: {app: \"${event.app}\", commit: \"${event.commit}\"}\n"
        "    limits: [github-dispatch]\n"
        "    timeout: 5s\n",
};
