/* Flux: a Receiver of type generic-hmac, which asks for a reconciliation. */
#include "target/answer.h"

static void classify(const struct http_call *call, struct attempt_result *result)
{
    if (result->class != ATTEMPT_DONE) {
        answer_say_line(result, call);
    }
}

const struct kind kind_flux = {
    .name = "flux",
    .title = "Flux: a Receiver of type generic-hmac",
    .source = "fluxcd/notification-controller internal/server/receiver_handlers.go",
    .url_like = "https://flux.example.com/hook/DIGEST",
    .auth = {KIND_AUTH_BEARER, NULL},
    .sign = "hmac-sha256",
    .rate_per_s = 5,
    .burst = 10,
    .concurrency = 4,
    .classify = classify,
    .sample = "  flux-reconcile:\n"
              "    kind: flux\n"
              "    match: {branch: main}\n"
              "    url: https://flux.example.com/hook/${secret.flux_hook}  # as its "
              "status says\n"
              "    sign_secret: flux_token   # X-Signature, HMAC-SHA256 of the body\n"
              "    # body left out: the event itself\n"
              "    limits: [flux]\n"
              "    timeout: 5s\n",
};
