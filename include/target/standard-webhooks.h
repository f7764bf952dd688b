/* Standard Webhooks 1.0.0 signatures (https://www.standardwebhooks.com): webhook-id,
 * webhook-timestamp and webhook-signature "v1,<base64 HMAC-SHA256 of id.timestamp.body>".
 * Pure; any thread. */
#ifndef TARGET_STANDARD_WEBHOOKS_H
#define TARGET_STANDARD_WEBHOOKS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { STANDARD_WEBHOOKS_SIGNATURE_MAX = 64 };

/* secret  "whsec_<base64>" of 24 to 64 bytes.
 * id      without dots.
 * Returns 0 or -EINVAL with a sentence that does not hold the secret. */
int standard_webhooks_sign(const char *secret, const char *id, int64_t wall_s,
                           const char *body, size_t body_len,
                           char signature[STANDARD_WEBHOOKS_SIGNATURE_MAX],
                           struct err *err);

#endif
