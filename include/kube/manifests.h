/* Many objects read in one call: each answered in its place, at most `width` requests at
 * a time, under one deadline that keeps what is there.
 *
 * What one call brings is bounded: objects beyond MANIFESTS_BYTES_MAX end as -EPROTO.
 *
 * Objects of one kind in one namespace are read by one LIST where there are enough of
 * them; the same object asked for twice is read once. A LIST that the cluster refuses, or
 * that is too long, becomes single GETs. Each item has its own end; none waits for
 * another. The request for a kind that has to be looked up comes beside those. Blocks;
 * any thread.
 *
 * Source: kubernetes.io/docs, "Kubernetes API Concepts", section on retrieving large
 * results sets in chunks (limit, continue, 410). */
#ifndef KUBE_MANIFESTS_H
#define KUBE_MANIFESTS_H

#include <stddef.h>

#include "base/err.h"
#include "kube/client.h"
#include "kube/ref.h"
#include "sync/ctx.h"
#include "wire/json.h"

enum {
    MANIFESTS_MAX = 1000, /* items of one call */
    MANIFESTS_WIDTH_MAX = 64,
    MANIFESTS_LIST_FROM = 3, /* different objects of one kind and namespace: a LIST */
    MANIFESTS_PAGE = 250,    /* objects in one page of it */
    MANIFESTS_PAGES_MAX = 8, /* then GETs for those not seen yet */
    MANIFESTS_BYTES_MAX = 32 * 1024 * 1024, /* of the objects of one call, as they came */
};

struct manifest {
    /* set by the caller, borrowed for the call */
    struct kube *kube;
    const struct kube_ref *ref;
    const char *ns; /* for a ref that says none of a kind that has one; NULL: that of the
                       cluster's context, else "default" */

    /* out */
    int rc;                  /* 0; -ENOENT (no such object, or kind); else as a call's */
    int status;              /* of the answer that decided; 0: none came */
    struct json_object *doc; /* owned when rc is 0: manifests_release */
    struct err err;          /* a sentence unless rc is 0 */
};

/* Read them all; of several clusters too.
 *
 * ctx    when it ends what has been read stays, and the rest ends as -ETIMEDOUT or
 *        -ECANCELED, soon.
 * width  1..MANIFESTS_WIDTH_MAX: requests at a time.
 * Returns 0 when every item was looked after (look at each), or -EINVAL for a width or a
 * count out of range: then no item is touched. */
int manifests_get(struct ctx *ctx, struct manifest *items, size_t n, int width)
    __attribute__((warn_unused_result));

void manifests_release(struct manifest *items, size_t n); /* the docs */

#endif
