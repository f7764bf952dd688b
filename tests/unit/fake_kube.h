/* Clusters in memory at the seam of kube/client.h: one loop thread, told what to answer
 * by a function. Include after cmocka.h.
 *
 * Defines all of kube/client.h, so that the client itself is not linked. */
#ifndef TESTS_FAKE_KUBE_H
#define TESTS_FAKE_KUBE_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "kube/client.h"
#include "kube/discovery_ask.h"
#include "sync/cond.h"

enum { FAKE_CALLS_MAX = 256, FAKE_LOG_MAX = 4096 };

struct kube {
    char name[KUBE_CLUSTER_NAME_MAX];
    struct fake_kube *fake;
    struct discovery *discovery;
    void *arg; /* the test's */
};

/* Answer: set what is out and return true. Or return false: it hangs, until its ctx ends
 * or fake_kube_let_go. On the loop, or on the caller's thread of kube_do. */
typedef bool fake_kube_fn(struct kube *kube, struct kube_call *call);

struct fake_kube {
    fake_kube_fn *act;
    pthread_t thread;
    pthread_mutex_t mu;
    pthread_cond_t cond;
    /* guarded by mu */
    struct fake_call *calls; /* that wait or hang */
    bool stopping;
    int let_go; /* hanging calls are asked about again when it rises */
    int open;
    int open_max;
    int started;
    int hanging;
    char log[FAKE_LOG_MAX]; /* "GET c /path?query\n" of each */
    size_t log_len;
};

struct fake_call {
    struct kube *kube;
    struct kube_call *call;
    struct ctx_watch watch;
    struct fake_call *next;
    bool hangs;
    int seen; /* of let_go */
};

static struct fake_kube the_fake;

static inline void fake_wake(void *arg)
{
    struct fake_kube *f = arg;
    MUST(pthread_mutex_lock(&f->mu));
    MUST(pthread_cond_broadcast(&f->cond));
    MUST(pthread_mutex_unlock(&f->mu));
}

static inline void fake_begin(struct fake_kube *f, struct kube *kube,
                              struct kube_call *call)
{
    call->status = 0;
    call->doc = NULL;
    call->text = NULL;
    call->retry_after_ms = -1;
    call->end = KUBE_ANSWERED;
    call->rc = 0;
    call->reason[0] = '\0';
    call->err = (struct err)ERR_INIT;
    MUST(pthread_mutex_lock(&f->mu));
    f->started++;
    f->open++;
    f->open_max = f->open > f->open_max ? f->open : f->open_max;
    int n = snprintf(f->log + f->log_len, sizeof f->log - f->log_len, "%s %s %s%s%s\n",
                     call->method ? call->method : "GET", kube->name, call->path,
                     call->query ? "?" : "", call->query ? call->query : "");
    f->log_len += n > 0 && f->log_len + (size_t)n < sizeof f->log ? (size_t)n : 0;
    MUST(pthread_cond_broadcast(&f->cond));
    MUST(pthread_mutex_unlock(&f->mu));
}

/* An answer: a status and a JSON document or, for `plain`, a text. */
static inline bool fake_answer(struct kube_call *call, int status, const char *body)
{
    call->status = status;
    call->end = KUBE_ANSWERED;
    if (call->plain) {
        call->text = mem_strdup(body);
    } else if (json_parse(body, strlen(body), &call->doc, NULL) != 0) {
        fail_msg("no JSON: %s", body);
    }
    call->rc = status < 300                                      ? 0
               : status == 404 || status == 410                  ? -ENOENT
               : status == 401 || status == 403                  ? -EACCES
               : status == 409 || status == 429 || status >= 500 ? -EAGAIN
                                                                 : -EINVAL;
    if (call->rc != 0) {
        err_set(&call->err, call->rc, "answered %d", status);
    }
    return true;
}

static inline bool fake_fail(struct kube_call *call, enum kube_end end, const char *why)
{
    call->end = end;
    call->rc = end == KUBE_TIMED_OUT   ? -ETIMEDOUT
               : end == KUBE_CANCELLED ? -ECANCELED
               : end == KUBE_GARBLED   ? -EPROTO
               : end == KUBE_UNUSABLE  ? -EINVAL
                                       : -EIO;
    err_set(&call->err, call->rc, "%s", why);
    return true;
}

/* Returns whether it has ended. */
static inline bool fake_step(struct kube *kube, struct kube_call *call)
{
    int rc = ctx_err(call->ctx);
    if (rc != 0) {
        return fake_fail(call, rc == -ETIMEDOUT ? KUBE_TIMED_OUT : KUBE_CANCELLED,
                         rc == -ETIMEDOUT ? "timed out" : "cancelled");
    }
    return kube->fake->act(kube, call);
}

/* With the lock. The first call that may go on, taken out; NULL: none, and `until` says
 * when to look again. */
static inline struct fake_call *fake_next(struct fake_kube *f, int64_t *until)
{
    *until = NOW_FOREVER;
    for (struct fake_call **link = &f->calls; *link; link = &(*link)->next) {
        struct fake_call *c = *link;
        if (!c->hangs || c->seen < f->let_go || ctx_err(c->call->ctx) != 0) {
            *link = c->next;
            return c;
        }
        int64_t deadline = ctx_deadline_ms(c->call->ctx);
        *until = deadline < *until ? deadline : *until;
    }
    return NULL;
}

