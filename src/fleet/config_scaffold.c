/* A file to begin with. Each kind passes the check as it stands. */
#include "fleet/config_private.h"

#include <errno.h>
#include <string.h>

static const char head[] =
    "# yaml-language-server: $schema=./sluice.schema.json\n"
    "# (sluice-consumer config schema > sluice.schema.json)\n"
    "# Every key: sluice-consumer help config\n"
    "\n"
    "kafka:\n"
    "  brokers: [localhost:9092]\n"
    "  topic: ci.succeeded\n"
    "  group: sluice            # also in the names of the retry and dead-letter topics\n"
    "  start: latest            # a new group: latest | earliest\n"
    "\n"
    "batch: {size: 5, age: 200ms}\n"
    "in_flight: 64              # HTTP calls of one process at a time\n"
    "\n"
    "redis:\n"
    "  url: redis://localhost:6379/0\n"
    "  # password_file: /run/secrets/redis_password\n"
    "\n"
    "limits:                    # over the whole fleet, one bucket each\n";

static const char tail[] = "    retry: {hold: 10s, backoff: 200ms..5s, budget: 2h}\n"
                           "    on_uncertain: retry    # sent, no answer: retry | dead\n"
                           "    order: key             # per key, or none\n"
                           "\n"
                           "http: {listen: 127.0.0.1:9464}   # /livez /readyz /metrics\n";

static const struct {
    const char *kind;
    const char *text;
    const char *secrets;
} kinds[] = {
    {"http",
     "  deploy: {rate: 50/s, burst: 100}\n"
     "\n"
     "targets:\n"
     "  deploy:\n"
     "    match: {branch: main}  # globs; all must match\n"
     "    url: https://cd.example.com/deploy/${event.app}\n"
     "    headers: {authorization: \"Bearer ${secret.deploy_token}\"}\n"
     "    # body left out: the event itself\n"
     "    limits: [deploy]\n"
     "    timeout: 5s\n",
     "\nsecrets:\n  deploy_token: {file: /run/secrets/deploy_token}\n"},
    {"argocd",
     "  argocd: {rate: 50/s, burst: 100}\n"
     "\n"
     "targets:\n"
     "  argocd-prod:\n"
     "    match: {branch: main, app: \"payments-*\"}\n"
     "    url: https://argocd.example.com/api/v1/applications/${event.app}/sync\n"
     "    headers: {authorization: \"Bearer ${secret.argocd_token}\"}\n"
     "    body: {revision: \"${event.commit}\"}\n"
     "    limits: [argocd]\n"
     "    timeout: 5s\n",
     "\nsecrets:\n  argocd_token: {file: /run/secrets/argocd_token}\n"},
    {"github",
     "  github: {rate: 1000/h, burst: 10}\n"
     "\n"
     "targets:\n"
     "  github-deploy:\n"
     "    match: {repo: \"acme/*\", branch: main}\n"
     "    url: https://api.github.com/repos/acme/deploy/dispatches\n"
     "    headers:\n"
     "      authorization: \"Bearer ${secret.github_token}\"\n"
     "      accept: application/vnd.github+json\n"
     "      x-github-api-version: \"2022-11-28\"\n"
     "    body:\n"
     "      event_type: ci-succeeded\n"
     "      client_payload: {app: \"${event.app}\", commit: \"${event.commit}\"}\n"
     "    limits: [github]\n"
     "    timeout: 5s\n",
     "\nsecrets:\n  github_token: {file: /run/secrets/github_token}\n"},
    {"devtron",
     "  devtron: {rate: 20/s, burst: 20}\n"
     "\n"
     "targets:\n"
     "  devtron-prod:\n"
     "    match: {branch: main}\n"
     "    # the external CI webhook of a CD pipeline; 123 is its id\n"
     "    url: https://devtron.example.com/orchestrator/webhook/ext-ci/123\n"
     "    headers: {api-token: \"${secret.devtron_token}\"}\n"
     "    body: {dockerImage: \"${event.image}\"}\n"
     "    limits: [devtron]\n"
     "    timeout: 5s\n",
     "\nsecrets:\n  devtron_token: {file: /run/secrets/devtron_token}\n"},
};

int config_scaffold(const char *kind, struct str *out, struct err *err)
{
    struct str known;
    str_init(&known);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].kind, kind) == 0) {
            str_addf(out, "%s%s%s%s", head, kinds[i].text, tail, kinds[i].secrets);
            str_release(&known);
            return 0;
        }
        str_addf(&known, "%s%s", i > 0 ? ", " : "", kinds[i].kind);
    }
    err_set(err, -EINVAL, "no sample for \"%.60s\"; there are %s", kind, known.data);
    str_release(&known);
    return -EINVAL;
}
