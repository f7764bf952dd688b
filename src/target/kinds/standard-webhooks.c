/* Any receiver of Standard Webhooks 1.0.0: each request is signed, and webhook-id is the
 * idempotency key. */
#include "target/answer.h"

static void classify(const struct http_call *call, struct attempt_result *result)
{
    if (call->status == 410) {
        answer_is(result, ATTEMPT_PERMANENT, "gone");
        answer_say(result, "the receiver wants no more of this");
    }
}

const struct kind kind_standard_webhooks = {
    .name = "standard-webhooks",
    .title = "Any receiver of Standard Webhooks, signed",
    .source = "standard-webhooks spec 1.0.0",
    .auth = {KIND_AUTH_BEARER, NULL},
    .sign = "standard-webhooks",
    .rate_per_s = 20,
    .burst = 40,
    .concurrency = 8,
    .any_body = true,
    .classify = classify,
    .sample = "  deploy-hook:\n"
              "    kind: standard-webhooks\n"
              "    match: {branch: main}\n"
              "    url: https://cd.example.com/hooks/ci\n"
              "    sign_secret: hook_key   # whsec_...\n"
              "    # body left out: the event itself\n"
              "    limits: [standard-webhooks]\n"
              "    timeout: 5s\n",
};
