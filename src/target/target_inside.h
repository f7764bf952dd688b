/* Between target.c, which makes a target, and request.c, which makes its requests. */
#ifndef TARGET_INSIDE_H
#define TARGET_INSIDE_H

#include "event/template.h"
#include "target/body.h"
#include "target/target.h"
#include "target/url.h"

enum { TARGET_HEADERS_ADDED_MAX = 7 }; /* by every request, signed ones included */

enum target_sign { SIGN_NONE, SIGN_STANDARD_WEBHOOKS, SIGN_HMAC_SHA256 };

struct target_header {
    char *name;
    struct template *value;
};

struct target {
    char *name;
    const struct kind *kind;
    char *method;
    struct url *url;
    struct target_header *headers;
    size_t header_count;
    bool has_body;
    struct body *body;  /* NULL: the event's document */
    bool form;          /* it is one */
    char *basic_secret; /* "user:token", said in the header authorization; NULL: none */
    enum target_sign sign;
    char *sign_secret; /* NULL: SIGN_NONE */
    bool key_in_body;  /* where the kind wants it */
    /* which of the headers we add are set by configuration */
    bool own_content_type;
    bool own_idempotency_key;
    bool own_traceparent;
    bool own_user_agent;
};

#endif
