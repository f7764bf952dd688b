/* The variables are those each system documents. Tekton sets none: a task hands them over
 * under the names below, for example
 *
 *     env:
 *       - {name: TEKTON_PIPELINE_RUN, value: $(context.pipelineRun.name)}
 *       - {name: TEKTON_PIPELINE, value: $(context.pipeline.name)}
 *       - {name: GIT_URL, value: $(tasks.clone.results.url)}
 *       - {name: GIT_COMMIT, value: $(tasks.clone.results.commit)} */
#include "ci.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum { NAMES_MAX = 6 };

/* Where a fact may stand; the first variable that is set wins. */
struct source {
    enum event_field field;
    const char *names[NAMES_MAX];
};

struct ci {
    const char *name;
    const char *mark;             /* set here and nowhere else */
    const char *value;            /* to this; NULL: to anything */
    const struct source *sources; /* ended by one without a name */
    void (*finish)(ci_env_fn *env, void *arg, struct facts *facts);
};

static const char *get(ci_env_fn *env, void *arg, const char *name)
{
    const char *text = env(arg, name);
    return text && text[0] != '\0' ? text : NULL;
}

static void replace(struct facts *facts, enum event_field field, char *text)
{
    free(facts->field[field]);
    facts->field[field] = text;
}

char *ci_repo_of_url(const char *url)
{
    const char *start = url;
    const char *scheme = strstr(url, "://");
    const char *colon = strchr(url, ':');
    const char *at = strchr(url, '@');
    if (scheme) {
        const char *path = strchr(scheme + 3, '/');
        start = path ? path + 1 : scheme + 3;
    } else if (colon && at && at < colon) { /* git@host:acme/api.git */
        start = colon + 1;
    }
    while (*start == '/') {
        start++;
    }
    size_t len = strcspn(start, "?#");
    while (len > 0 && start[len - 1] == '/') {
        len--;
    }
    if (len > 4 && strncmp(start + len - 4, ".git", 4) == 0) {
        len -= 4;
    }
    return mem_strndup(start, len);
}

static void finish_github(ci_env_fn *env, void *arg, struct facts *facts)
{
    const char *server = get(env, arg, "GITHUB_SERVER_URL");
    const char *repo = get(env, arg, "GITHUB_REPOSITORY");
    const char *run = get(env, arg, "GITHUB_RUN_ID");
    if (server && repo && run) {
        struct str url;
        str_init(&url);
        str_addf(&url, "%s/%s/actions/runs/%s", server, repo, run);
        facts_put(facts, EVENT_RUN_URL, url.data);
        str_release(&url);
    }
}

/* The repository may have been filled from a clone URL, the branch from a remote's ref.
 */
static void finish_git(ci_env_fn *env, void *arg, struct facts *facts)
{
    (void)env;
    (void)arg;
    const char *repo = facts->field[EVENT_REPO];
    const char *branch = facts->field[EVENT_BRANCH];
    if (repo && (strstr(repo, "://") || strchr(repo, '@'))) {
        replace(facts, EVENT_REPO, ci_repo_of_url(repo));
    }
    if (branch && text_starts(branch, "refs/heads/")) {
        replace(facts, EVENT_BRANCH, mem_strdup(branch + strlen("refs/heads/")));
    } else if (branch && text_starts(branch, "origin/")) {
        replace(facts, EVENT_BRANCH, mem_strdup(branch + strlen("origin/")));
    }
}

static void finish_tekton(ci_env_fn *env, void *arg, struct facts *facts)
{
    const char *dashboard = get(env, arg, "TEKTON_DASHBOARD_URL");
    const char *namespace = get(env, arg, "TEKTON_NAMESPACE");
    const char *run = get(env, arg, "TEKTON_PIPELINE_RUN");
    if (dashboard && namespace && run) {
        struct str url;
        str_init(&url);
        str_addf(&url, "%s/#/namespaces/%s/pipelineruns/%s", dashboard, namespace, run);
        facts_put(facts, EVENT_RUN_URL, url.data);
        str_release(&url);
    }
    finish_git(env, arg, facts);
}

static const struct source github[] = {
    {EVENT_REPO, {"GITHUB_REPOSITORY"}},
    {EVENT_COMMIT, {"GITHUB_SHA"}},
    {EVENT_BRANCH, {"GITHUB_HEAD_REF", "GITHUB_REF_NAME"}},
    {EVENT_PIPELINE, {"GITHUB_WORKFLOW"}},
    {EVENT_RUN, {"GITHUB_RUN_ID"}},
    {EVENT_REPO, {NULL}},
};

