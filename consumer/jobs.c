#include "jobs.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/now.h"
#include "reply.h"
#include "sync/cond.h"

struct job {
    job_fn *fn;
    void *arg;
    struct httpd_request *request;
};

struct hand {
    struct jobs *jobs;
    struct ops_place place; /* of the thread */
    pthread_t thread;
};

struct jobs {
    struct hand hands[JOBS_THREADS];

    pthread_mutex_t mu;
    pthread_cond_t cond;
    /* guarded by mu */
    struct job queue[JOBS_MAX];
    size_t first;
    size_t count;
    bool stopping;
};

static bool take(struct jobs *jobs, struct job *job)
{
    MUST(pthread_mutex_lock(&jobs->mu));
    while (jobs->count == 0 && !jobs->stopping) {
        cond_wait(&jobs->cond, &jobs->mu, NOW_FOREVER);
    }
    bool there = !jobs->stopping;
    if (there) {
        *job = jobs->queue[jobs->first];
        jobs->first = (jobs->first + 1) % JOBS_MAX;
        jobs->count--;
    }
    MUST(pthread_mutex_unlock(&jobs->mu));
    return there;
}

static void *run(void *arg)
{
    struct hand *hand = arg;
    struct job job;
    while (take(hand->jobs, &job)) {
        job.fn(job.arg, &hand->place, job.request, now_ms() + JOBS_PATIENCE_MS);
    }
    return NULL;
}

static void refuse(struct httpd_request *request)
{
    reply_error(request, 503, "too much is asked of the console at once",
                "try again in a moment");
}

void jobs_add(struct jobs *jobs, job_fn *fn, void *arg, struct httpd_request *request)
{
    MUST(pthread_mutex_lock(&jobs->mu));
    bool room = jobs->count < JOBS_MAX && !jobs->stopping;
    if (room) {
        jobs->queue[(jobs->first + jobs->count++) % JOBS_MAX] =
            (struct job){fn, arg, request};
        MUST(pthread_cond_signal(&jobs->cond));
    }
    MUST(pthread_mutex_unlock(&jobs->mu));
    if (!room) {
        refuse(request);
    }
}

static void stop_hands(struct jobs *jobs, size_t n)
{
    MUST(pthread_mutex_lock(&jobs->mu));
    jobs->stopping = true;
    MUST(pthread_cond_broadcast(&jobs->cond));
    MUST(pthread_mutex_unlock(&jobs->mu));
    for (size_t i = 0; i < n; i++) {
        MUST(pthread_join(jobs->hands[i].thread, NULL));
        ops_place_close(&jobs->hands[i].place);
    }
}

static void jobs_free(struct jobs *jobs)
{
    MUST(pthread_cond_destroy(&jobs->cond));
    MUST(pthread_mutex_destroy(&jobs->mu));
    free(jobs);
}

struct jobs *jobs_start(const struct config *config, struct err *err)
{
    struct jobs *jobs = mem_zalloc(sizeof *jobs);
    MUST(pthread_mutex_init(&jobs->mu, NULL));
    cond_init(&jobs->cond);
    for (size_t i = 0; i < JOBS_THREADS; i++) {
        struct hand *hand = &jobs->hands[i];
        hand->jobs = jobs;
        if (ops_place_open(&hand->place, config, err)) {
            stop_hands(jobs, i);
            jobs_free(jobs);
            return NULL;
        }
        MUST(pthread_create(&hand->thread, NULL, run, hand));
    }
    return jobs;
}

void jobs_stop(struct jobs *jobs)
{
    stop_hands(jobs, JOBS_THREADS);
    for (size_t i = 0; i < jobs->count; i++) {
        refuse(jobs->queue[(jobs->first + i) % JOBS_MAX].request);
    }
    jobs_free(jobs);
}
