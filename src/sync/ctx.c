/* Locking discipline. Each context has a mutex that guards its children, its watches and
 * the moment of its end. Locks are taken downwards: a parent's before a child's, and a
 * context's before that of a waiter (a watch's fn runs under the context's lock and takes
 * the waiter's). So nobody calls into ctx with a lock held that a watch's fn takes;
 * ctx_err and ctx_deadline_ms alone are free, for they read atomics only: `ended` is
 * written once, `deadline_ms` only ever shrinks. */
#include "sync/ctx.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/now.h"
#include "sync/cond.h"

enum { CTX_DEPTH_MAX = 16 }; /* bounds the recursion below */

struct ctx {
    struct ctx *parent; /* read-only, as is depth */
    int depth;
    atomic_int ended; /* 0, or what ctx_err says since a cancel */
    _Atomic int64_t deadline_ms;
    pthread_mutex_t mu;
    /* guarded by mu */
    pthread_cond_t cond; /* sleepers: ended, or a nearer deadline */
    struct ctx *children;
    struct ctx_watch watches; /* head of a ring */
    /* guarded by the parent's mu */
    struct ctx *next;
};

static int64_t min_ms(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

struct ctx *ctx_new(struct ctx *parent, int64_t deadline_ms)
{
    struct ctx *ctx = mem_zalloc(sizeof *ctx);
    MUST(pthread_mutex_init(&ctx->mu, NULL));
    cond_init(&ctx->cond);
    ctx->watches.next = ctx->watches.prev = &ctx->watches;
    atomic_init(&ctx->deadline_ms, deadline_ms);
    ctx->parent = parent;
    if (parent != NULL) {
        ctx->depth = parent->depth + 1;
        ASSERT(ctx->depth <= CTX_DEPTH_MAX);
        MUST(pthread_mutex_lock(&parent->mu));
        atomic_init(&ctx->ended, atomic_load(&parent->ended));
        atomic_init(&ctx->deadline_ms, min_ms(deadline_ms, ctx_deadline_ms(parent)));
        ctx->next = parent->children;
        parent->children = ctx;
        MUST(pthread_mutex_unlock(&parent->mu));
    }
    return ctx;
}

static void leave_parent(struct ctx *ctx)
{
    struct ctx *parent = ctx->parent;
    MUST(pthread_mutex_lock(&parent->mu));
    struct ctx **link = &parent->children;
    while (*link != ctx) {
        link = &(*link)->next;
    }
    *link = ctx->next;
    MUST(pthread_mutex_unlock(&parent->mu));
}

void ctx_free(struct ctx *ctx)
{
    if (ctx == NULL) {
        return;
    }
    if (ctx->parent != NULL) {
        leave_parent(ctx);
    }
    ASSERT(ctx->children == NULL);
    ASSERT(ctx->watches.next == &ctx->watches);
    MUST(pthread_cond_destroy(&ctx->cond));
    MUST(pthread_mutex_destroy(&ctx->mu));
    free(ctx);
}

int ctx_err(const struct ctx *ctx)
{
    int ended = atomic_load(&ctx->ended);
    if (ended != 0) {
        return ended;
    }
    int64_t deadline_ms = ctx_deadline_ms(ctx);
    return deadline_ms != NOW_FOREVER && now_ms() >= deadline_ms ? -ETIMEDOUT : 0;
}

int64_t ctx_deadline_ms(const struct ctx *ctx)
{
    return atomic_load(&ctx->deadline_ms);
}

/* Take a watch out of its ring; harmless when it is out. */
static void unlink_watch_locked(struct ctx_watch *watch)
{
    watch->prev->next = watch->next;
    watch->next->prev = watch->prev;
    watch->next = watch->prev = watch;
}

void ctx_cancel(struct ctx *ctx)
{
    MUST(pthread_mutex_lock(&ctx->mu));
    if (atomic_load(&ctx->ended) == 0) {
        /* A deadline that has passed already stays the reason. */
        atomic_store(&ctx->ended, ctx_err(ctx) == 0 ? -ECANCELED : -ETIMEDOUT);
        MUST(pthread_cond_broadcast(&ctx->cond));
        while (ctx->watches.next != &ctx->watches) {
            struct ctx_watch *watch = ctx->watches.next;
            unlink_watch_locked(watch);
            watch->fn(watch->arg);
        }
        for (struct ctx *child = ctx->children; child != NULL; child = child->next) {
            ctx_cancel(child);
        }
    }
    MUST(pthread_mutex_unlock(&ctx->mu));
}

void ctx_set_deadline(struct ctx *ctx, int64_t deadline_ms)
{
    MUST(pthread_mutex_lock(&ctx->mu));
    if (deadline_ms < ctx_deadline_ms(ctx)) {
        atomic_store(&ctx->deadline_ms, deadline_ms);
        MUST(pthread_cond_broadcast(&ctx->cond));
        for (struct ctx *child = ctx->children; child != NULL; child = child->next) {
            ctx_set_deadline(child, deadline_ms);
        }
    }
    MUST(pthread_mutex_unlock(&ctx->mu));
}

int ctx_sleep(struct ctx *ctx, int64_t until_ms)
{
    MUST(pthread_mutex_lock(&ctx->mu));
    int rc = ctx_err(ctx);
    while (rc == 0 && now_ms() < until_ms) {
        cond_wait(&ctx->cond, &ctx->mu, min_ms(until_ms, ctx_deadline_ms(ctx)));
        rc = ctx_err(ctx);
    }
    MUST(pthread_mutex_unlock(&ctx->mu));
    return rc;
}

void ctx_watch(struct ctx *ctx, struct ctx_watch *watch, void (*fn)(void *arg), void *arg)
{
    watch->fn = fn;
    watch->arg = arg;
    watch->next = watch->prev = watch;
    MUST(pthread_mutex_lock(&ctx->mu));
    if (atomic_load(&ctx->ended) != 0) {
        fn(arg);
    } else {
        watch->next = &ctx->watches;
        watch->prev = ctx->watches.prev;
        watch->prev->next = watch;
        ctx->watches.prev = watch;
    }
    MUST(pthread_mutex_unlock(&ctx->mu));
}

void ctx_unwatch(struct ctx *ctx, struct ctx_watch *watch)
{
    MUST(pthread_mutex_lock(&ctx->mu));
    unlink_watch_locked(watch);
    MUST(pthread_mutex_unlock(&ctx->mu));
}
