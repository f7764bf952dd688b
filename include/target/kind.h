/* What is known of one kind of CD system: the request it wants, where our key stands in
 * it, what its answers mean, how much it takes.
 *
 * Each kind is one file, src/target/kinds/<name>.c, which defines `kind_<name>` (with '_'
 * for '-'); the registry is made from the files that are there, so that another kind is
 * another file and nothing else. A kind is constant data and pure functions: any thread.
 * What its answers mean is a matter of fact: `source` says where each was read. */
#ifndef TARGET_KIND_H
#define TARGET_KIND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "target/attempt.h"
#include "wire/http.h"
#include "wire/json.h"

enum { KIND_PHASE_TEXT_MAX = 160, KIND_FOLLOW_MAX = 512, KIND_HEADERS_MAX = 4 };

/* Where the idempotency key stands, besides the header idempotency-key. */
struct kind_key {
    const char *pointer; /* in the body: "/infos/-" adds to an array; NULL: nowhere */
    const char *value;   /* JSON text of a tree of templates with ${trigger.key} */
    const char *unless;  /* left out when the body has this; NULL: always there */
};

/* How `token: SECRET` is said. */
enum kind_auth_way {
    KIND_AUTH_BEARER, /* authorization: Bearer SECRET */
    KIND_AUTH_BASIC,  /* authorization: Basic, the secret is "user:token" */
    KIND_AUTH_HEADER, /* in the header `where` */
    KIND_AUTH_BODY,   /* in the body, at the pointer `where` */
};
struct kind_auth {
    enum kind_auth_way way;
    const char *where;
};

/* How a run that was started goes. */
enum kind_phase_word {
    PHASE_UNKNOWN,
    PHASE_PENDING,
    PHASE_RUNNING,
    PHASE_SUCCEEDED,
    PHASE_FAILED,
    PHASE_CANCELLED,
};
struct kind_phase {
    enum kind_phase_word phase;
    char text[KIND_PHASE_TEXT_MAX]; /* the system's own words, clean; "" for none */
};

struct kind {
    const char *name;   /* "argocd" */
    const char *title;  /* one line for help, no full stop */
    const char *source; /* where the facts were read */

    /* The request; configuration comes first in each. */
    const char *method;   /* NULL: POST */
    const char *path;     /* template, when the url has no path; NULL: none */
    const char *url_like; /* what a url looks like, when it needs a path; NULL: any */
    const struct http_header *headers; /* ended by a NULL name; at most KIND_HEADERS_MAX;
                                          NULL: none */
    const char *body; /* JSON text of a tree of templates; NULL: the event itself */
    bool form; /* the body goes as application/x-www-form-urlencoded: a flat tree, maps in
                  it become name[key] */
    const char *const *needs; /* "/ref": the body must have it; "?ref": the query; ended
                                 by NULL; NULL: nothing */
    struct kind_key key;
    size_t key_room; /* members of the object it goes into that are too many for one more:
                        left out then; 0: any number will do */
    struct kind_auth auth;
    const char *sign; /* how requests are signed: NULL, "standard-webhooks" or
                         "hmac-sha256" */

    /* How much it takes, when configuration says nothing. 0: no bound. */
    double rate_per_s;
    double burst;
    int concurrency;

    bool any_body; /* a page (markup) may be a success; else a 2xx with one was answered
                      by something in front of the system (a sign-in, a proxy), which
                      started nothing */

    /* Correct what attempt_classify made of an answer (end ANSWERED). The body may be
     * anything: what is not understood is left as it is. NULL: the status says it. */
    void (*classify)(const struct http_call *call, struct attempt_result *result);

    /* Append path and query, on the target's own host, that later tell how the run goes
     * which this answer speaks of. No credential is in it. Returns 0, or -ENOENT and
     * nothing appended. NULL: there is no such thing. */
    int (*follow)(const struct http_call *call, struct str *path);
    bool follow_keeps_path; /* it takes part of the url that was called: never when that
                               holds a secret */

    /* Read the answer of that query. doc: of the body, or NULL. NULL iff follow is. */
    void (*phase)(int status, struct json_object *doc, struct kind_phase *out);

    /* YAML of one target, indented as under `targets:`, for config init. Its limit is
     * made from the rate above, its secrets from the names in it. */
    const char *sample;
};

/* NULL: there is none of this name. */
const struct kind *kind_find(const char *name);
/* In the order of their names. NULL: no more. */
const struct kind *kind_at(size_t i);

const char *kind_phase_name(enum kind_phase_word phase); /* "succeeded" */

#endif
