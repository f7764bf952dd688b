#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/now.h"
#include "sync/ctx.h"

static void ctx_cancel__reaches_descendants_only(void **state)
{
    (void)state;
    struct ctx *root = ctx_new(NULL, NOW_FOREVER);
    struct ctx *child = ctx_new(root, NOW_FOREVER);
    struct ctx *grandchild = ctx_new(child, NOW_FOREVER);
    struct ctx *sibling = ctx_new(root, NOW_FOREVER);
    ctx_cancel(child);
    ctx_cancel(child);
    assert_int_equal(ctx_err(root), 0);
    assert_int_equal(ctx_err(child), -ECANCELED);
    assert_int_equal(ctx_err(grandchild), -ECANCELED);
    assert_int_equal(ctx_err(sibling), 0);
    struct ctx *late = ctx_new(child, NOW_FOREVER);
    assert_int_equal(ctx_err(late), -ECANCELED);
    ctx_free(late);
    ctx_free(sibling);
    ctx_free(grandchild);
    ctx_free(child);
    ctx_cancel(root); /* its children are gone: nothing to reach */
    ctx_free(root);
    ctx_free(NULL);
}

static void ctx_err__says_timed_out_once_the_deadline_has_passed(void **state)
{
    (void)state;
    struct ctx *past = ctx_new(NULL, now_ms());
    struct ctx *future = ctx_new(NULL, now_ms() + 3600000);
    assert_int_equal(ctx_err(past), -ETIMEDOUT);
    assert_int_equal(ctx_err(future), 0);
    ctx_cancel(past);
    assert_int_equal(ctx_err(past), -ETIMEDOUT); /* the first reason stays */
    ctx_cancel(future);
    ctx_set_deadline(future, 0);
    assert_int_equal(ctx_err(future), -ECANCELED);
    ctx_free(past);
    ctx_free(future);
}

static void ctx_deadline__the_nearest_wins(void **state)
{
    (void)state;
    int64_t soon = now_ms() + 3600000;
    struct ctx *root = ctx_new(NULL, soon);
    struct ctx *later = ctx_new(root, soon + 1);
    struct ctx *nearer = ctx_new(root, soon - 1);
    assert_true(ctx_deadline_ms(later) == soon);
    assert_true(ctx_deadline_ms(nearer) == soon - 1);
    ctx_set_deadline(root, soon + 5); /* never further */
    assert_true(ctx_deadline_ms(root) == soon);
    ctx_set_deadline(root, soon - 1000);
    assert_true(ctx_deadline_ms(later) == soon - 1000);
    assert_true(ctx_deadline_ms(nearer) == soon - 1000);
    ctx_set_deadline(nearer, soon - 2000); /* a child's own affair */
    assert_true(ctx_deadline_ms(root) == soon - 1000);
    ctx_free(nearer);
    ctx_free(later);
    ctx_free(root);
}

static void ctx_sleep__ends_when_the_time_comes(void **state)
{
    (void)state;
    struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
    int64_t until = now_ms() + 20;
    assert_int_equal(ctx_sleep(ctx, until), 0);
    assert_true(now_ms() >= until);
    assert_int_equal(ctx_sleep(ctx, 0), 0);
    assert_int_equal(ctx_sleep(ctx, -5), 0);
    ctx_free(ctx);
}

static void ctx_sleep__never_outlasts_the_context(void **state)
{
    (void)state;
    struct ctx *ctx = ctx_new(NULL, now_ms() + 20);
    assert_int_equal(ctx_sleep(ctx, NOW_FOREVER), -ETIMEDOUT);
    assert_int_equal(ctx_sleep(ctx, 0), -ETIMEDOUT);
    ctx_free(ctx);
}

struct sleeper {
    pthread_t thread;
    struct ctx *ctx;
    atomic_bool begun;
    int rc;
};

static void *sleep_for_good(void *arg)
{
    struct sleeper *s = arg;
    atomic_store(&s->begun, true);
    s->rc = ctx_sleep(s->ctx, NOW_FOREVER);
    return NULL;
}

static void bring_the_deadline_here(struct ctx *ctx)
{
    ctx_set_deadline(ctx, now_ms());
}

