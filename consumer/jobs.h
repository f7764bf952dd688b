/* Work that blocks, for requests: two threads, each with a place of its own, and a
 * bounded queue, so that the HTTP loop never waits for Redis or Kafka. */
#ifndef CONSUMER_JOBS_H
#define CONSUMER_JOBS_H

#include "ops/place.h"
#include "wire/httpd.h"

enum { JOBS_MAX = 32, JOBS_THREADS = 2, JOBS_PATIENCE_MS = 8000 };

struct jobs;

/* Decide the request, by until_ms at the latest. On a job thread. */
typedef void job_fn(void *arg, struct ops_place *place, struct httpd_request *request,
                    int64_t until_ms);

/* config  borrowed until jobs_stop. Returns NULL with a sentence. */
struct jobs *jobs_start(const struct config *config, struct err *err);

/* A full queue answers the request with 503. Any thread. */
void jobs_add(struct jobs *jobs, job_fn *fn, void *arg, struct httpd_request *request);

/* Finish what runs; what waits is answered with 503. */
void jobs_stop(struct jobs *jobs);

#endif
