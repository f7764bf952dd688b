/* A thread that reads counters only: a worker that makes no progress although everything
 * answers ends with exit code 70 and is delivered again elsewhere. It also bounds the
 * stop: past the grace the process is gone. */
#ifndef CONSUMER_WATCHDOG_H
#define CONSUMER_WATCHDOG_H

#include <stdint.h>

#include "fleet/worker.h"

struct watchdog;

struct watchdog *watchdog_start(int64_t progress_ms);
/* worker  may be NULL. Any thread. */
void watchdog_watch(struct watchdog *dog, struct worker *worker);
/* From now on: at until_ms, or at a second SIGTERM or SIGINT (143, 130), the process ends
 * at once. */
void watchdog_bound_stop(struct watchdog *dog, int64_t until_ms);
void watchdog_stop(struct watchdog *dog); /* last */

#endif
