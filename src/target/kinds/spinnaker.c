/* Spinnaker: a webhook that triggers pipelines. It takes what nobody listens for, and
 * says of each event that it was processed: a document that does not is not its own. */
#include "target/answer.h"

static void classify(const struct http_call *call, struct attempt_result *result)
{
    static const char *const words[] = {"/message", "/error", NULL};
    struct json_object *doc = answer_doc(call);
    struct json_object *processed = json_at(doc, "/eventProcessed");
    if (result->class != ATTEMPT_DONE) {
        answer_say_at(result, doc, words);
    } else if (json_object_is_type(doc, json_type_object) &&
               !(json_object_is_type(processed, json_type_boolean) &&
                 json_object_get_boolean(processed))) {
        answer_is(result, ATTEMPT_PERMANENT, "nothing-started");
        answer_say(result, "it does not say that the event was processed");
    }
    json_free(doc);
}

const struct kind kind_spinnaker = {
    .name = "spinnaker",
    .title = "Spinnaker: a webhook that triggers pipelines",
    .source = "spinnaker echo WebhooksController",
    .url_like = "https://gate.example.com/webhooks/webhook/SOURCE",
    .key = {"/sluice_key", "\"${trigger.key}\"", NULL},
    .auth = {KIND_AUTH_BEARER, NULL},
    .rate_per_s = 10,
    .burst = 20,
    .concurrency = 8,
    .classify = classify,
    .sample =
        "  spinnaker-deploy:\n"
        "    kind: spinnaker\n"
        "    match: {branch: main}\n"
        "    url: https://gate.example.com/webhooks/webhook/ci\n"
        "    token: gate_token     # as your Gate asks for\n"
        "    body: {parameters: {app: \"${event.app}\", image: \"${event.image}\"}}\n"
        "    limits: [spinnaker]\n"
        "    timeout: 5s\n",
};
