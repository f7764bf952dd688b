/* Can a server be reached, and how does its certificate stand? Connects and shakes hands,
 * sends no request. For operators: blocks. Any thread. */
#ifndef WIRE_HTTP_PROBE_H
#define WIRE_HTTP_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct http_probe {
    bool tls;                /* it was https, and the certificate is good */
    int64_t expires_wall_ms; /* of the certificate; 0: not known */
    int64_t took_ms;
};

/* url          "https://argocd.acme.io:443".
 * ca_file      NULL: the system's. public_only: refuse private addresses.
 * probe        out.
 * Returns 0, or with a sentence -ETIMEDOUT, -EACCES (the certificate is not good, or the
 * address is refused), -EIO. */
int http_probe(const char *url, const char *ca_file, bool public_only, int64_t timeout_ms,
               struct http_probe *probe, struct err *err);

#endif
