/* Which path a kind has: plural and scope, asked of the cluster once.
 *
 * The kinds that every Kubernetes has, and whose names its API promises never to change,
 * are known without asking (kube_resource_known). All others are looked up in the
 * cluster's own list for their group and version, which is asked for once, however many
 * want it at the same time, and kept; a kind that is not in it is looked for again at
 * most every DISCOVERY_AGAIN_MS, for it may have been installed since. Any thread.
 *
 * Source: kubernetes.io/docs, "Kubernetes API Concepts", section on API discovery, and
 * the reference of APIResourceList (meta/v1). */
#ifndef KUBE_DISCOVERY_H
#define KUBE_DISCOVERY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "kube/client.h"

enum {
    DISCOVERY_AGAIN_MS = 30 * 1000,
    DISCOVERY_TIMEOUT_MS = 10 * 1000, /* of one request for a list */
    DISCOVERY_LISTS_MAX = 256,        /* groups with their versions, of one cluster */
    DISCOVERY_PLURAL_MAX = 128,
};

struct kube_resource {
    char plural[DISCOVERY_PLURAL_MAX]; /* "deployments" */
    bool namespaced;
};

/* Look a kind up, waiting for the cluster when it has to be asked.
 *
 * api   "apps/v1", "v1".
 * ctx   bounds the wait; the request itself may go on for others.
 * Returns 0; -ENOENT (the cluster has no such group, version or kind), or as a call's rc,
 * with a sentence. */
int discovery_find(struct kube *kube, struct ctx *ctx, const char *api, const char *kind,
                   struct kube_resource *resource, struct err *err)
    __attribute__((warn_unused_result));

/* Without a cluster: is it one of those that all have? A cluster that is none of the
 * usual kind may lack it all the same: then a LIST of it is answered by 404, which a kind
 * that is there never is. */
bool kube_resource_known(const char *api, const char *kind,
                         struct kube_resource *resource);

/* Append the path of a collection (name NULL) or of an object.
 *
 * ns  NULL or "": of all namespaces, or of a kind that has none. */
void kube_resource_path(const struct kube_resource *resource, const char *api,
                        const char *ns, const char *name, struct str *path);

#endif
