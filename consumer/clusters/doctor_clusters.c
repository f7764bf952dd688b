#include "doctor_clusters.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/now.h"
#include "cluster_set.h"
#include "ops/faults.h"

static const struct {
    enum cluster_state state;
    const char *code;
    int rc;
    const char *next;
} troubles[] = {
    {CLUSTER_UNREACHABLE, FAULT_CLUSTER, -EIO,
     "check the server of its kubeconfig, DNS and the way there"},
    {CLUSTER_TIMEOUT, FAULT_CLUSTER, -ETIMEDOUT,
     "check the way there; cluster_check.timeout is how long it may take"},
    {CLUSTER_UNHEALTHY, FAULT_CLUSTER, -EIO,
     "kubectl get --raw '/livez?verbose' says which check fails"},
    {CLUSTER_UNAUTHORIZED, FAULT_CLUSTER_REFUSES, -EACCES,
     "renew the token or the client certificate of its kubeconfig"},
    {CLUSTER_FORBIDDEN, FAULT_CLUSTER_REFUSES, -EACCES,
     "bind system:public-info-viewer to this user, and list and patch for gates"},
    {CLUSTER_TLS_ERROR, FAULT_CLUSTER_TLS, -EACCES,
     "check certificate-authority-data and tls-server-name of its kubeconfig"},
    {CLUSTER_UNKNOWN, FAULT_CLUSTER_ACCESS, -EINVAL, "sluice-consumer help clusters"},
};

static void describe(const struct cluster_view *view, struct doctor_check *check)
{
    snprintf(check->name, sizeof check->name, "cluster %s", view->name);
    if (view->state == CLUSTER_CONNECTED) {
        check->mark = DOCTOR_OK;
        snprintf(check->text, sizeof check->text, "answers in %lld ms",
                 (long long)view->took_ms);
        return;
    }
    if (view->state == CLUSTER_VIRTUAL) {
        check->mark = DOCTOR_SKIPPED;
        snprintf(check->text, sizeof check->text, "skipped: it is virtual");
        return;
    }
    check->mark = DOCTOR_FAILED;
    snprintf(check->text, sizeof check->text, "%s: %s", cluster_state_word(view->state),
             view->why);
    for (size_t i = 0; i < sizeof troubles / sizeof troubles[0]; i++) {
        if (troubles[i].state == view->state) {
            check->code = troubles[i].code;
            check->rc = troubles[i].rc;
            snprintf(check->next, sizeof check->next, "%s", troubles[i].next);
        }
    }
}

void doctor_examine_clusters(const struct config *config, int64_t timeout_ms,
                             struct doctor *doctor)
{
    struct cluster_view *views;
    if (config->cluster_count == 0) {
        return;
    }
    struct cluster_set *set = cluster_set_new(NULL, false);
    struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
    cluster_set_config(set, config);
    size_t n = cluster_set_sweep(set, ctx, timeout_ms, &views);
    for (size_t i = 0; i < n; i++) {
        describe(&views[i], doctor_add(doctor));
    }
    free(views);
    ctx_free(ctx);
    cluster_set_free(set);
}
