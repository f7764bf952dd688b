/* Dead letters sent again: oldest first, at a pace, over the redrive tier, so that the
 * workers take them through the ledger, the shared limits and the breaker like anything
 * else. The original record is never touched. Blocking; one thread for each call. */
#ifndef OPS_REDRIVE_H
#define OPS_REDRIVE_H

#include "ops/deadletters.h"
#include "ops/task.h"

enum {
    REDRIVE_MAX = 5000,    /* unless raised on purpose */
    REDRIVE_COUNT_MAX = 3, /* a letter that died again so often is left alone */
    REDRIVE_RATE = 50,     /* a second, unless told otherwise */
    REDRIVE_UNFIT_MAX = 8,
};

struct redrive_options {
    struct letter_filter filter;
    int64_t limit; /* at most so many of what matches; 0: all */
    double rate_per_s;
    bool force;      /* also what died again REDRIVE_COUNT_MAX times */
    const char *why; /* for the audit; may be NULL */
    struct ctx *ctx;
    void (*progress)(void *arg, const char *id, int64_t done,
                     int64_t total); /* or NULL */
    void *arg;
};

struct redrive_plan {
    struct deadletters_range range; /* letters that come later are not in it */
    int64_t matched;
    int64_t fit; /* would be sent, at most the limit */
    struct {
        char why[80]; /* "is for a target that is not configured" */
        int64_t count;
    } unfit[REDRIVE_UNFIT_MAX];
    size_t unfit_count;
};

/* Look what there is to send. */
int redrive_plan(struct ops_place *place, const struct redrive_options *options,
                 int64_t until_ms, struct redrive_plan *plan, struct err *err);

/* What became of the units that were sent. */
struct redrive_result {
    char id[TASK_ID_MAX];
    int64_t sent;      /* in all, also before it was resumed */
    int64_t total;     /* of the plan */
    int64_t too_large; /* for the redrive topic, with their new headers: not sent */
    bool complete;
    int64_t triggered;
    int64_t dead_again;
    int64_t waiting; /* for another try, or not taken up yet */
};

/* Send what the plan says. Returns 0, or why it stopped: -ECANCELED, -EAGAIN (another
 * task is at work), -EPIPE, ...; result->id then says what to resume, "" when nothing
 * began. */
int redrive_run(struct ops_place *place, const struct redrive_options *options,
                const struct redrive_plan *plan, struct redrive_result *result,
                struct err *err);

/* Go on with a task; of the options only ctx, rate_per_s, why and progress matter. */
int redrive_resume(struct ops_place *place, const char *id,
                   const struct redrive_options *options, struct redrive_result *result,
                   struct err *err);

#endif
