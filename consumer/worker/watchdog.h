/* A thread that reads counters only: a worker that makes no progress although everything
 * answers ends with exit code 70 and is delivered again elsewhere. It also bounds the
 * stop: past the grace the process is gone. What it sees it tells the service manager. */
#ifndef CONSUMER_WATCHDOG_H
#define CONSUMER_WATCHDOG_H

#include <stdint.h>

#include "fleet/worker.h"
#include "notify.h"

struct watchdog;

/* notify  borrowed until watchdog_stop. */
struct watchdog *watchdog_start(int64_t progress_ms, struct notify *notify);
/* worker  may be NULL. Any thread. */
void watchdog_watch(struct watchdog *dog, struct worker *worker);
/* From now on: at until_ms, or at a second SIGTERM or SIGINT (143, 130), the process ends
 * at once. */
void watchdog_bound_stop(struct watchdog *dog, int64_t until_ms);
void watchdog_stop(struct watchdog *dog); /* last */

#endif
