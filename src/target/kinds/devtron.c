/* Devtron: the webhook of an external CI, which makes an artifact and deploys it where
 * that is automatic. */
#include "target/answer.h"

static void classify(const struct http_call *call, struct attempt_result *result)
{
    static const char *const words[] = {"/errors/0/userMessage",
                                        "/errors/0/internalMessage", "/status", NULL};
    struct json_object *doc = answer_doc(call);
    int64_t code = json_number_or(doc, "/code", call->status);
    if (result->class != ATTEMPT_DONE) {
        answer_say_at(result, doc, words);
    } else if (code >= 400 &&
               code <= 599) { /* some handlers say 200 and mean it only in part */
        answer_is(result, ATTEMPT_PERMANENT, "nothing-started");
        answer_say_at(result, doc, words);
    }
    json_free(doc);
}

const struct kind kind_devtron = {
    .name = "devtron",
    .title = "Devtron: the webhook of an external CI",
    .source = "devtron api/restHandler/ExternalCiRestHandler.go, 2.x",
    .url_like = "https://devtron.example.com/orchestrator/webhook/ext-ci/ID",
    .body = "{\"dockerImage\":\"${event.image}\"}",
    .auth = {KIND_AUTH_HEADER, "api-token"},
    .rate_per_s = 20,
    .burst = 20,
    .concurrency = 4,
    .classify = classify,
    .sample = "  devtron-prod:\n"
              "    kind: devtron\n"
              "    match: {branch: main}\n"
              "    # 123 is the id of the external CI\n"
              "    url: https://devtron.example.com/orchestrator/webhook/ext-ci/123\n"
              "    token: devtron_token   # in api-token, as ext-ci wants it; elsewhere\n"
              "    # the header token, to be set under headers in its place\n"
              "    body: {dockerImage: \"${event.image}\"}\n"
              "    limits: [devtron]\n"
              "    timeout: 5s\n",
};
