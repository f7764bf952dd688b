/* How a cluster is reached and who we are there: out of a kubeconfig file, or as a pod of
 * the cluster itself.
 *
 * Reads files and nothing else; nothing is dialled. Paths in a kubeconfig are relative to
 * the file. What runs a program to get a credential (`exec`), what other tools maintain
 * (`auth-provider`) and a way around the network (`proxy-url`) are refused with a
 * sentence that names the entry, and never half obeyed. YAML or JSON, one file. Secrets
 * stand in no sentence. Plain data: one thread at a time.
 *
 * Source: kubernetes.io/docs, "Organizing Cluster Access Using kubeconfig Files", the
 * reference "kubeconfig (v1)", and "Accessing the Kubernetes API from a Pod". */
#ifndef KUBE_KUBECONFIG_H
#define KUBE_KUBECONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

enum {
    KUBE_FILE_MAX = 1024 * 1024, /* a kubeconfig, a bundle of certificates */
    KUBE_TOKEN_MAX = 16 * 1024,  /* a token, a user's name, a password */
    KUBE_SERVER_MAX = 2048,      /* the address of an API server */
};

/* Either the bytes or the file they are in, which is read again when it changes. */
struct kube_material {
    char *bytes; /* NUL-ended; NULL: none yet, or none at all */
    char *file;  /* NULL: it stood in the kubeconfig itself */
};

struct kube_access {
    char *server;      /* "https://10.0.0.1:6443/k8s/clusters/c-x", no slash at its end */
    char *server_name; /* for the certificate; NULL: the host in the address */
    bool insecure;     /* the certificate is not looked at */
    struct kube_material ca;
    struct kube_material cert;
    struct kube_material key;
    struct kube_material token;
    char *basic; /* "user:password"; NULL: none */
    char *ns;    /* of the context, or the pod's own; NULL: not said */
    char *file;  /* where it stands; NULL: in the cluster */
};

struct kube_access_options {
    const char *kubeconfig; /* the file; NULL: in_cluster */
    const char *context;    /* NULL: the file's current-context */
    bool in_cluster;
    const char *root; /* in front of the service account's directory; NULL: none */
    char *const *environment; /* KUBERNETES_SERVICE_HOST and _PORT; NULL: environ */
};

/* Read who and where.
 *
 * access  out: kube_access_release; untouched on failure.
 * Returns 0; -ENOENT or -EACCES (a file), -EBADMSG (not a kubeconfig), -EINVAL (a part
 * that is missing, that contradicts another or that is refused), with a sentence that
 * names the file, the entry and the next step. */
int kube_access_read(const struct kube_access_options *options,
                     struct kube_access *access, struct err *err)
    __attribute__((warn_unused_result));

/* Wipes what is secret. */
void kube_access_release(struct kube_access *access);

#endif
