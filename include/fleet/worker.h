/* One worker: all rooms of the fleet wired together, for one process.
 *
 * Life: worker_new (connections, no Kafka group yet), worker_find_topics until it
 * answers, worker_join, worker_check once in a while, worker_stop. One thread calls
 * these; the rest is inside. */
#ifndef FLEET_WORKER_H
#define FLEET_WORKER_H

#include "base/metrics.h"
#include "fleet/config.h"
#include "fleet/gate.h"
#include "fleet/lane.h"
#include "fleet/view.h"

struct worker;

/* Make connections and counters; waits for nobody.
 * config   held; metrics: borrowed until worker_stop. Returns NULL with a sentence. */
struct worker *worker_new(struct config *config, struct metrics *metrics,
                          struct err *err);

/* Before worker_join: who is told of settled batches. */
void worker_observe(struct worker *worker, fleet_settled_fn *settled, void *arg);

/* Before worker_join: who is asked before a target with a gate is called. Borrowed until
 * worker_stop has returned; it answers until then. Nobody is set: such targets' units
 * wait. */
void worker_set_gate(struct worker *worker, const struct gate *gate);

/* Ask the brokers for the topics and create ours. Blocks until until_ms at most.
 * Returns 0; -ETIMEDOUT: no broker answers yet, try again; else as topics_ready. */
int worker_find_topics(struct worker *worker, int64_t until_ms, struct err *err);

/* The memory this worker may hold at worst, in bytes, and the limit of its cgroup (0:
 * none). After worker_find_topics. */
void worker_memory(const struct worker *worker, uint64_t *bound, uint64_t *limit);

/* Work under another configuration from the next batch on. It is held, and differs from
 * the one of the start only in what a reload may change. Returns 0, or -EINVAL with a
 * sentence when it needs more memory than there is; then nothing has changed. */
int worker_reload(struct worker *worker, struct config *config, struct err *err);

/* Keep calls away from these targets, and from no others. Any thread. */
void worker_pause(struct worker *worker, const char *const *names, size_t n);

/* Leave the group and stay: worker_drain lets each batch end and takes no more,
 * worker_rests says whether they have, worker_leave leaves; what has not ended within
 * drain_ms then is given back. worker_join comes back. Returns 0, or 75 when work was
 * given back. While it leaves nobody may look at the worker, as at its stop, except
 * worker_view. */
void worker_drain(struct worker *worker);
bool worker_rests(struct worker *worker);
int worker_leave(struct worker *worker, int64_t drain_ms);

/* Join the group and begin to work, also again. */
int worker_join(struct worker *worker, struct err *err);

/* Look after everything. Returns 0, or the exit code (sysexits) with a sentence when the
 * worker must stop: fenced (76), refused (77), a Redis that evicts (78). */
int worker_check(struct worker *worker, struct err *err);

/* Drain and end, in stages, bounded in every fault (design: about 17 s at worst with the
 * defaults). drain_ms  how long calls on the wire may take to end. worker is gone
 * afterwards. Returns 0 drained, 75 work was given back, 70 the books do not balance. */
int worker_stop(struct worker *worker, int64_t drain_ms);

/* For /readyz, the watchdog and operators. Any thread. */
struct worker_status {
    enum kafka_state kafka;
    char kafka_reason[256];
    int64_t poll_age_ms; /* -1: not joined yet */
    int assigned;
    int64_t lag_events; /* of the assigned partitions together */
    bool redis_connected;
    char redis_reason[256];
    int lanes;
    int waits[LANE_WAITS]; /* lanes by what they wait for */
    int orphans;
    int64_t stuck_ms;  /* for how long a part has not come by, or not come back, past what
                          its own deadlines explain */
    const char *stuck; /* which part; NULL: none */
};
void worker_status(struct worker *worker, struct worker_status *status);

/* The poll loop turns, or is not there yet: what a liveness check asks. Never a
 * dependency: an outage must not restart the fleet. */
bool worker_turns(const struct worker_status *status);

/* All there is to see, at one moment. worker_view_release it. Any thread, until what
 * worker_on_release was given has returned. */
struct worker_view {
    enum kafka_state kafka; /* KAFKA_JOINING also before worker_join */
    bool redis_answers;
    bool stopping;
    int batch_size; /* events a batch may hold */
    int partitions; /* of all topics of the fleet, whoever owns them; 0: not known yet */
    struct view_lane *lanes;
    size_t lane_count;
    struct view_target *targets;
    size_t target_count;
    struct view_limit *limits;
    size_t limit_count;
    struct view_spread latency; /* from the event's time to the accepted trigger */
};
void worker_view(struct worker *worker, struct worker_view *view);
void worker_view_release(struct worker_view *view);

/* The worker's connection, borrowed until what worker_on_release was given has returned.
 */
struct redis *worker_redis(struct worker *worker);

/* Have fn called inside worker_stop, when the lanes are at rest and the group is left,
 * before Redis and the targets go. One at most; before worker_stop. */
void worker_on_release(struct worker *worker, void (*fn)(void *arg), void *arg);

#endif