static inline void *fake_main(void *arg)
{
    struct fake_kube *f = arg;
    MUST(pthread_mutex_lock(&f->mu));
    for (;;) {
        int64_t until;
        struct fake_call *c = fake_next(f, &until);
        if (!c && f->stopping) {
            break;
        }
        if (!c) {
            cond_wait(&f->cond, &f->mu, until);
            continue;
        }
        f->hanging -= c->hangs;
        c->seen = f->let_go;
        MUST(pthread_mutex_unlock(&f->mu));
        bool ended = fake_step(c->kube, c->call);
        if (ended) {
            ctx_unwatch(c->call->ctx, &c->watch);
        }
        MUST(pthread_mutex_lock(&f->mu));
        c->hangs = !ended;
        if (!ended) {
            f->hanging++;
            c->next = f->calls;
            f->calls = c;
            MUST(pthread_cond_broadcast(&f->cond));
            continue;
        }
        f->open--;
        MUST(pthread_mutex_unlock(&f->mu));
        struct kube_call *call = c->call;
        free(c);
        call->done(call);
        MUST(pthread_mutex_lock(&f->mu));
    }
    MUST(pthread_mutex_unlock(&f->mu));
    return NULL;
}

static inline void fake_kube_start(fake_kube_fn *act)
{
    memset(&the_fake, 0, sizeof the_fake);
    the_fake.act = act;
    MUST(pthread_mutex_init(&the_fake.mu, NULL));
    cond_init(&the_fake.cond);
    MUST(pthread_create(&the_fake.thread, NULL, fake_main, &the_fake));
}

static inline void fake_kube_stop(void)
{
    MUST(pthread_mutex_lock(&the_fake.mu));
    the_fake.stopping = true;
    MUST(pthread_cond_broadcast(&the_fake.cond));
    MUST(pthread_mutex_unlock(&the_fake.mu));
    MUST(pthread_join(the_fake.thread, NULL));
    assert_int_equal(the_fake.open, 0);
    MUST(pthread_cond_destroy(&the_fake.cond));
    MUST(pthread_mutex_destroy(&the_fake.mu));
}

/* Ask `act` once more about all that hang. */
static inline void fake_kube_let_go(void)
{
    MUST(pthread_mutex_lock(&the_fake.mu));
    the_fake.let_go++;
    MUST(pthread_cond_broadcast(&the_fake.cond));
    MUST(pthread_mutex_unlock(&the_fake.mu));
}

/* Wait for so many calls begun, or that many that hang. */
static inline void fake_kube_await(const int *counter, int n)
{
    MUST(pthread_mutex_lock(&the_fake.mu));
    while (*counter < n) {
        cond_wait(&the_fake.cond, &the_fake.mu, NOW_FOREVER);
    }
    MUST(pthread_mutex_unlock(&the_fake.mu));
}

static inline int fake_kube_count(const char *part)
{
    int n = 0;
    MUST(pthread_mutex_lock(&the_fake.mu));
    for (const char *at = the_fake.log; (at = strstr(at, part)) != NULL; at++) {
        n++;
    }
    MUST(pthread_mutex_unlock(&the_fake.mu));
    return n;
}

static inline struct kube *fake_kube_new(const char *name)
{
    struct kube *kube = mem_zalloc(sizeof *kube);
    snprintf(kube->name, sizeof kube->name, "%s", name);
    kube->fake = &the_fake;
    kube->discovery = discovery_new(kube);
    return kube;
}

/* --- kube/client.h --- */

/* A kubeconfig that begins with '!' cannot be read. */
struct kube *kube_open(struct http *http, const struct kube_options *options,
                       struct err *err)
{
    (void)http;
    if (options->kubeconfig != NULL && options->kubeconfig[0] == '!') {
        err_set(err, -ENOENT, "cluster %s: %s cannot be read", options->name,
                options->kubeconfig);
        return NULL;
    }
    return fake_kube_new(options->name);
}

void kube_close(struct kube *kube)
{
    if (kube != NULL) {
        discovery_free(kube->discovery);
        free(kube);
    }
}

struct discovery *kube_discovery(const struct kube *kube)
{
    return kube->discovery;
}

const char *kube_name(const struct kube *kube)
{
    return kube->name;
}

const char *kube_server(const struct kube *kube)
{
    return kube->name;
}

const char *kube_namespace(const struct kube *kube)
{
    (void)kube;
    return NULL;
}

void kube_start(struct kube *kube, struct kube_call *call)
{
    struct fake_kube *f = kube->fake;
    struct fake_call *c = mem_zalloc(sizeof *c);
    c->kube = kube;
    c->call = call;
    fake_begin(f, kube, call);
    ctx_watch(call->ctx, &c->watch, fake_wake, f);
    MUST(pthread_mutex_lock(&f->mu));
    c->next = f->calls;
    f->calls = c;
    MUST(pthread_cond_broadcast(&f->cond));
    MUST(pthread_mutex_unlock(&f->mu));
}

struct fake_wait {
    struct fake_kube *fake;
    bool over;
};

static inline void fake_done(struct kube_call *call)
{
    struct fake_wait *wait = call->arg;
    MUST(pthread_mutex_lock(&wait->fake->mu));
    wait->over = true;
    MUST(pthread_cond_broadcast(&wait->fake->cond));
    MUST(pthread_mutex_unlock(&wait->fake->mu));
}

int kube_do(struct kube *kube, struct kube_call *call)
{
    struct fake_kube *f = kube->fake;
    struct fake_wait wait = {.fake = f};
    void (*told)(struct kube_call *) = call->done;
    void *arg = call->arg;
    call->done = fake_done;
    call->arg = &wait;
    kube_start(kube, call);
    MUST(pthread_mutex_lock(&f->mu));
    while (!wait.over) {
        cond_wait(&f->cond, &f->mu, NOW_FOREVER);
    }
    MUST(pthread_mutex_unlock(&f->mu));
    call->done = told;
    call->arg = arg;
    return call->rc;
}

void kube_call_release(struct kube_call *call)
{
    json_free(call->doc);
    free(call->text);
    call->doc = NULL;
    call->text = NULL;
}

#endif
