/* Calls to the API server of one cluster.
 *
 * A cluster is a pool of connections with its own TLS, a rate, and credentials that are
 * looked at again when their files change: a token that rotates costs nobody a call. A
 * call is bound to a ctx: when it ends the call ends at once, on the wire too. JSON is
 * parsed for who asks; what the server says about a failure (its Status) becomes the
 * sentence. A token, a password or a key stands in no sentence and in no log. The
 * managedFields of objects are left out, as kubectl does.
 *
 * GETs that are told to come again (429 or 503 with Retry-After) do so while the ctx
 * allows; nothing else is sent twice, except for a call answered by 401 when the token
 * file has another token by then: such a call was not obeyed.
 *
 * Any thread; `done` runs on the loop of wire/http and must not block. kube_close comes
 * after the last call has ended.
 *
 * Source: kubernetes.io/docs, "Kubernetes API Concepts", and the reference of Status
 * (meta/v1); "API Priority and Fairness" for 429 and Retry-After. */
#ifndef KUBE_CLIENT_H
#define KUBE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "sync/ctx.h"
#include "wire/http.h"
#include "wire/json.h"

enum {
    KUBE_ANSWER_MAX = 1024 * 1024,        /* of an answer when the call says nothing */
    KUBE_ANSWER_MAX_MAX = JSON_BYTES_MAX, /* what a call may ask for */
    KUBE_CONNECT_MS = 5000,
    KUBE_RETRIES_MAX = 8, /* of one GET that is told to come again */
    KUBE_PATH_MAX = 8 * 1024,
    KUBE_CLUSTER_NAME_MAX = 64,
};

struct kube; /* one cluster */

/* Strings are copied. */
struct kube_options {
    const char *name;       /* in sentences and logs */
    const char *kubeconfig; /* the file; NULL: in_cluster */
    const char *context;    /* NULL: the file's current-context */
    bool in_cluster;
    const char *root;         /* for in_cluster: in front of the account's directory */
    char *const *environment; /* for in_cluster; NULL: environ. Borrowed for the call */
    double rate_per_s;        /* above 0: requests, ours to this cluster */
    double burst;             /* at least 1 */
    int concurrency;          /* at least 1: requests at a time */
};

/* Read the credentials and make a pool; nothing is dialled.
 *
 * http  borrowed until kube_close.
 * Returns owned, or NULL with a sentence that names the cluster: as kube_access_read, or
 * -EINVAL for a certificate or key that cannot be read. */
struct kube *kube_open(struct http *http, const struct kube_options *options,
                       struct err *err) __attribute__((warn_unused_result));

/* No call is open, and none will come. NULL is allowed. */
void kube_close(struct kube *kube);

const char *kube_name(const struct kube *kube);
const char *kube_server(const struct kube *kube); /* "https://10.0.0.1:6443" */
/* The namespace of the context or of the pod, NULL when none is said. */
const char *kube_namespace(const struct kube *kube);

/* What became of a call, for who tells one kind of trouble from another. */
enum kube_end {
    KUBE_ANSWERED,    /* look at the status */
    KUBE_NOT_REACHED, /* resolve, connect, or cut before an answer */
    KUBE_TLS, /* the handshake failed: a certificate, a name, a client certificate */
    KUBE_TIMED_OUT, /* the ctx' deadline, or KUBE_CONNECT_MS */
    KUBE_CANCELLED, /* the ctx was cancelled, or the loop stops */
    KUBE_GARBLED,   /* an answer that is no JSON, cut, or longer than answer_max */
    KUBE_UNUSABLE,  /* nothing was sent: a credential's file, the address */
};

struct kube_call {
    /* set by the caller, borrowed until done */
    const char *method; /* NULL: GET */
    const char *path;   /* "/api/v1/nodes", percent-encoded */
    const char *query;  /* "limit=500", percent-encoded; NULL: none */
    const char *content_type;
    const char *body; /* NULL: none */
    size_t body_len;
    const char *accept; /* NULL: application/json */
    size_t answer_max;  /* 0: KUBE_ANSWER_MAX */
    bool plain; /* the answer is a text and goes to `text`; a Status to `doc` as well */
    struct ctx *ctx;                      /* bounds the call */
    void (*done)(struct kube_call *call); /* kube_start: on the loop, exactly once */
    void *arg;

    /* out */
    int rc; /* 0: 2xx. -ENOENT 404 and 410, -EACCES 401 and 403, -EAGAIN 409, 429 and 5xx
               (again later), -EINVAL other answers and what cannot be sent, -EPROTO
               garbled, -EIO not reached or TLS, -ETIMEDOUT, -ECANCELED */
    enum kube_end end;
    int status;        /* 0: none */
    size_t answer_len; /* of its body, in bytes */
    struct json_object
        *doc;   /* the answer, of a failure too; NULL: none. kube_call_release */
    char *text; /* with `plain`; NUL-ended */
    int64_t retry_after_ms; /* -1: not said */
    char reason[64];        /* of the Status: "NotFound"; "" when there is none */
    struct err err;         /* a sentence unless rc is 0, with the cluster's name */

    /* the client's */
    void *own;
};

/* Begin; never blocks on the network. Done may be called before it returns. */
void kube_start(struct kube *kube, struct kube_call *call);

/* The same and wait; `done` is not called, and JSON is parsed on this thread, not on the
 * loop. Returns call->rc. Not from a done function. */
int kube_do(struct kube *kube, struct kube_call *call);

/* What a call brought; the call can be started again. */
void kube_call_release(struct kube_call *call);

#endif
