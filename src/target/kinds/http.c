/* Anything that takes a request and says by its status what became of it. */
#include "target/kind.h"

const struct kind kind_http = {
    .name = "http",
    .title = "Any HTTP endpoint; the status says how it went",
    .source = "RFC 9110",
    .auth = {KIND_AUTH_BEARER, NULL},
    .any_body = true,
    .sample = "  deploy:\n"
              "    match: {branch: main}  # globs; all must match\n"
              "    url: https://cd.example.com/deploy/${event.app}\n"
              "    headers: {authorization: \"Bearer ${secret.deploy_token}\"}\n"
              "    # body left out: the event itself\n"
              "    limits: [deploy]\n"
              "    timeout: 5s\n",
};
