/* The kinds that every Kubernetes has, and the path of any kind. */
#include "kube/discovery.h"

#include <stdio.h>
#include <string.h>

/* What every Kubernetes has, in the versions that are stable. */
struct known {
    const char *api;
    const char *kind;
    const char *plural;
    bool namespaced;
};

static const struct known known[] = {
    {"v1", "ConfigMap", "configmaps", true},
    {"v1", "Endpoints", "endpoints", true},
    {"v1", "Event", "events", true},
    {"v1", "LimitRange", "limitranges", true},
    {"v1", "Namespace", "namespaces", false},
    {"v1", "Node", "nodes", false},
    {"v1", "PersistentVolume", "persistentvolumes", false},
    {"v1", "PersistentVolumeClaim", "persistentvolumeclaims", true},
    {"v1", "Pod", "pods", true},
    {"v1", "PodTemplate", "podtemplates", true},
    {"v1", "ReplicationController", "replicationcontrollers", true},
    {"v1", "ResourceQuota", "resourcequotas", true},
    {"v1", "Secret", "secrets", true},
    {"v1", "Service", "services", true},
    {"v1", "ServiceAccount", "serviceaccounts", true},
    {"apps/v1", "ControllerRevision", "controllerrevisions", true},
    {"apps/v1", "DaemonSet", "daemonsets", true},
    {"apps/v1", "Deployment", "deployments", true},
    {"apps/v1", "ReplicaSet", "replicasets", true},
    {"apps/v1", "StatefulSet", "statefulsets", true},
    {"batch/v1", "CronJob", "cronjobs", true},
    {"batch/v1", "Job", "jobs", true},
    {"networking.k8s.io/v1", "Ingress", "ingresses", true},
    {"networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", true},
    {"rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", false},
    {"rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", false},
    {"rbac.authorization.k8s.io/v1", "Role", "roles", true},
    {"rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", true},
};

bool kube_resource_known(const char *api, const char *kind,
                         struct kube_resource *resource)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].api, api) == 0 && strcmp(known[i].kind, kind) == 0) {
            snprintf(resource->plural, sizeof resource->plural, "%s", known[i].plural);
            resource->namespaced = known[i].namespaced;
            return true;
        }
    }
    return false;
}

static void add_segment(struct str *path, const char *before, const char *segment)
{
    str_add(path, before);
    str_add_percent(path, segment, strlen(segment));
}

void kube_resource_path(const struct kube_resource *resource, const char *api,
                        const char *ns, const char *name, struct str *path)
{
    const char *slash = strchr(api, '/');
    if (slash == NULL) {
        add_segment(path, "/api/", api);
    } else {
        str_add(path, "/apis/");
        str_add_percent(path, api, (size_t)(slash - api));
        add_segment(path, "/", slash + 1);
    }
    if (resource->namespaced && ns != NULL && ns[0] != '\0') {
        add_segment(path, "/namespaces/", ns);
    }
    add_segment(path, "/", resource->plural);
    if (name != NULL) {
        add_segment(path, "/", name);
    }
}
