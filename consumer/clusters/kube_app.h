/* Which application of which cluster a command means: the flags that say so, and the way
 * there. One thread. */
#ifndef CONSUMER_KUBE_APP_H
#define CONSUMER_KUBE_APP_H

#include "base/command.h"
#include "cluster_set.h"
#include "kube/workloads.h"

/* The rows of these flags, for commands' own tables. */
#define KUBE_APP_FLAGS \
    {"cluster", 0, "NAME", "The cluster of `clusters` (else the only one there is)"}, \
        {"namespace", 'n', "NS", "The application's namespace (else the context's)"}, \
        {"selector", 'l', "LABELS", "Its labels: app.kubernetes.io/instance=api"}, \
        {"kinds", 0, "LIST", "With commas: apps/v1/Deployment,... (those of a gate)"}, \
    { \
        "timeout", 0, "TIME", "How long all of it may take (5s)" \
    }

struct kube_app {
    const char *cluster; /* texts of the command line or the configuration */
    const char *ns;
    const char *selector;
    char *kinds[WORKLOADS_KINDS_MAX]; /* owned */
    size_t kind_count;
    int64_t timeout_ms;
    struct cluster_set *set; /* NULL until kube_app_open */
    struct kube *kube;
};

/* Read the flags. Returns 0 or an exit code, having said why; kube_app_release in every
 * case. */
int kube_app_read(const struct command_line *line, struct kube_app *app);

/* Open its cluster; nothing is dialled. config: borrowed until kube_app_release. Returns
 * 0 or an exit code, having said why. */
int kube_app_open(const struct command_line *line, const struct config *config,
                  struct kube_app *app);

/* Read its workloads, within the timeout and ctx (NULL: no other end).
 * read  out: workloads_release. */
void kube_app_look(const struct kube_app *app, struct ctx *ctx, struct workloads *read);

/* The exit code of what a cluster said: 0, 69, 77 or 78. */
int kube_app_code(int rc);

void kube_app_release(struct kube_app *app);

#endif
