#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../producer/ci.h"

enum { VARS_MAX = 12 };

struct expectation {
    enum event_field field;
    const char *text; /* NULL: not filled */
};

/* An environment and what it must mean. */
struct row {
    const char *system; /* NULL: none */
    const char *vars[VARS_MAX];
    struct expectation facts[8];
};

static const char *lookup(void *arg, const char *name)
{
    const char *const *vars = arg;
    size_t len = strlen(name);
    for (size_t i = 0; i < VARS_MAX && vars[i]; i++) {
        if (strncmp(vars[i], name, len) == 0 && vars[i][len] == '=') {
            return vars[i] + len + 1;
        }
    }
    return NULL;
}

static void check(const struct row *row)
{
    struct facts facts;
    facts_init(&facts);
    const char *system = ci_detect(lookup, (void *)row->vars, &facts);
    if (!row->system) {
        assert_null(system);
    } else {
        assert_non_null(system);
        assert_string_equal(system, row->system);
    }
    for (size_t i = 0; i < 8 && (row->facts[i].text || row->facts[i].field); i++) {
        const char *text = facts.field[row->facts[i].field];
        if (!row->facts[i].text) {
            assert_null(text);
        } else {
            assert_non_null(text);
            assert_string_equal(text, row->facts[i].text);
        }
    }
    facts_release(&facts);
}

static void ci__finds_none_where_there_is_none(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {NULL, {"HOME=/x"}, {{EVENT_REPO, NULL}}},
        {NULL, {"CI="}, {{EVENT_REPO, NULL}}},
        {NULL, {"CI=false", "CI_COMMIT_SHA=abc"}, {{EVENT_COMMIT, NULL}}},
        {NULL, {"GITHUB_ACTIONS=false", "GITHUB_SHA=abc"}, {{EVENT_COMMIT, NULL}}},
        {NULL, {"GITHUB_SHA=abc"}, {{EVENT_COMMIT, NULL}}},
        {NULL, {"TEKTON_PIPELINE_RUN="}, {{EVENT_RUN, NULL}}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check(&rows[i]);
    }
}

static void ci__reads_github_actions(void **state)
{
    (void)state;
    static const struct row push =
        {"GitHub Actions",
         {"CI=true", "GITHUB_ACTIONS=true", "GITHUB_REPOSITORY=acme/api",
          "GITHUB_SHA=3f9c2e1d", "GITHUB_REF_NAME=main",
          "GITHUB_HEAD_REF=", "GITHUB_WORKFLOW=build", "GITHUB_RUN_ID=88123",
          "GITHUB_SERVER_URL=https://github.com"},
         {{EVENT_REPO, "acme/api"},
          {EVENT_COMMIT, "3f9c2e1d"},
          {EVENT_BRANCH, "main"},
          {EVENT_PIPELINE, "build"},
          {EVENT_RUN, "88123"},
          {EVENT_RUN_URL, "https://github.com/acme/api/actions/runs/88123"}}};
    static const struct row pull = {"GitHub Actions",
                                    {"GITHUB_ACTIONS=true", "GITHUB_REF_NAME=12/merge",
                                     "GITHUB_HEAD_REF=fix"},
                                    {{EVENT_BRANCH, "fix"}, {EVENT_RUN_URL, NULL}}};
    check(&push);
    check(&pull);
}

static void ci__reads_gitlab(void **state)
{
    (void)state;
    static const struct row branch = {"GitLab CI",
                                      {"CI=true", "GITLAB_CI=true",
                                       "CI_PROJECT_PATH=acme/team/api",
                                       "CI_PROJECT_NAME=api", "CI_COMMIT_SHA=3f9c",
                                       "CI_COMMIT_BRANCH=main", "CI_COMMIT_REF_NAME=main",
                                       "CI_PIPELINE_ID=77",
                                       "CI_PIPELINE_URL=https://g/77"},
                                      {{EVENT_APP, "api"},
                                       {EVENT_REPO, "acme/team/api"},
                                       {EVENT_COMMIT, "3f9c"},
                                       {EVENT_BRANCH, "main"},
                                       {EVENT_PIPELINE, NULL},
                                       {EVENT_RUN, "77"},
                                       {EVENT_RUN_URL, "https://g/77"}}};
    static const struct row merge_request =
        {"GitLab CI",
         {"GITLAB_CI=true", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME=fix",
          "CI_COMMIT_REF_NAME=refs/merge-requests/1/head", "CI_PIPELINE_NAME=Deploy"},
         {{EVENT_BRANCH, "fix"}, {EVENT_PIPELINE, "Deploy"}}};
    check(&branch);
    check(&merge_request);
}

