/* What a process says about itself: build, state, and the standard process_* figures. */
#ifndef CONSUMER_PROCESS_METRICS_H
#define CONSUMER_PROCESS_METRICS_H

#include <stdint.h>

#include "base/metrics.h"

struct process_metrics;

struct process_metrics *process_metrics_new(struct metrics *metrics);
void process_metrics_free(struct process_metrics *p);

/* Before the exposition is written. state: enum admin_state. poll_age_ms: -1 for not
 * joined. */
void process_metrics_set(struct process_metrics *p, int state, int64_t poll_age_ms);

#endif
