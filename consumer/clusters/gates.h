/* The worker's gates: the clusters of its configuration, the keeper that asks them, and
 * what is kept of each waking. */
#ifndef CONSUMER_GATES_H
#define CONSUMER_GATES_H

#include "base/metrics.h"
#include "fleet/worker.h"
#include "wire/json.h"

struct gates;

/* Before worker_join: the worker asks here from now on.
 * All are borrowed until gates_free, the worker until gates_stop. */
struct gates *gates_start(struct worker *worker, struct config *config,
                          struct metrics *metrics);

/* Another configuration was taken: its clusters are those from now on, and are all looked
 * at at once. */
void gates_config(struct gates *gates, const struct config *config);

/* For heartbeat_add: the clusters. */
struct json_object *gates_beat(void *gates);

/* While the worker's Redis is there: from worker_on_release. */
void gates_stop(struct gates *gates);
void gates_free(struct gates *gates); /* after worker_stop; NULL is allowed */

#endif
