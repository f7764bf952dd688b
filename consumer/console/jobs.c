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

    /* guarded by the jobs' mu */
    struct job job;
    struct ctx *ctx; /* of the job; NULL: there is none */
};

struct jobs {
    struct hand hands[JOBS_THREADS];

    pthread_mutex_t mu;
    pthread_cond_t cond;
    /* guarded by mu */
    struct job queue[JOBS_MAX]; /* oldest first */
    size_t count;
    bool stopping;
};

static size_t running_locked(const struct jobs *jobs, job_fn *fn)
{
    size_t n = 0;
    for (size_t i = 0; i < JOBS_THREADS; i++) {
        n += jobs->hands[i].ctx && jobs->hands[i].job.fn == fn;
    }
    return n;
}

static size_t waiting_locked(const struct jobs *jobs, job_fn *fn)
{
    size_t n = 0;
    for (size_t i = 0; i < jobs->count; i++) {
        n += jobs->queue[i].fn == fn;
    }
    return n;
}

/* The oldest that may run now; as many as wait: there is none. */
static size_t next_locked(const struct jobs *jobs)
{
    size_t i = 0;
    while (i < jobs->count &&
           running_locked(jobs, jobs->queue[i].fn) >= JOBS_RUNNING_OF_ONE) {
        i++;
    }
    return i;
}

static void remove_locked(struct jobs *jobs, size_t i)
{
    for (jobs->count--; i < jobs->count; i++) {
        jobs->queue[i] = jobs->queue[i + 1];
    }
}

/* Take the next one in hand. Returns false when there will be none. What may not run yet
 * is looked at again by the hand that makes room for it. */
static bool take(struct hand *hand)
{
    struct jobs *jobs = hand->jobs;
    MUST(pthread_mutex_lock(&jobs->mu));
    size_t next = next_locked(jobs);
    while (next == jobs->count && !jobs->stopping) {
        cond_wait(&jobs->cond, &jobs->mu, NOW_FOREVER);
        next = next_locked(jobs);
    }
    bool there = !jobs->stopping;
    if (there) {
        hand->job = jobs->queue[next];
        hand->ctx = ctx_new(NULL, now_ms() + JOBS_PATIENCE_MS);
        remove_locked(jobs, next);
    }
    MUST(pthread_mutex_unlock(&jobs->mu));
    return there;
}

static void put_down(struct hand *hand)
{
    MUST(pthread_mutex_lock(&hand->jobs->mu));
    struct ctx *ctx = hand->ctx;
    hand->ctx = NULL;
    hand->job = (struct job){0};
    MUST(pthread_mutex_unlock(&hand->jobs->mu));
    ctx_free(ctx); /* nobody can find it to cancel it any more */
}

static void *run(void *arg)
{
    struct hand *hand = arg;
    while (take(hand)) {
        hand->job.fn(hand->job.arg, &hand->place, hand->job.request, hand->ctx);
        put_down(hand);
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
    bool room = jobs->count < JOBS_MAX && !jobs->stopping &&
                waiting_locked(jobs, fn) < JOBS_WAITING_OF_ONE;
    if (room) {
        jobs->queue[jobs->count++] = (struct job){fn, arg, request};
        MUST(pthread_cond_signal(&jobs->cond));
    }
    MUST(pthread_mutex_unlock(&jobs->mu));
    if (!room) {
        refuse(request);
    }
}

/* Take it out of the queue, so that its place is free. Returns whether it was there. */
static bool withdraw_locked(struct jobs *jobs, const struct httpd_request *request)
{
    for (size_t i = 0; i < jobs->count; i++) {
        if (jobs->queue[i].request == request) {
            remove_locked(jobs, i);
            return true;
        }
    }
    return false;
}

/* A hand that has decided its request may still hold the address of one that is no more,
 * and this one may have got the same: so all are looked at, and to cancel a job that has
 * decided does no harm. */
void jobs_abort(struct jobs *jobs, struct httpd_request *request)
{
    MUST(pthread_mutex_lock(&jobs->mu));
    bool waited = withdraw_locked(jobs, request);
    for (size_t i = 0; i < JOBS_THREADS; i++) {
        struct hand *hand = &jobs->hands[i];
        if (hand->ctx && hand->job.request == request) {
            ctx_cancel(hand->ctx);
        }
    }
    MUST(pthread_mutex_unlock(&jobs->mu));
    if (waited) {
        refuse(request); /* the decision is due; nobody reads it */
    }
}

static void stop_hands(struct jobs *jobs, size_t n)
{
    MUST(pthread_mutex_lock(&jobs->mu));
    jobs->stopping = true;
    for (size_t i = 0; i < n; i++) {
        if (jobs->hands[i].ctx) {
            ctx_cancel(jobs->hands[i].ctx);
        }
    }
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
        refuse(jobs->queue[i].request);
    }
    jobs_free(jobs);
}