static void ci__reads_jenkins(void **state)
{
    (void)state;
    static const struct row multibranch =
        {"Jenkins",
         {"JENKINS_URL=https://ci/",
          "GIT_URL=https://user:secret@git.acme.io/acme/api.git", "GIT_COMMIT=3f9c",
          "GIT_BRANCH=origin/main", "BRANCH_NAME=main", "JOB_NAME=acme/api/main",
          "BUILD_NUMBER=12", "BUILD_URL=https://ci/12/"},
         {{EVENT_REPO, "acme/api"},
          {EVENT_COMMIT, "3f9c"},
          {EVENT_BRANCH, "main"},
          {EVENT_PIPELINE, "acme/api/main"},
          {EVENT_RUN, "12"},
          {EVENT_RUN_URL, "https://ci/12/"}}};
    static const struct row freestyle = {"Jenkins",
                                         {"JENKINS_URL=https://ci/",
                                          "GIT_URL=git@git.acme.io:acme/api.git",
                                          "GIT_BRANCH=origin/release/2"},
                                         {{EVENT_REPO, "acme/api"},
                                          {EVENT_BRANCH, "release/2"}}};
    static const struct row change = {"Jenkins",
                                      {"JENKINS_URL=https://ci/", "BRANCH_NAME=PR-7",
                                       "CHANGE_BRANCH=fix"},
                                      {{EVENT_BRANCH, "fix"}}};
    check(&multibranch);
    check(&freestyle);
    check(&change);
}

static void ci__reads_tekton(void **state)
{
    (void)state;
    static const struct row row =
        {"Tekton",
         {"TEKTON_PIPELINE_RUN=api-run-x7", "TEKTON_PIPELINE=api", "TEKTON_NAMESPACE=ci",
          "TEKTON_DASHBOARD_URL=https://tekton.acme.io",
          "GIT_URL=ssh://git@git.acme.io/acme/api", "GIT_COMMIT=3f9c",
          "GIT_REVISION=refs/heads/main", "IMAGE_URL=ghcr.io/acme/api:1",
          "IMAGE_DIGEST=sha256:ab"},
         {{EVENT_REPO, "acme/api"},
          {EVENT_COMMIT, "3f9c"},
          {EVENT_BRANCH, "main"},
          {EVENT_PIPELINE, "api"},
          {EVENT_RUN, "api-run-x7"},
          {EVENT_RUN_URL,
           "https://tekton.acme.io/#/namespaces/ci/pipelineruns/api-run-x7"},
          {EVENT_IMAGE, "ghcr.io/acme/api:1"},
          {EVENT_DIGEST, "sha256:ab"}}};
    check(&row);
}

static void ci__reads_any_other(void **state)
{
    (void)state;
    static const struct row row = {"CI",
                                   {"CI=true", "CI_REPO=acme/api", "CI_COMMIT_SHA=3f9c",
                                    "CI_COMMIT_BRANCH=main", "CI_PIPELINE_NUMBER=5",
                                    "CI_PIPELINE_URL=https://w/5"},
                                   {{EVENT_REPO, "acme/api"},
                                    {EVENT_COMMIT, "3f9c"},
                                    {EVENT_BRANCH, "main"},
                                    {EVENT_RUN, "5"},
                                    {EVENT_RUN_URL, "https://w/5"}}};
    check(&row);
}

static void ci__what_is_known_already_stays(void **state)
{
    (void)state;
    static const char *const vars[VARS_MAX] = {"JENKINS_URL=x",
                                               "GIT_URL=https://h/acme/api.git",
                                               "GIT_COMMIT=3f9c"};
    struct facts facts;
    facts_init(&facts);
    facts_put(&facts, EVENT_REPO, "git@host:as/given.git");
    assert_non_null(ci_detect(lookup, (void *)vars, &facts));
    assert_string_equal(facts.field[EVENT_REPO], "git@host:as/given.git");
    assert_string_equal(facts.field[EVENT_COMMIT], "3f9c");
    facts_release(&facts);
}

static void ci__repositories_lose_host_and_credentials(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"https://github.com/acme/api.git", "acme/api"},
        {"https://user:to%40ken@github.com/acme/api", "acme/api"},
        {"https://github.com/acme/api/", "acme/api"},
        {"https://github.com/acme/api.git?x=1#y", "acme/api"},
        {"ssh://git@host:2222/acme/api.git", "acme/api"},
        {"git@github.com:acme/api.git", "acme/api"},
        {"https://gitlab.com/a/b/c.git", "a/b/c"},
        {"file:///srv/git/api.git", "srv/git/api"},
        {"acme/api", "acme/api"},
        {"https://host", "host"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *repo = ci_repo_of_url(rows[i][0]);
        assert_string_equal(repo, rows[i][1]);
        free(repo);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
