/* Events of the source topic worked once more: a plan first, then either their units are
 * sent again over the redrive tier (only those that no delivery record says were
 * triggered), or the group's offsets are moved back.
 *
 * Only what the group has committed is replayed: what lies beyond it will be read anyway.
 * Blocking; one thread for each call. */
#ifndef OPS_REPLAY_H
#define OPS_REPLAY_H

#include "ops/place.h"
#include "ops/task.h"
#include "wire/kafka_groups.h"

enum { REPLAY_PARTITIONS_MAX = 1024, REPLAY_MAX = 5000, REPLAY_RATE = 50 };

/* A time, or one place in one partition. */
struct replay_bound {
    bool given;
    int partition; /* -1: a time */
    int64_t offset;
    int64_t wall_ms;
};

struct replay_options {
    struct replay_bound from;
    struct replay_bound to;
    const char *event;  /* only the one of this id; may be NULL */
    const char *target; /* a glob; NULL: all */
    bool resend;        /* also what was triggered */
    double rate_per_s;
    const char *why; /* for the audit; may be NULL */
    struct ctx *ctx;
    void (*progress)(void *arg, const char *id, int64_t done,
                     int64_t total); /* or NULL */
    void *arg;
};

struct replay_plan {
    struct kafka_members group; /* may be unknown: state "" */
    int partitions;
    int64_t now[REPLAY_PARTITIONS_MAX];  /* where the group stands; KAFKA_NO_OFFSET */
    int64_t from[REPLAY_PARTITIONS_MAX]; /* from == to: nothing of this partition */
    int64_t to[REPLAY_PARTITIONS_MAX];
    int64_t events;     /* records that were read */
    int64_t skipped;    /* of those: no success, or no target matches */
    int64_t unreadable; /* of those */
    int64_t units;
    int64_t triggered;  /* units with a record of their delivery */
    int64_t waiting;    /* in a retry topic or in a worker's hands */
    int64_t dead;       /* in the dead-letter topic */
    int64_t send;       /* would be sent */
    bool beyond_memory; /* it begins before the delivery records do (ledger.done_ttl) */
};

/* Resolve the bounds and look at every event between them.
 * plan: out; replay_plan_release. Returns 0, -EINVAL (bounds that make no sense, a broker
 * that cannot look up times), -ENOENT, -ETIMEDOUT, -EACCES, -EIO, -EPROTO, -ECANCELED. */
int replay_plan(struct ops_place *place, const struct replay_options *options,
                int64_t until_ms, struct replay_plan *plan, struct err *err);
void replay_plan_release(struct replay_plan *plan);

struct replay_result {
    char id[TASK_ID_MAX];
    int64_t sent;
    int64_t total;
    int64_t too_large; /* for the redrive topic, with their new headers: not sent */
    bool complete;
    int64_t triggered;
    int64_t dead;
    int64_t waiting;
};

/* Send the plan's units; as redrive_run. */
int replay_into_topic(struct ops_place *place, const struct replay_options *options,
                      const struct replay_plan *plan, struct replay_result *result,
                      struct err *err);
int replay_resume(struct ops_place *place, const char *id,
                  const struct replay_options *options, struct replay_result *result,
                  struct err *err);

/* Move the group back to the plan's offsets. Returns 0, -EPIPE (it has members), ... */
int replay_into_group(struct ops_place *place, const struct replay_plan *plan,
                      const char *why, int64_t until_ms, struct err *err);

#endif
