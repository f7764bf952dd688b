/* Jenkins' Generic Webhook Trigger: 200 also where a job's filter did not match. */
#include <errno.h>
#include <string.h>

#include "target/answer.h"
#include "target/jenkins.h"

struct jobs {
    size_t count;
    size_t triggered;
    const char *url; /* of a triggered one's queue item; in the document */
};

static struct jobs read_jobs(struct json_object *doc)
{
    struct jobs found = {0, 0, NULL};
    struct json_object *jobs = json_at(doc, "/jobs");
    if (jobs == NULL) { /* as older versions call it */
        jobs = json_at(doc, "/data/triggerResults");
    }
    if (!json_object_is_type(jobs, json_type_object)) {
        return found;
    }
    json_object_object_foreach(jobs, name, job)
    {
        (void)name;
        struct json_object *triggered = json_at(job, "/triggered");
        found.count++;
        if (json_object_is_type(triggered, json_type_boolean) &&
            json_object_get_boolean(triggered)) {
            found.triggered++;
            found.url = json_string_at(job, "/url", NULL);
        }
    }
    return found;
}

static void partly_started(struct attempt_result *result)
{
    answer_is(result, ATTEMPT_UNCERTAIN, "partly-started");
    answer_say(result, "some jobs were triggered, others failed");
}

/* The answer repeats what was sent, so it may be cut; the word alone still speaks. */
static void classify_cut(const struct http_call *call, struct attempt_result *result)
{
    bool some = answer_has(call->answer, "\"triggered\":true");
    bool none = !some && answer_has(call->answer, "\"triggered\":false");
    if (some && call->status == 500) {
        partly_started(result);
    } else if (none && call->status == 200) {
        answer_is(result, ATTEMPT_PERMANENT, "nothing-started");
        answer_say(result, "of what is kept of the answer, no job was triggered");
    }
}

/* Where all jobs are silent the answer has no document at all. */
static void classify_ok(const struct jobs *jobs, struct attempt_result *result)
{
    if (jobs->triggered == 0) {
        answer_is(result, ATTEMPT_PERMANENT, "nothing-started");
        answer_say(result, jobs->count > 0
                               ? "no job was triggered: its filter did not match"
                               : "the answer names no job that was triggered");
    }
}

static void classify(const struct http_call *call, struct attempt_result *result)
{
    struct json_object *doc = answer_doc(call);
    struct jobs jobs = read_jobs(doc);
    if (call->status == 200 && json_object_is_type(doc, json_type_object)) {
        classify_ok(&jobs, result);
    } else if (doc == NULL && (call->status == 200 || call->status == 500)) {
        classify_cut(call, result);
    } else if (call->status == 500 && jobs.triggered > 0) {
        partly_started(result);
    } else if (call->status == 403) { /* its text repeats our headers */
        answer_say(result, "the sender did not pass the whitelist");
    } else if (call->status == 404) {
        answer_say(result, "no job has this token");
    }
    json_free(doc);
}

static int follow(const struct http_call *call, struct str *path)
{
    struct json_object *doc = answer_doc(call);
    struct jobs jobs = read_jobs(doc);
    int rc = jobs.url != NULL
                 ? answer_path_before(call, "/generic-webhook-trigger/", path)
                 : -ENOENT;
    if (rc == 0) {
        struct str item;
        str_init(&item);
        str_addf(&item, "%s%s", jobs.url[0] == '/' ? "" : "/", jobs.url);
        rc = jenkins_follow_item(item.data, path);
        str_release(&item);
    }
    json_free(doc);
    return rc;
}

const struct kind kind_jenkins_gwt = {
    .name = "jenkins-gwt",
    .title = "Jenkins: the Generic Webhook Trigger plugin",
    .source = "generic-webhook-trigger-plugin GenericWebHookRequestReceiver, 2.x",
    .path = "/generic-webhook-trigger/invoke",
    .auth = {KIND_AUTH_HEADER, "token"},
    .rate_per_s = 5,
    .burst = 10,
    .concurrency = 4,
    .classify = classify,
    .follow = follow,
    .follow_keeps_path = true,
    .phase = jenkins_phase,
    .sample = "  jenkins-hook:\n"
              "    kind: jenkins-gwt\n"
              "    match: {branch: main}\n"
              "    url: https://jenkins.example.com  # /generic-webhook-trigger/invoke\n"
              "    token: jenkins_hook_token\n"
              "    # body left out: the event itself\n"
              "    limits: [jenkins-gwt]\n"
              "    timeout: 5s\n",
};
