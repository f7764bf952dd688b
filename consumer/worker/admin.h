/* The admin port of a worker: /livez, /readyz, /metrics, and the fleet's live state. */
#ifndef CONSUMER_ADMIN_H
#define CONSUMER_ADMIN_H

#include "base/metrics.h"
#include "fleet/worker.h"

struct admin;

enum admin_state { ADMIN_STARTING, ADMIN_RUNNING, ADMIN_DRAINING, ADMIN_DRAINED };

/* Listen on http.listen; "off" listens nowhere. A port that is taken gives the next free
 * one, said in the log, so that two workers on one host run side by side. Returns NULL
 * with a sentence.
 * config, metrics  borrowed until admin_stop. */
struct admin *admin_start(const struct config *config, struct metrics *metrics,
                          struct err *err);
void admin_stop(struct admin *admin); /* listeners are told goodbye, for a moment */

/* Who may read follows this configuration from now on, whose secrets are loaded: whoever
 * listens and may no longer is cut off. Copied; any thread. */
void admin_set(struct admin *admin, const struct config *config);

/* worker  may be NULL until it is made and once it is gone. Any thread. */
void admin_watch(struct admin *admin, struct worker *worker, enum admin_state state);

#endif
