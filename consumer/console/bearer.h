/* What a request brings along to say who sent it. Pure but for the request it reads. */
#ifndef CONSUMER_BEARER_H
#define CONSUMER_BEARER_H

#include "wire/httpd.h"

enum bearer {
    BEARER_NONE,  /* no Authorization, or one of another scheme: a proxy's, perhaps */
    BEARER_TOKEN, /* one token */
    BEARER_BAD,   /* a Bearer with no token, or one that is too long to be any */
    BEARER_TWICE, /* more than one Authorization: which one is meant? */
};

/* token  out: with BEARER_TOKEN, all of it but the space around; to be wiped. */
enum { BEARER_TOKEN_MAX = 640 };
enum bearer bearer_read(const struct httpd_request *request,
                        char token[BEARER_TOKEN_MAX]);

/* The name of this server's cookie: browsers keep one jar for all ports of a host, and
 * two consoles may be seen through one. */
enum { BEARER_COOKIE_MAX = 32 };
void bearer_cookie_name(const struct httpd_request *request,
                        char name[BEARER_COOKIE_MAX]);

/* Each value that the request's cookies have for a name, as text: fn returns true to end
 * it. */
void bearer_each_cookie(const struct httpd_request *request, const char *name,
                        bool (*fn)(void *arg, const char *value), void *arg);

/* Does the browser say that this server's own page asks? Who is no browser says nothing.
 */
bool bearer_is_same_origin(const struct httpd_request *request);

#endif
