/* What Prometheus sees of the clusters: their states, when each answered last, and how
 * old the last sweep is. */
#ifndef CONSUMER_CLUSTER_METRICS_H
#define CONSUMER_CLUSTER_METRICS_H

#include "base/metrics.h"

struct cluster_metrics;
struct cluster_set;

/* Both are borrowed until cluster_metrics_free; read at each collect. */
struct cluster_metrics *cluster_metrics_new(struct metrics *metrics,
                                            struct cluster_set *set);
void cluster_metrics_free(struct cluster_metrics *m); /* NULL is allowed */

#endif
