/* The clusters that are asked: how each is reached. Nothing is read or dialled here. */
#include "fleet/config_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static bool is_on(const struct config *config, const char *pattern, const char *name)
{
    return settings_value(config->settings, pattern, name).number != 0;
}

/* One way to each cluster: a file, the pod's own account, or none. */
static void check_way(struct config *config, const struct config_cluster *cluster)
{
    const struct config_settings *settings = config->settings;
    bool file = settings_has(settings, "clusters.*.kubeconfig", cluster->name);
    int ways = file + cluster->in_cluster + cluster->is_virtual;
    if (ways == 0) {
        config_note(settings->report, CONFIG_ERROR, CODE_CLUSTER,
                    config_name_where(config, "clusters", cluster->name),
                    "clusters.%s: give `kubeconfig: PATH`, `in_cluster: true` for the "
                    "cluster this runs in, or `virtual: true` for one that nobody dials",
                    cluster->name);
    } else if (ways > 1) {
        config_note(settings->report, CONFIG_ERROR, CODE_CLUSTER,
                    config_name_where(config, "clusters", cluster->name),
                    "clusters.%s: of `kubeconfig`, `in_cluster` and `virtual` give one",
                    cluster->name);
    }
    const struct setting *path =
        settings_get(settings, "clusters.*.kubeconfig", cluster->name);
    if (path != NULL && path->value->text[0] == '~') {
        settings_note(config->settings, CONFIG_ERROR, CODE_CLUSTER, path, NULL,
                      "~ is not expanded: write the whole path");
    }
    const struct setting *context =
        settings_get(settings, "clusters.*.context", cluster->name);
    if (context != NULL && !file) {
        settings_note(config->settings, CONFIG_ERROR, CODE_CLUSTER, context, NULL,
                      "without effect: there is no kubeconfig to look for it in");
    }
}

void config_build_clusters(struct config *config)
{
    struct config_settings *settings = config->settings;
    config->clusters = mem_array(CONFIG_CLUSTERS_MAX, sizeof config->clusters[0]);
    size_t i = 0;
    while (true) {
        const char *name = config_next_name(config, "clusters", CONFIG_CLUSTERS_MAX,
                                            config->cluster_count, &i);
        if (name == NULL) {
            return;
        }
        struct config_cluster *cluster = &config->clusters[config->cluster_count++];
        *cluster = (struct config_cluster){
            .name = mem_strdup(name),
            .kubeconfig =
                mem_strdup(settings_text(settings, "clusters.*.kubeconfig", name)),
            .context = mem_strdup(settings_text(settings, "clusters.*.context", name)),
            .in_cluster = is_on(config, "clusters.*.in_cluster", name),
            .is_virtual = is_on(config, "clusters.*.virtual", name),
            .rate_per_s = settings_value(settings, "clusters.*.rate", name).real,
            .burst = settings_value(settings, "clusters.*.burst", name).real,
            .concurrency =
                (int)settings_value(settings, "clusters.*.concurrency", name).number,
        };
        check_way(config, cluster);
    }
}

void config_clusters_release(struct config *config)
{
    for (size_t i = 0; i < config->cluster_count; i++) {
        free(config->clusters[i].name);
        free(config->clusters[i].kubeconfig);
        free(config->clusters[i].context);
    }
    free(config->clusters);
}

static int refuse(const struct config *config, const char *name, struct err *err)
{
    struct str names;
    str_init(&names);
    for (size_t i = 0; i < config->cluster_count; i++) {
        str_addf(&names, "%s%s", i > 0 ? ", " : "", config->clusters[i].name);
    }
    if (config->cluster_count == 0) {
        err_set(err, -EINVAL,
                "no cluster is configured; give clusters.NAME.kubeconfig or "
                "clusters.NAME.in_cluster");
    } else if (name == NULL) {
        err_set(err, -EINVAL, "there are several clusters, name one: %.300s", names.data);
    } else {
        err_set(err, -EINVAL, "no cluster \"%.80s\" is configured; there is %.300s", name,
                names.data);
    }
    str_release(&names);
    return -EINVAL;
}

const struct config_cluster *config_cluster_find(const struct config *config,
                                                 const char *name, struct err *err)
{
    if (name == NULL && config->cluster_count == 1) {
        return &config->clusters[0];
    }
    for (size_t i = 0; name != NULL && i < config->cluster_count; i++) {
        if (strcmp(config->clusters[i].name, name) == 0) {
            return &config->clusters[i];
        }
    }
    (void)refuse(config, name, err);
    return NULL;
}
