/* Argo Events: a webhook event source. Its answer says that the event is on the bus, not
 * what the sensors make of it. */
#include "target/answer.h"

static void classify(const struct http_call *call, struct attempt_result *result)
{
    if (result->class == ATTEMPT_DONE) {
        return;
    }
    answer_say_line(result, call);
    if (call->status == 400 && answer_has(call->answer, "not active")) {
        answer_is(result, ATTEMPT_RETRY, "not-active"); /* it is just starting */
    }
}

const struct kind kind_argo_events = {
    .name = "argo-events",
    .title = "Argo Events: a webhook event source",
    .source = "argo-events pkg/eventsources/sources/webhook and common/webhook, 1.9",
    .auth = {KIND_AUTH_BEARER, NULL},
    .rate_per_s = 50,
    .burst = 100,
    .concurrency = 16,
    .classify = classify,
    .sample =
        "  argo-events:\n"
        "    kind: argo-events\n"
        "    match: {branch: main}\n"
        "    url: https://events.example.com/ci  # port and endpoint of the source\n"
        "    token: argo_events_token\n"
        "    # body left out: the event itself\n"
        "    limits: [argo-events]\n"
        "    timeout: 5s\n",
};