static const struct source gitlab[] = {
    {EVENT_APP, {"CI_PROJECT_NAME"}},
    {EVENT_REPO, {"CI_PROJECT_PATH"}},
    {EVENT_COMMIT, {"CI_COMMIT_SHA"}},
    {EVENT_BRANCH,
     {"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_BRANCH", "CI_COMMIT_REF_NAME"}},
    {EVENT_PIPELINE, {"CI_PIPELINE_NAME"}},
    {EVENT_RUN, {"CI_PIPELINE_ID"}},
    {EVENT_RUN_URL, {"CI_PIPELINE_URL"}},
    {EVENT_REPO, {NULL}},
};

static const struct source jenkins[] = {
    {EVENT_REPO, {"GIT_URL", "GIT_URL_1"}},
    {EVENT_COMMIT, {"GIT_COMMIT"}},
    {EVENT_BRANCH, {"CHANGE_BRANCH", "BRANCH_NAME", "GIT_LOCAL_BRANCH", "GIT_BRANCH"}},
    {EVENT_PIPELINE, {"JOB_NAME"}},
    {EVENT_RUN, {"BUILD_NUMBER"}},
    {EVENT_RUN_URL, {"BUILD_URL"}},
    {EVENT_REPO, {NULL}},
};

static const struct source tekton[] = {
    {EVENT_REPO, {"GIT_URL"}},
    {EVENT_COMMIT, {"GIT_COMMIT"}},
    {EVENT_BRANCH, {"GIT_BRANCH", "GIT_REVISION"}},
    {EVENT_IMAGE, {"IMAGE_URL", "IMAGE"}},
    {EVENT_DIGEST, {"IMAGE_DIGEST"}},
    {EVENT_PIPELINE, {"TEKTON_PIPELINE"}},
    {EVENT_RUN, {"TEKTON_PIPELINE_RUN"}},
    {EVENT_REPO, {NULL}},
};

static const struct source generic[] = {
    {EVENT_REPO, {"CI_REPO", "CI_REPOSITORY", "CI_REPO_URL", "GIT_URL"}},
    {EVENT_COMMIT, {"CI_COMMIT_SHA", "CI_COMMIT", "GIT_COMMIT", "COMMIT_SHA"}},
    {EVENT_BRANCH, {"CI_COMMIT_BRANCH", "CI_BRANCH", "GIT_BRANCH"}},
    {EVENT_PIPELINE, {"CI_PIPELINE_NAME", "CI_WORKFLOW_NAME", "JOB_NAME"}},
    {EVENT_RUN,
     {"CI_PIPELINE_ID", "CI_PIPELINE_NUMBER", "CI_BUILD_NUMBER", "BUILD_NUMBER",
      "BUILD_ID"}},
    {EVENT_RUN_URL, {"CI_PIPELINE_URL", "CI_BUILD_URL", "BUILD_URL"}},
    {EVENT_REPO, {NULL}},
};

static const struct ci systems[] = {
    {"GitHub Actions", "GITHUB_ACTIONS", "true", github, finish_github},
    {"GitLab CI", "GITLAB_CI", "true", gitlab, NULL},
    {"Jenkins", "JENKINS_URL", NULL, jenkins, finish_git},
    {"Tekton", "TEKTON_PIPELINE_RUN", NULL, tekton, finish_tekton},
    {"CI", "CI", "true", generic, finish_git},
};

static bool is_here(const struct ci *ci, ci_env_fn *env, void *arg)
{
    const char *mark = get(env, arg, ci->mark);
    return mark && (!ci->value || strcmp(mark, ci->value) == 0);
}

static void fill(const struct ci *ci, ci_env_fn *env, void *arg, struct facts *facts)
{
    for (const struct source *s = ci->sources; s->names[0]; s++) {
        for (size_t i = 0; i < NAMES_MAX && s->names[i]; i++) {
            facts_put(facts, s->field, get(env, arg, s->names[i]));
        }
    }
    if (ci->finish) {
        ci->finish(env, arg, facts);
    }
}

const char *ci_detect(ci_env_fn *env, void *arg, struct facts *facts)
{
    for (size_t i = 0; i < sizeof systems / sizeof systems[0]; i++) {
        const struct ci *ci = &systems[i];
        if (!is_here(ci, env, arg)) {
            continue;
        }
        struct facts found;
        facts_init(&found);
        fill(ci, env, arg, &found);
        for (int field = 0; field < EVENT_FIELD_COUNT; field++) {
            facts_put(facts, (enum event_field)field, found.field[field]);
        }
        facts_release(&found);
        return ci->name;
    }
    return NULL;
}
