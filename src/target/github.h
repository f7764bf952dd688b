/* What both ways to start something at GitHub share. */
#ifndef TARGET_GITHUB_H
#define TARGET_GITHUB_H

#include "target/kind.h"

enum { GITHUB_LIMIT_WAIT_MS = 60 * 1000 };

extern const struct http_header github_headers[];

/* GitHub says "too many" with 403 as well as 429, and a plain 403 is about permission. */
void github_classify(const struct http_call *call, struct attempt_result *result);

#endif
