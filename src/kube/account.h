/* The cluster we run in, by the pod's service account; and what an address may be.
 *
 * Source: kubernetes.io/docs, "Accessing the Kubernetes API from a Pod". Any thread. */
#ifndef KUBE_ACCOUNT_H
#define KUBE_ACCOUNT_H

#include "base/err.h"
#include "kube/kubeconfig.h"

/* As kube_access_read, for in_cluster. */
int kube_account_read(const struct kube_access_options *options,
                      struct kube_access *access, struct err *err)
    __attribute__((warn_unused_result));

/* What is wrong with the address of an API server, or NULL. */
const char *kube_server_fault(const char *server);

#endif
