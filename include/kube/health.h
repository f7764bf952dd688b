/* How well a workload is, as Argo CD's users know it: from what its controller says.
 *
 * Pure; reads a document that its caller owns.
 *
 * Source: argo-cd.readthedocs.io, "Resource Health" (Deployment, ReplicaSet, StatefulSet:
 * observed generation and updated replicas); kubernetes.io/docs, "Deployments", section
 * on their status (ProgressDeadlineExceeded), and the references of StatefulSetStatus and
 * ReplicaSetCondition (ReplicaFailure); argo-rollouts.readthedocs.io, `status.phase`. */
#ifndef KUBE_HEALTH_H
#define KUBE_HEALTH_H

#include <stddef.h>

#include "wire/json.h"

/* From good to bad: an application is as well as its worst part. */
enum health {
    HEALTH_HEALTHY,
    HEALTH_SUSPENDED,
    HEALTH_PROGRESSING,
    HEALTH_MISSING,
    HEALTH_DEGRADED,
    HEALTH_UNKNOWN,
};

/* kind  "Deployment", "StatefulSet", "ReplicaSet", "Rollout"; of any other only the
 *       observed generation counts, if it has one.
 * why   out: a few words, "" for a healthy one. */
enum health health_of(const char *kind, struct json_object *object, char *why,
                      size_t why_len);

const char *health_word(enum health health); /* "healthy", "degraded" */

#endif
