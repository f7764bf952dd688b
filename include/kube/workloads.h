/* The workloads of one application, read and judged: a LIST of each kind by labels, all
 * kinds at a time, one deadline.
 *
 * A kind that the cluster does not have is left out, but when it has none of them that is
 * no answer: a wrong address says so, too. A LIST that fails, or that is too
 * long, makes the answer unknown and says why; what the others said is kept. Blocks; any
 * thread.
 *
 * Source: kubernetes.io/docs, "Labels and Selectors", and "Kubernetes API Concepts" on
 * retrieving results in chunks. */
#ifndef KUBE_WORKLOADS_H
#define KUBE_WORKLOADS_H

#include <stddef.h>

#include "kube/client.h"
#include "kube/hibernation.h"
#include "kube/ref.h"
#include "sync/ctx.h"

enum {
    WORKLOADS_KINDS_MAX = 16,
    WORKLOADS_WIDTH = 4,               /* LISTs at a time */
    WORKLOADS_PAGE = 50,               /* objects in one page */
    WORKLOADS_SHRINK = 7,              /* a page that is too long is asked for again */
    WORKLOADS_ANSWER_MAX = 512 * 1024, /* with so many times fewer */
    WORKLOADS_PAGES_MAX = 40,          /* of one kind, these included */
};

struct workload {
    struct kube_ref ref;
    char *version; /* metadata.resourceVersion */
    struct hibernation_look look;
};

struct workloads {
    struct hibernation judged;
    struct workload *items; /* all but those of an owner */
    size_t count;
    int rc;         /* 0, or of the first LIST that failed, as a call's */
    int status;     /* of its answer; 0: none */
    struct err err; /* a sentence unless rc is 0 */
};

/* ns        one namespace.
 * selector  as in `kubectl get -l`, not encoded.
 * kinds     "apps/v1/Deployment" each, at most WORKLOADS_KINDS_MAX.
 * out       workloads_release, whatever it says. */
void workloads_read(struct kube *kube, struct ctx *ctx, const char *ns,
                    const char *selector, char *const *kinds, size_t kind_count,
                    struct workloads *out);
void workloads_release(struct workloads *workloads);

#endif