/* Sleep on a child while `fn` ends its parent; `yields` moves the end from before the
 * sleep to after its beginning. */
static int end_sleep_by(void (*fn)(struct ctx *ctx), int yields)
{
    struct ctx *root = ctx_new(NULL, NOW_FOREVER);
    struct ctx *child = ctx_new(root, NOW_FOREVER);
    struct sleeper s = {.ctx = child};
    MUST(pthread_create(&s.thread, NULL, sleep_for_good, &s));
    while (yields > 0 && !atomic_load(&s.begun)) {
        sched_yield();
    }
    for (int i = 0; i < yields; i++) {
        sched_yield();
    }
    fn(root);
    MUST(pthread_join(s.thread, NULL));
    ctx_free(child);
    ctx_free(root);
    return s.rc;
}

static void ctx_sleep__is_woken_through_an_ancestor(void **state)
{
    (void)state;
    for (int yields = 0; yields < 100; yields++) {
        assert_int_equal(end_sleep_by(ctx_cancel, yields), -ECANCELED);
        assert_int_equal(end_sleep_by(bring_the_deadline_here, yields), -ETIMEDOUT);
    }
}

static void count_up(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void ctx_watch__is_told_once(void **state)
{
    (void)state;
    struct ctx *root = ctx_new(NULL, NOW_FOREVER);
    struct ctx *child = ctx_new(root, NOW_FOREVER);
    atomic_int told = 0;
    struct ctx_watch a;
    struct ctx_watch b;
    struct ctx_watch gone;
    ctx_watch(child, &a, count_up, &told);
    ctx_watch(child, &gone, count_up, &told);
    ctx_watch(root, &b, count_up, &told);
    ctx_unwatch(child, &gone);
    ctx_unwatch(child, &gone); /* again: nothing */
    ctx_cancel(root);
    ctx_cancel(root);
    ctx_cancel(child);
    assert_int_equal(told, 2);
    ctx_unwatch(child, &a);
    ctx_unwatch(root, &b);
    ctx_watch(child, &a, count_up, &told); /* ended already: at once */
    assert_int_equal(told, 3);
    ctx_unwatch(child, &a);
    ctx_free(child);
    ctx_free(root);
}

static void ctx_watch__a_deadline_calls_nobody(void **state)
{
    (void)state;
    struct ctx *ctx = ctx_new(NULL, 0);
    atomic_int told = 0;
    struct ctx_watch watch;
    ctx_watch(ctx, &watch, count_up, &told);
    assert_int_equal(ctx_err(ctx), -ETIMEDOUT);
    assert_int_equal(told, 0);
    ctx_cancel(ctx);
    assert_int_equal(told, 1);
    ctx_unwatch(ctx, &watch);
    ctx_free(ctx);
}

/* Watches whose memory goes right after ctx_unwatch: a sanitizer sees a late fn. */
static void *watch_and_forget(void *arg)
{
    struct ctx *ctx = arg;
    for (int i = 0; i < 500; i++) {
        struct ctx *child = ctx_new(ctx, NOW_FOREVER);
        struct ctx *watched = i % 2 == 0 ? ctx : child;
        struct ctx_watch *watch = mem_alloc(sizeof *watch);
        atomic_int *told = mem_zalloc(sizeof *told);
        ctx_watch(watched, watch, count_up, told);
        ctx_unwatch(watched, watch);
        int times = atomic_load(told);
        ASSERT(times == 0 || times == 1);
        free(told);
        free(watch);
        ctx_free(child);
    }
    return NULL;
}

static void ctx__threads_may_come_and_go_while_it_is_cancelled(void **state)
{
    (void)state;
    enum { THREADS = 3 };
    for (int round = 0; round < 10; round++) {
        struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++) {
            MUST(pthread_create(&threads[i], NULL, watch_and_forget, ctx));
        }
        ctx_set_deadline(ctx, now_ms() + 3600000);
        ctx_cancel(ctx);
        for (int i = 0; i < THREADS; i++) {
            MUST(pthread_join(threads[i], NULL));
        }
        assert_int_equal(ctx_err(ctx), -ECANCELED);
        ctx_free(ctx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
