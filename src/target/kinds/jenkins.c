/* Jenkins: build a job with parameters. Only 201 says that a build is in the queue; what
 * redirects was not taken. */
#include <errno.h>

#include "target/answer.h"
#include "target/jenkins.h"

static void classify(const struct http_call *call, struct attempt_result *result)
{
    bool redirect = call->status >= 300 && call->status < 400;
    if (redirect || (result->class == ATTEMPT_DONE && call->status != 201)) {
        answer_is(result, ATTEMPT_PERMANENT, "nothing-started");
        answer_say(result, redirect ? "the queue did not take it, or the address is wrong"
                                    : "only 201 says that a build is in the queue");
    } else if (call->status == 409) {
        answer_is(result, ATTEMPT_PERMANENT, "not-buildable");
        answer_say(result, "the job is disabled or cannot be built");
    } else if (call->status == 500 && answer_has(call->answer, "is not parameterized")) {
        answer_is(result, ATTEMPT_PERMANENT, "not-parameterized");
        answer_say(result, "the job has no parameters; its url ends in /build then");
    }
}

static int follow(const struct http_call *call, struct str *path)
{
    char location[KIND_FOLLOW_MAX];
    if (http_answer_header(call, "location", location, sizeof(location)) == NULL) {
        return -ENOENT;
    }
    const char *item = answer_own_path(call, location);
    return item != NULL ? jenkins_follow_item(item, path) : -ENOENT;
}

const struct kind kind_jenkins = {
    .name = "jenkins",
    .title = "Jenkins: build a job with parameters",
    .source = "jenkins core ParameterizedJobMixIn, ParametersDefinitionProperty, Queue",
    .url_like = "https://jenkins.example.com/job/FOLDER/job/NAME/buildWithParameters",
    .form = true,
    .key = {"/SLUICE_KEY", "\"${trigger.key}\"", NULL},
    .auth = {KIND_AUTH_BASIC, NULL},
    .rate_per_s = 2,
    .burst = 5,
    .concurrency = 2,
    .any_body = true,
    .classify = classify,
    .follow = follow,
    .phase = jenkins_phase,
    .sample =
        "  jenkins-deploy:\n"
        "    kind: jenkins\n"
        "    match: {branch: main}\n"
        "    url: https://jenkins.example.com/job/cd/job/deploy/buildWithParameters\n"
        "    token: jenkins_login  # the secret holds user:api-token\n"
        "    # declare SLUICE_KEY too: equal builds in the queue become one\n"
        "    body: {APP: \"${event.app}\", COMMIT: \"${event.commit}\"}\n"
        "    limits: [jenkins]\n"
        "    timeout: 5s\n",
};
