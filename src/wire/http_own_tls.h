/* TLS of a pool's own (struct http_tls): checked when it is given, told to libcurl's
 * handles when they are made. Immutable; freed by its owner when no handle uses it. */
#ifndef WIRE_HTTP_OWN_TLS_H
#define WIRE_HTTP_OWN_TLS_H

#include "base/err.h"
#include "base/str.h"
#include "wire/http.h"

struct http_own_tls;

/* Returns owned, all copied; NULL with a sentence, -EINVAL. */
struct http_own_tls *http_own_tls_new(const struct http_tls *tls, struct err *err);
void http_own_tls_free(struct http_own_tls *tls); /* NULL is allowed; wipes the key */

/* easy  a libcurl handle (CURL *), which borrows what it is told. */
void http_own_tls_apply(const struct http_own_tls *tls, void *easy);

/* What libcurl must be told so that the handshake and the certificate are for
 * server_name, while the connection and the Host header are the url's. */
struct http_renamed {
    struct str url;     /* with server_name for its host */
    struct str connect; /* "::HOST:PORT", for CURLOPT_CONNECT_TO */
    struct str host;    /* "HOST" or "HOST:PORT" */
};

/* Returns false, and writes nothing, when this url needs no renaming: no server_name, or
 * not https. The strings are cleared first. */
bool http_own_tls_rename(const struct http_own_tls *tls, const char *url,
                         struct http_renamed *renamed);

#endif
