#include "cluster_metrics.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cluster_set.h"

/* The series of one cluster. */
struct row {
    char *name;
    struct metric *states[CLUSTER_STATES];
    struct metric *last_ok;
};

struct cluster_metrics {
    struct metrics *metrics; /* read-only, as are the families */
    struct cluster_set *set;
    struct metric_family *state;
    struct metric_family *last_ok;
    struct metric *seconds;
    struct metric *at;
    /* owned by whoever collects */
    struct row rows[CONFIG_CLUSTERS_MAX];
    size_t count;
};

static struct row *row_for(struct cluster_metrics *m, const char *name)
{
    for (size_t i = 0; i < m->count; i++) {
        if (strcmp(m->rows[i].name, name) == 0) {
            return &m->rows[i];
        }
    }
    struct row *row = &m->rows[m->count++];
    row->name = mem_strdup(name);
    for (int i = 0; i < CLUSTER_STATES; i++) {
        row->states[i] =
            metrics_series(m->state, name, cluster_state_word((enum cluster_state)i),
                           NULL, NULL);
    }
    row->last_ok = metrics_series(m->last_ok, name, NULL, NULL, NULL);
    return row;
}

static void drop(struct cluster_metrics *m, size_t i)
{
    struct row *row = &m->rows[i];
    for (int k = 0; k < CLUSTER_STATES; k++) {
        metrics_drop(m->state, row->states[k]);
    }
    metrics_drop(m->last_ok, row->last_ok);
    free(row->name);
    *row = m->rows[--m->count];
}

/* First those that are gone: there is room for as many as may be configured. */
static void drop_gone(struct cluster_metrics *m, const struct cluster_view *views,
                      size_t n)
{
    for (size_t i = m->count; i-- > 0;) {
        bool there = false;
        for (size_t k = 0; k < n && !there; k++) {
            there = strcmp(views[k].name, m->rows[i].name) == 0;
        }
        if (!there) {
            drop(m, i);
        }
    }
}

static void collect(void *arg)
{
    struct cluster_metrics *m = arg;
    struct cluster_view *views;
    size_t n = cluster_set_read(m->set, &views);
    drop_gone(m, views, n);
    for (size_t i = 0; i < n; i++) {
        struct row *row = row_for(m, views[i].name);
        for (int k = 0; k < CLUSTER_STATES; k++) {
            metric_set(row->states[k], views[i].state == (enum cluster_state)k);
        }
        metric_set(row->last_ok, (double)views[i].ok_wall_ms / 1000);
    }
    free(views);
    metric_set(m->seconds, (double)cluster_set_took_ms(m->set) / 1000);
    metric_set(m->at, (double)cluster_set_swept_wall_ms(m->set) / 1000);
}

static struct metric *gauge(struct metrics *metrics, const char *name, const char *help)
{
    return metrics_series(metrics_family(metrics, METRIC_GAUGE, name, "", help, NULL, 0),
                          NULL, NULL, NULL, NULL);
}

struct cluster_metrics *cluster_metrics_new(struct metrics *metrics,
                                            struct cluster_set *set)
{
    struct cluster_metrics *m = mem_zalloc(sizeof *m);
    m->metrics = metrics;
    m->set = set;
    m->state =
        metrics_family(metrics, METRIC_GAUGE, "sluice_cluster_state", "cluster,state",
                       "1 for the state a cluster is in", NULL, 0);
    m->last_ok = metrics_family(
        metrics, METRIC_GAUGE, "sluice_cluster_last_ok_timestamp_seconds", "cluster",
        "When a cluster last answered that it is well, since 1970; 0: never", NULL, 0);
    m->seconds = gauge(metrics, "sluice_cluster_sweep_seconds",
                       "How long the last check of all clusters took");
    m->at = gauge(metrics, "sluice_cluster_last_sweep_timestamp_seconds",
                  "When the last check of all clusters began, since 1970; 0: never");
    metrics_on_collect(metrics, collect, m);
    return m;
}

void cluster_metrics_free(struct cluster_metrics *m)
{
    if (m == NULL) {
        return;
    }
    metrics_off_collect(m->metrics, collect, m);
    while (m->count > 0) {
        drop(m, m->count - 1);
    }
    free(m);
}
