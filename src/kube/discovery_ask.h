/* Discovery for who waits for many things at once: a question with an end of its own. */
#ifndef KUBE_DISCOVERY_ASK_H
#define KUBE_DISCOVERY_ASK_H

#include "kube/discovery.h"

struct discovery; /* what one cluster said; hidden */

struct discovery *discovery_new(struct kube *kube);
/* Ends what is still asked of the cluster, and waits for that; no question is open. */
void discovery_free(struct discovery *discovery);

/* Of a cluster; in client.c, which owns it. */
struct discovery *kube_discovery(const struct kube *kube);

struct discovery_ask {
    /* set by the caller, borrowed until the end */
    const char *api;
    const char *kind;
    void (*done)(struct discovery_ask *ask); /* once, any thread, under the discovery's
                                                lock: it may only set flags and signal */
    void *arg;

    /* out */
    int rc; /* as discovery_find */
    struct kube_resource resource;
    struct err err;

    /* owned by the discovery */
    struct discovery_ask *next;
    struct discovery_list *list; /* NULL: it has ended */
};

/* Ends at once when the answer is known, done is then called before it returns. */
void discovery_start(struct kube *kube, struct discovery_ask *ask);

/* Stop waiting: after it returns done is not running and will not run. Returns whether it
 * had not ended. */
bool discovery_recall(struct kube *kube, struct discovery_ask *ask);

#endif
