/* Which object of which cluster: "apps/v1/Deployment/shop/api".
 *
 * A name in Kubernetes' terms: the API (group and version), the kind, the namespace and
 * the name. As text the parts stand behind each other; two words behind the kind are a
 * namespace and a name, one is a name alone: of an object of no namespace, or of the
 * namespace that the reader stands in. A word and a colon in front name the cluster:
 * "prod:v1/Node/n1". Plain data, read-only after parsing: any thread.
 *
 * Source: kubernetes.io/docs, "Object Names and IDs" (a name may be used as one segment
 * of a path, at most 253 characters) and "API groups and versioning". */
#ifndef KUBE_REF_H
#define KUBE_REF_H

#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

enum { KUBE_NAME_MAX = 253, KUBE_REF_MAX = 1024 };

struct kube_ref {
    char *cluster; /* NULL: the one the reader means */
    char *api;     /* "v1", "apps/v1" */
    char *kind;    /* "Deployment" */
    char *ns;      /* "": not said */
    char *name;
};

/* Take a text apart; it says nothing of whether there is such an object.
 *
 * ref  out: kube_ref_release; untouched on failure.
 * Returns 0, or -EINVAL with a sentence that quotes the text and says what is wrong. */
int kube_ref_parse(const char *text, struct kube_ref *ref, struct err *err)
    __attribute__((warn_unused_result));
void kube_ref_release(struct kube_ref *ref);

/* Append it as kube_ref_parse reads it. */
void kube_ref_print(const struct kube_ref *ref, struct str *out);

#endif
