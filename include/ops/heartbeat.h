/* Tells Redis every BEAT_EVERY_MS what the worker is doing, for operators: see ops/beat
 * for what and ops/snapshot for who reads it.
 *
 * Keys "<prefix>:ops:{<group>}:beats" and ":beat-times", written by one script. A thread
 * of its own, so a worker that drains goes on saying so. It never waits for Redis: while
 * that is gone beats are left out. A worker that ends in good order takes itself out. */
#ifndef OPS_HEARTBEAT_H
#define OPS_HEARTBEAT_H

#include "fleet/worker.h"
#include "ops/beat.h"

enum { HEARTBEAT_KEEP_MS = 600000, HEARTBEAT_EXTRAS_MAX = 4 };

struct heartbeat;

/* worker, config  borrowed until heartbeat_stop; its id is kafka.client_id.
 * version, revision  of the program; copied. */
struct heartbeat *heartbeat_start(struct worker *worker, const struct config *config,
                                  const char *version, const char *revision);

/* Say goodbye and join. While the worker's Redis is there: from worker_on_release. */
void heartbeat_stop(struct heartbeat *heartbeat);

/* What tells this run of the process from others: 8 hexadecimal digits, borrowed. */
const char *heartbeat_boot(const struct heartbeat *heartbeat);

/* From now on the configuration has this hash. Any thread. */
void heartbeat_config(struct heartbeat *heartbeat, const struct config *config);

/* Show this state ("draining", "drained") instead of what the worker does; NULL: no
 * longer. state: a literal. Any thread. */
void heartbeat_state(struct heartbeat *heartbeat, const char *state);

/* Let every beat carry a member more, of which the fleet knows nothing.
 *
 * member  a literal. fn: called on the heartbeat's thread; returns owned, of a bounded
 *         size, or NULL: nothing this time. arg: borrowed until heartbeat_stop. At most
 *         HEARTBEAT_EXTRAS_MAX. Any thread. */
typedef struct json_object *heartbeat_fn(void *arg);
void heartbeat_add(struct heartbeat *heartbeat, const char *member, heartbeat_fn *fn,
                   void *arg);

#endif
