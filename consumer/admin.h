/* The admin port of a worker: /livez, /readyz, /metrics. */
#ifndef CONSUMER_ADMIN_H
#define CONSUMER_ADMIN_H

#include "base/metrics.h"
#include "fleet/worker.h"

struct admin;

enum admin_state { ADMIN_STARTING, ADMIN_RUNNING, ADMIN_DRAINING };

/* Listen on "host:port"; "off" listens nowhere. A port that is taken gives the next free
 * one, said in the log, so that two workers on one host run side by side. Returns NULL
 * with a sentence. */
struct admin *admin_start(const char *listen, struct metrics *metrics, struct err *err);
void admin_stop(struct admin *admin);

/* worker  may be NULL until it is made and once it is gone. Any thread. */
void admin_watch(struct admin *admin, struct worker *worker, enum admin_state state);

#endif
