#include "redriver.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "sync/cond.h"
#include "wire/json.h"

struct redriver {
    const struct config *config;
    struct ctx *ctx; /* cancelled at the stop */
    pthread_t thread;

    pthread_mutex_t mu;
    pthread_cond_t cond;
    /* guarded by mu; the order and the plan are the thread's while it runs */
    bool stopping;
    bool running;
    struct redriver_order order;
    struct redrive_plan plan;
    int64_t done;
    int64_t total;
    struct redrive_result result;
    struct err err;
};

void redriver_options(const struct redriver_order *order, struct redrive_options *options)
{
    *options = (struct redrive_options){
        .filter = {.target = order->target[0] ? order->target : NULL,
                   .reason = order->reason[0] ? order->reason : NULL,
                   .event = order->event[0] ? order->event : NULL,
                   .since_ms = order->since_ms},
        .rate_per_s = order->rate_per_s,
        .why = order->why[0] ? order->why : NULL,
    };
}

static void on_progress(void *arg, const char *id, int64_t done, int64_t total)
{
    struct redriver *r = arg;
    MUST(pthread_mutex_lock(&r->mu));
    snprintf(r->result.id, sizeof r->result.id, "%s", id);
    r->done = done;
    r->total = total;
    MUST(pthread_mutex_unlock(&r->mu));
}

static int work(struct redriver *r, struct redrive_result *result, struct err *err)
{
    struct ops_place place;
    struct redrive_options options;
    redriver_options(&r->order, &options);
    options.ctx = r->ctx;
    options.progress = on_progress;
    options.arg = r;
    int rc = ops_place_open(&place, r->config, err);
    if (rc) {
        return rc;
    }
    snprintf(place.who, sizeof place.who, "%.127s", r->order.who);
    rc = redrive_run(&place, &options, &r->plan, result, err);
    ops_place_close(&place);
    return rc;
}

static bool wait_for_order(struct redriver *r)
{
    MUST(pthread_mutex_lock(&r->mu));
    while (!r->running && !r->stopping) {
        cond_wait(&r->cond, &r->mu, NOW_FOREVER);
    }
    bool go = !r->stopping;
    MUST(pthread_mutex_unlock(&r->mu));
    return go;
}

static void *run(void *arg)
{
    struct redriver *r = arg;
    while (wait_for_order(r)) {
        struct redrive_result result = {.id = ""};
        struct err err = ERR_INIT;
        (void)work(r, &result, &err);
        MUST(pthread_mutex_lock(&r->mu));
        r->running = false;
        r->result = result;
        r->done = result.sent;
        r->err = err;
        MUST(pthread_mutex_unlock(&r->mu));
    }
    return NULL;
}

int redriver_go(struct redriver *r, const struct redriver_order *order,
                const struct redrive_plan *plan, struct err *err)
{
    MUST(pthread_mutex_lock(&r->mu));
    bool free = !r->running && !r->stopping;
    if (free) {
        r->running = true;
        r->order = *order;
        r->plan = *plan;
        r->done = 0;
        r->total = plan->fit;
        r->result = (struct redrive_result){.id = ""};
        r->err = (struct err)ERR_INIT;
        MUST(pthread_cond_signal(&r->cond));
    }
    MUST(pthread_mutex_unlock(&r->mu));
    return free ? 0 : err_set(err, -EAGAIN, "this console redrives already");
}

struct json_object *redriver_show(struct redriver *r)
{
    struct json_object *doc = json_object_new_object();
    MUST(pthread_mutex_lock(&r->mu));
    json_object_object_add(doc, "running", json_object_new_boolean(r->running));
    json_object_object_add(doc, "id", json_object_new_string(r->result.id));
    json_put_number(doc, "done", r->done);
    json_put_number(doc, "total", r->total);
    json_put_number(doc, "triggered", r->result.triggered);
    json_put_number(doc, "dead_again", r->result.dead_again);
    json_put_number(doc, "waiting", r->result.waiting);
    json_object_object_add(doc, "error", json_object_new_string(r->err.text));
    MUST(pthread_mutex_unlock(&r->mu));
    return doc;
}

struct redriver *redriver_start(const struct config *config)
{
    struct redriver *r = mem_zalloc(sizeof *r);
    r->config = config;
    r->ctx = ctx_new(NULL, NOW_FOREVER);
    MUST(pthread_mutex_init(&r->mu, NULL));
    cond_init(&r->cond);
    MUST(pthread_create(&r->thread, NULL, run, r));
    return r;
}

void redriver_stop(struct redriver *r)
{
    ctx_cancel(r->ctx);
    MUST(pthread_mutex_lock(&r->mu));
    r->stopping = true;
    MUST(pthread_cond_signal(&r->cond));
    MUST(pthread_mutex_unlock(&r->mu));
    MUST(pthread_join(r->thread, NULL));
    ctx_free(r->ctx);
    MUST(pthread_cond_destroy(&r->cond));
    MUST(pthread_mutex_destroy(&r->mu));
    free(r);
}
