/* Wake what was hibernated: each sleeping workload gets back the replicas that its
 * annotation remembers, which becomes "0", one after the other. Or put to sleep what
 * runs: the annotation remembers how many there are, and there are none.
 *
 * A merge patch changes these two and nothing else: other annotations stay. It carries
 * the object's resourceVersion, so a change that somebody else made in between is never
 * overwritten: then the object is read again, and left alone when it sleeps no longer. A
 * patch whose answer was lost is looked at in the same way.
 *
 * When the ctx ends the object in hand is finished, for which it has
 * WAKING_ITEM_MS, and the next is not begun; each object says what became of it. Blocks;
 * any thread.
 *
 * Source: RFC 7386 (merge patch); kubernetes.io/docs, "Update API Objects in Place Using
 * kubectl patch" and "Kubernetes API Concepts" on resource versions: a patch that names
 * an old one is answered by 409. */
#ifndef KUBE_WAKING_H
#define KUBE_WAKING_H

#include <stddef.h>

#include "kube/client.h"
#include "kube/workloads.h"
#include "sync/ctx.h"

enum {
    WAKING_TRIES_MAX = 3,
    WAKING_ITEM_MS = 5 * 1000,           /* an object with all its tries */
    WAKING_ANSWER_MAX = 2 * 1024 * 1024, /* an object: etcd takes 1.5 MiB */
};

enum waking_end {
    WAKING_NOT_BEGUN, /* the ctx ended before its turn */
    WAKING_WOKEN,     /* or put to sleep */
    WAKING_AWAKE,     /* nothing to do: somebody else did it, or it is gone */
    WAKING_FAILED,
    WAKING_UNCERTAIN, /* a patch was sent, its answer was lost, and no look was possible
                       */
    WAKING_ENDS,
};

struct waking {
    const struct workload *workload; /* set by the caller, borrowed */
    bool sleep;                      /* likewise: put it to sleep instead */
    enum waking_end end;
    int tries;
    int64_t replicas; /* of one that was woken */
    int rc;           /* of one that failed or is uncertain, as a call's */
    struct err err;   /* its sentence */
};

/* Wake them in their order.
 *
 * Returns 0 when none sleeps any more, -ECANCELED or -ETIMEDOUT when the ctx ended with
 * some not begun, else the rc of the first that failed. */
int waking_run(struct kube *kube, struct ctx *ctx, struct waking *items, size_t n)
    __attribute__((warn_unused_result));

const char *waking_end_word(enum waking_end end);   /* "woken" */
const char *waking_word(const struct waking *item); /* likewise, or "hibernated" */

#endif
