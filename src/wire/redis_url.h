/* Where a Redis is and how to come in: a URL taken apart. Plain data. */
#ifndef WIRE_REDIS_URL_H
#define WIRE_REDIS_URL_H

#include "base/err.h"

enum { REDIS_DB_MAX = 1 << 20 };

struct redis_url {
    char *path;     /* unix socket; NULL: TCP */
    char *host;     /* without brackets */
    char *port;     /* decimal */
    char *username; /* NULL: none */
    char *password; /* NULL: none */
    int db;
};

/* Returns 0 or -EINVAL; on failure there is nothing to release. The sentence never holds
 * the password. */
int redis_url_parse(const char *text, struct redis_url *url, struct err *err);
void redis_url_release(struct redis_url *url); /* wipes the password */

#endif
