/* Work that blocks, for requests: a few threads, each with a place of its own, and a
 * bounded queue, so that the HTTP loop never waits for Redis, Kafka or anybody else.
 *
 * A job has a context, which ends when its reader leaves (jobs_abort) or its patience is
 * over. What only reads stops there. What changes something finishes the item it is in,
 * does not begin the next, and leaves a trace where it can be asked for. */
#ifndef CONSUMER_JOBS_H
#define CONSUMER_JOBS_H

#include "ops/place.h"
#include "sync/ctx.h"
#include "wire/httpd.h"

enum {
    JOBS_MAX = 32,
    JOBS_THREADS = 8,
    JOBS_PATIENCE_MS = 8000,
    /* Of one function, so that a cluster or a target that hangs leaves some for those who
     * ask for something else. */
    JOBS_RUNNING_OF_ONE = 6,
    JOBS_WAITING_OF_ONE = 24,
};

struct jobs;

/* Decide the request, also when the context has ended: nobody may read it then. On a job
 * thread.
 *
 * ctx  ends JOBS_PATIENCE_MS after the job began, or when the reader leaves; the jobs'.
 */
typedef void job_fn(void *arg, struct ops_place *place, struct httpd_request *request,
                    struct ctx *ctx);

/* config  borrowed until jobs_stop. Returns NULL with a sentence. */
struct jobs *jobs_start(const struct config *config, struct err *err);

/* A full queue, or one with enough of this function, answers the request with 503. Any
 * thread. */
void jobs_add(struct jobs *jobs, job_fn *fn, void *arg, struct httpd_request *request);

/* Its reader has left: one that waits is never begun, one that runs is cancelled. For
 * httpd's `aborted`, from which it borrows the request; any thread. */
void jobs_abort(struct jobs *jobs, struct httpd_request *request);

/* Cancel what runs and wait for it; what waits is answered with 503. */
void jobs_stop(struct jobs *jobs);

#endif
