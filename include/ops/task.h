/* A task sends units again, one after the other and at a pace, to the group's redrive
 * tier, where the workers take them: redrive and replay are tasks.
 *
 * A group has one at a time: its lock lies in Redis (`ops:{g}:task-lock`) with a lease,
 * renewed while it works. What a task has sent is in the redrive topic itself: each of
 * its records names the task and what it was made of, so a task that was cut off between
 * an acknowledgement and its own note goes on without sending anything twice
 * (`ops:{g}:task:<id>` holds where in the topic it began and what it was to do, for
 * TASK_KEPT_MS). One thread for each task. */
#ifndef OPS_TASK_H
#define OPS_TASK_H

#include "ops/letter.h"
#include "ops/place.h"
#include "sync/ctx.h"

enum { TASK_ID_MAX = 24, TASK_LEASE_MS = 15000 };
#define TASK_KEPT_MS \
    (14LL * 24 * 3600 * 1000) /* as long as the redrive topic's records */

struct task;

/* Begin a new one: takes the lock, and first settles what a task that was cut off left.
 * kind  "redrive" or "replay". spec: what task_resume gives back; copied.
 * ctx   borrowed; cancelled: task_send and the waits here return -ECANCELED.
 * Returns 0, -EAGAIN (another is at work), -ENOENT (no redrive topic yet), -ECANCELED,
 * -ETIMEDOUT, -EACCES, -EIO, -EPROTO. */
int task_begin(struct ops_place *place, const char *kind, const char *spec,
               struct ctx *ctx, struct task **task, struct err *err);

/* Go on with one that was stopped or cut off; waits for the end of its lease.
 * Returns as task_begin; -EINVAL: it is finished, or of another kind. */
int task_resume(struct ops_place *place, const char *kind, const char *id,
                struct ctx *ctx, struct task **task, struct err *err);

const char *task_id(const struct task *task);
const char *task_spec(const struct task *task);
int64_t task_sent(const struct task *task); /* also before it was resumed */

struct task_unit {
    const struct kafka_record *record; /* key, value and the event's own headers */
    const char *target;
    const char *event_id;
    const char *origin_topic;
    int origin_partition;
    int64_t origin_offset;
    int round;
    int64_t attempts;
    int64_t redrives;        /* how often before this time */
    const char *redrives_of; /* "0:17" in the dead-letter topic; NULL: a replay */
    bool resend;             /* although it was triggered */
};

/* Was it sent before by this task? */
bool task_has_sent(const struct task *task, const struct task_unit *unit);

/* Wait for its turn at this pace (0: none) and send it; 0: acknowledged. Returns
 * -ECANCELED (nothing was sent), -EPIPE (the lease was lost: another task may be at
 * work), or what the producer says. */
int task_send(struct task *task, const struct task_unit *unit, double rate_per_s,
              struct err *err);

/* Keep the lease while nothing is sent. Returns 0, -ECANCELED, -EPIPE. */
int task_keep(struct task *task, struct err *err);

/* Let go of the lock. complete: there is nothing to resume. Frees. */
void task_end(struct task *task, bool complete);

#endif
