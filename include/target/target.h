/* A downstream CD trigger: how its request is made. Read-only after open: any thread. */
#ifndef TARGET_TARGET_H
#define TARGET_TARGET_H

#include "event/event.h"
#include "event/match.h"
#include "event/template.h"
#include "target/attempt.h"
#include "target/kind.h"
#include "wire/http.h"

enum {
    TARGET_NAME_MAX = 64,
    TARGET_HEADERS_MAX = 32,
    TARGET_URL_MAX = 8192,
    TARGET_LIMITS_MAX = 8
};

/* What configuration says; strings borrowed during target_new only. */
struct target_options {
    const char *name;   /* [a-z0-9][a-z0-9._-]*, at most TARGET_NAME_MAX - 1 */
    const char *kind;   /* of kind_find; NULL: "http" */
    const char *method; /* NULL: the kind's, "POST" */
    const char *url;    /* scheme, host and port are constant; without a path: the kind's
                         */
    const char *token_secret; /* NULL, or the name of the secret the kind's auth says */
    const struct http_header *headers; /* values are templates */
    size_t header_count;
    struct json_object
        *body;        /* tree whose strings are templates, copied; a string that is one
                         ${event:/pointer} takes the type of the value. NULL: the event's
                         document as JSON, except for GET and HEAD */
    bool no_body;     /* send none */
    const char *sign; /* "standard-webhooks" (also NULL) or "hmac-sha256" */
    const char *sign_secret; /* NULL: not signed; or the name of the secret */
};

struct target;

/* Returns owned or NULL with a sentence. known_secret as in template_compile. */
struct target *target_new(const struct target_options *options,
                          bool (*known_secret)(void *arg, const char *name), void *arg,
                          struct err *err);
void target_free(struct target *target);
const char *target_name(const struct target *target);
const char *target_host(const struct target *target); /* "https://argocd.acme.io:443" */
const struct kind *target_kind(const struct target *target);
const char *target_sign(
    const struct target *target); /* "hmac-sha256"; NULL: not signed */
/* The name of the secret that is said as Basic authorization, or NULL. */
const char *target_basic_secret(const struct target *target);
/* Does the idempotency key stand in the body, too? */
bool target_key_in_body(const struct target *target);

/* What the end of a call to this target means: by status, and where its kind knows more,
 * by headers and body. In the call's done only. */
void target_classify(const struct target *target, const struct http_call *call,
                     int64_t retry_after_cap_ms, struct attempt_result *result);

/* Append what target_status_make asks for later to see how the run goes that this call
 * started; at most KIND_FOLLOW_MAX - 1 bytes, and no credential. In the call's done only,
 * of a call that is ATTEMPT_DONE or ATTEMPT_ALREADY.
 * Returns 0, or -ENOENT: there is nothing to ask, nothing appended. */
int target_follow(const struct target *target, const struct http_call *call,
                  struct str *path);

/* One request, made ready. Owns its memory, nothing in it is the target's; the http_call
 * borrows from it. */
struct target_request {
    struct str arena; /* all text, NUL-separated */
    const char *method;
    const char *url;
    struct http_header headers[TARGET_HEADERS_MAX];
    size_t header_count;
    const char *body;
    size_t body_len;
};

/* Make the request of one attempt. The attempts of a unit differ only in traceparent's
 * parent id and in the signature's timestamp.
 *
 * Adds, unless configuration set them: content-type (application/json or a form's, with a
 * body), idempotency-key (trigger_add_key), traceparent (a child of the event's, or a new
 * trace), user-agent. Requests signed as standard-webhooks carry webhook-id (trigger_id),
 * webhook-timestamp and webhook-signature, those signed as hmac-sha256 carry x-signature
 * ("sha256=<hex>" of the body).
 *
 * wall_s   for signatures.
 * secret   NULL: masked, for explain.
 * request  out: target_request_release in every case.
 * Returns 0, -ENOENT (the event or the secrets lack something), -EBADMSG (a value may not
 * stand in a header or url), -EINVAL (too long, unusable signing secret); the sentence
 * holds no value. */
int target_request_make(const struct target *target, const struct event *ev,
                        int64_t wall_s, template_secret_fn *secret, void *arg,
                        struct target_request *request, struct err *err);
void target_request_release(struct target_request *request);

/* Make the request that asks how a run goes: a GET on the target's own host, with its
 * credentials and those of its headers that do not speak of an event.
 *
 * path     of target_follow, kept somewhere meanwhile; it cannot lead to another host.
 * request  out: target_request_release in every case.
 * Returns 0, -ENOENT (the secrets lack one), -EBADMSG (not a path), -EINVAL (too long);
 * the sentence holds no value. */
int target_status_make(const struct target *target, const char *path,
                       template_secret_fn *secret, void *arg,
                       struct target_request *request, struct err *err);

#endif
