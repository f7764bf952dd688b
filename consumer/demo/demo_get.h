/* One GET to a server of the demo's own on loopback, whole answers included (wire/http
 * keeps only their beginning, for it is made for triggers). Blocks the caller. */
#ifndef CONSUMER_DEMO_GET_H
#define CONSUMER_DEMO_GET_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum { DEMO_GET_BYTES_MAX = 16 * 1024 * 1024 };

/* http://127.0.0.1:<port><path>. body: out, what was there is replaced.
 * Returns 0; -ETIMEDOUT, -EIO or -EPROTO (no 200) with a sentence. */
int demo_get(int port, const char *path, int64_t until_ms, struct str *body,
             struct err *err);

#endif
