/* The inside of a task; for src/ops/task.c (its lock, its record, what it has sent) and
 * task_send.c (its units) only. */
#ifndef OPS_TASK_INSIDE_H
#define OPS_TASK_INSIDE_H

#include "ops/task.h"

enum { TASK_PARTITIONS_MAX = 64, TASK_KEEP_EVERY_MS = 3000 };

struct task {
    struct ops_place *place;
    struct ctx *ctx; /* borrowed */
    char id[TASK_ID_MAX];
    char holder[192]; /* what stands in the lock: "r-0031 ann@build-7 4f2a..." */
    char kind[16];
    char *spec;
    char *topic; /* the redrive topic */
    int partitions;
    int64_t from[TASK_PARTITIONS_MAX]; /* where in it the task began */
    struct json_object *sent;          /* a set of "<of>|<target>" */
    int64_t count;
    int64_t kept_ms; /* when the lease was renewed last */
    int64_t next_ms; /* when the next unit may go */
};

/* Into the set of what was sent. of: "<partition>:<offset>" it was made of. */
void task_add_sent(struct task *task, const char *of, const char *target);

#endif
