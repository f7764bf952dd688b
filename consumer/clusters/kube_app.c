#include "kube_app.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../commands.h"
#include "base/mem.h"
#include "base/now.h"

enum { TIMEOUT_MS = 5000, TIMEOUT_MAX_MS = 60 * 1000 };

/* As targets.*.gate.kinds, when it is left out. */
static const char usual_kinds[] =
    "apps/v1/Deployment,apps/v1/StatefulSet,apps/v1/ReplicaSet,"
    "argoproj.io/v1alpha1/Rollout";

static int read_kinds(const struct command_line *line, struct kube_app *app)
{
    const char *at = flag_value(line, "kinds");
    at = at != NULL ? at : usual_kinds;
    while (*at != '\0') {
        size_t len = strcspn(at, ",");
        const char *slash = memchr(at, '/', len);
        if (slash == NULL || slash == at || at[len - 1] == '/') {
            return command_misused(line, "--kinds: \"%.*s\" is not group/version/Kind",
                                   (int)len, at);
        }
        if (app->kind_count == WORKLOADS_KINDS_MAX) {
            return command_misused(line, "--kinds: more than %d", WORKLOADS_KINDS_MAX);
        }
        app->kinds[app->kind_count++] = mem_strndup(at, len);
        at += len;
        at += *at == ',';
    }
    return app->kind_count > 0 ? 0 : command_misused(line, "--kinds: none");
}

int kube_app_read(const struct command_line *line, struct kube_app *app)
{
    const char *timeout = flag_value(line, "timeout");
    *app = (struct kube_app){.cluster = flag_value(line, "cluster"),
                             .ns = flag_value(line, "namespace"),
                             .selector = flag_value(line, "selector"),
                             .timeout_ms = TIMEOUT_MS};
    if (timeout != NULL && (now_parse_duration(timeout, &app->timeout_ms) != 0 ||
                            app->timeout_ms < 1 || app->timeout_ms > TIMEOUT_MAX_MS)) {
        return command_misused(line, "--timeout %s: expected 1ms to 60s", timeout);
    }
    if (app->selector == NULL || app->selector[0] == '\0') {
        return command_misused(line, "which application? Give --selector "
                                     "app.kubernetes.io/instance=NAME");
    }
    return read_kinds(line, app);
}

int kube_app_open(const struct command_line *line, const struct config *config,
                  struct kube_app *app)
{
    struct err err = ERR_INIT;
    const struct config_cluster *is = config_cluster_find(config, app->cluster, &err);
    if (is == NULL) {
        return command_failed(line, -EINVAL, &err);
    }
    app->set = cluster_set_new(NULL, false);
    cluster_set_config(app->set, config);
    app->kube = cluster_set_take(app->set, is->name, &err);
    if (app->kube == NULL) {
        return command_failed(line, -EINVAL, &err);
    }
    app->cluster = is->name;
    app->ns = app->ns != NULL ? app->ns : kube_namespace(app->kube);
    app->ns = app->ns != NULL ? app->ns : "default";
    return 0;
}

void kube_app_look(const struct kube_app *app, struct ctx *ctx, struct workloads *read)
{
    struct ctx *own = ctx_new(ctx, now_ms() + app->timeout_ms);
    workloads_read(app->kube, own, app->ns, app->selector, app->kinds, app->kind_count,
                   read);
    ctx_free(own);
}

int kube_app_code(int rc)
{
    switch (rc) {
    case 0:
        return 0;
    case -EACCES:
        return EXIT_REFUSED;
    case -EINVAL:
    case -ENOENT:
        return EXIT_CONFIG;
    default:
        return EXIT_UNAVAILABLE;
    }
}

void kube_app_release(struct kube_app *app)
{
    if (app->kube != NULL) {
        cluster_set_give(app->set, app->kube);
    }
    cluster_set_free(app->set);
    for (size_t i = 0; i < app->kind_count; i++) {
        free(app->kinds[i]);
    }
}
