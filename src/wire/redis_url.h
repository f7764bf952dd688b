/* Where a Redis is and how to come in: a URL taken apart. Plain data. */
#ifndef WIRE_REDIS_URL_H
#define WIRE_REDIS_URL_H

#include <stdbool.h>

#include "base/err.h"

enum { REDIS_DB_MAX = 1 << 20 };

struct redis_url {
    char *path;     /* unix socket; NULL: TCP */
    char *host;     /* without brackets */
    char *port;     /* decimal */
    char *username; /* NULL: none */
    char *password; /* NULL: none */
    int db;
    bool tls;
    char *ca_file;   /* with tls; NULL: the system's authorities */
    char *cert_file; /* with tls, and then key_file, too; NULL: none is shown */
    char *key_file;
};

/* Returns 0 or -EINVAL; on failure there is nothing to release. The sentence never holds
 * the password. */
int redis_url_parse(const char *text, struct redis_url *url, struct err *err);
void redis_url_copy(struct redis_url *to, const struct redis_url *from);
void redis_url_release(struct redis_url *url); /* wipes the password */

#endif
