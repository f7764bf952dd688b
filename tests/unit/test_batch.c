#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/now.h"
#include "sync/batch.h"

/* Threads that finish what start hands over, in an order of their own. */
enum { THREADS = 3, ITEMS_MAX = 64 };

struct pool {
    pthread_t threads[THREADS];
    pthread_mutex_t mu;
    pthread_cond_t cond;
    /* guarded by mu */
    struct batch *batch;
    size_t items[ITEMS_MAX];
    size_t count;
    bool closed;
    /* what the property is about */
    atomic_size_t running;
    size_t running_max;
    int started[ITEMS_MAX];
    pthread_t caller;
    unsigned inline_mask; /* items whose number has a bit in common end inside start */
};

static int result_of(size_t i)
{
    return i % 7 == 3 ? -EIO : i % 11 == 5 ? -EPROTO : 0;
}

static void finish(struct pool *p, struct batch *batch, size_t i)
{
    atomic_fetch_sub(&p->running, 1);
    batch_done(batch, i, result_of(i));
}

static void *finish_items(void *arg)
{
    struct pool *p = arg;
    MUST(pthread_mutex_lock(&p->mu));
    while (!p->closed) {
        if (p->count == 0) {
            MUST(pthread_cond_wait(&p->cond, &p->mu));
            continue;
        }
        size_t taken = p->items[p->count / 2]; /* neither first nor last come first */
        p->items[p->count / 2] = p->items[p->count - 1];
        p->count--;
        struct batch *batch = p->batch;
        MUST(pthread_mutex_unlock(&p->mu));
        finish(p, batch, taken);
        MUST(pthread_mutex_lock(&p->mu));
    }
    MUST(pthread_mutex_unlock(&p->mu));
    return NULL;
}

static struct pool *pool_start(void)
{
    struct pool *p = mem_zalloc(sizeof *p);
    MUST(pthread_mutex_init(&p->mu, NULL));
    MUST(pthread_cond_init(&p->cond, NULL));
    for (int i = 0; i < THREADS; i++) {
        MUST(pthread_create(&p->threads[i], NULL, finish_items, p));
    }
    return p;
}

static void pool_stop(struct pool *p)
{
    MUST(pthread_mutex_lock(&p->mu));
    p->closed = true;
    MUST(pthread_cond_broadcast(&p->cond));
    MUST(pthread_mutex_unlock(&p->mu));
    for (int i = 0; i < THREADS; i++) {
        MUST(pthread_join(p->threads[i], NULL));
    }
    MUST(pthread_cond_destroy(&p->cond));
    MUST(pthread_mutex_destroy(&p->mu));
    free(p);
}

static void hand_over(void *arg, struct batch *batch, size_t i)
{
    struct pool *p = arg;
    ASSERT(pthread_equal(pthread_self(), p->caller));
    size_t running = atomic_fetch_add(&p->running, 1) + 1;
    if (running > p->running_max) {
        p->running_max = running;
    }
    p->started[i]++;
    if ((i & p->inline_mask) != 0) {
        finish(p, batch, i);
        return;
    }
    MUST(pthread_mutex_lock(&p->mu));
    p->batch = batch;
    p->items[p->count++] = i;
    MUST(pthread_cond_signal(&p->cond));
    MUST(pthread_mutex_unlock(&p->mu));
}

static void check_run(struct pool *p, struct ctx *ctx, size_t n, size_t width)
{
    int results[ITEMS_MAX];
    int first = 0;
    p->caller = pthread_self();
    p->running_max = 0;
    for (size_t i = 0; i < n; i++) {
        p->started[i] = 0;
    }
    int rc = batch_run(ctx, n, width, hand_over, p, results);
    assert_int_equal(p->running, 0);
    assert_true(p->running_max <= width);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(p->started[i], 1);
        assert_int_equal(results[i], result_of(i));
        first = first != 0 ? first : results[i];
    }
    assert_int_equal(rc, first);
}

static void batch_run__starts_each_once_and_never_more_than_width_run(void **state)
{
    (void)state;
    static const unsigned masks[] = {0, 1, 6, ~0U};
    struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
    struct pool *p = pool_start();
    for (size_t m = 0; m < sizeof masks / sizeof masks[0]; m++) {
        p->inline_mask = masks[m];
        for (size_t n = 0; n <= ITEMS_MAX; n += n < 12 ? 1 : 13) {
            for (size_t width = 1; width <= n + 1; width += width < 6 ? 1 : 9) {
                check_run(p, ctx, n, width);
            }
            check_run(p, ctx, n, SIZE_MAX);
        }
    }
    pool_stop(p);
    ctx_free(ctx);
}

/* A window, not blocks: item 0 stays open until all others were started. */
struct straggler {
    struct pool *pool;
    size_t last;
};

static void keep_the_first(void *arg, struct batch *batch, size_t i)
{
    struct straggler *s = arg;
    if (i > 0) {
        hand_over(s->pool, batch, i);
    }
    if (i == s->last) {
        batch_done(batch, 0, -EACCES);
    }
}

static void batch_run__a_slow_item_holds_only_its_own_slot(void **state)
{
    (void)state;
    struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
    struct straggler s = {.pool = pool_start(), .last = ITEMS_MAX - 1};
    int results[ITEMS_MAX];
    s.pool->caller = pthread_self();
    for (int round = 0; round < 20; round++) {
        int rc = batch_run(ctx, ITEMS_MAX, 2, keep_the_first, &s, results);
        assert_int_equal(rc, -EACCES);
        assert_int_equal(results[s.last], result_of(s.last));
    }
    pool_stop(s.pool);
    ctx_free(ctx);
}

static void batch_run__refuses_a_width_of_zero(void **state)
{
    (void)state;
    struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
    int results[2] = {0, 0};
    assert_int_equal(batch_run(ctx, 2, 0, hand_over, NULL, results), -EINVAL);
    assert_int_equal(results[0], BATCH_NOT_STARTED);
    assert_int_equal(results[1], BATCH_NOT_STARTED);
    ctx_free(ctx);
}

struct cancelling {
    struct ctx *ctx;
    struct batch *batch;
    pthread_t finisher;
    atomic_int open;
};

static void *finish_the_first_two(void *arg)
{
    struct cancelling *c = arg;
    for (size_t i = 0; i < 2; i++) {
        atomic_fetch_sub(&c->open, 1);
        batch_done(c->batch, i, -ECANCELED);
    }
    return NULL;
}

/* Items 0 and 1 stay open, 2 ends the context and itself. */
static void cancel_at_two(void *arg, struct batch *batch, size_t i)
{
    struct cancelling *c = arg;
    ASSERT(i <= 2);
    if (i < 2) {
        atomic_fetch_add(&c->open, 1);
        return;
    }
    c->batch = batch;
    ctx_cancel(c->ctx);
    MUST(pthread_create(&c->finisher, NULL, finish_the_first_two, c));
    batch_done(batch, i, 0);
}

static void batch_run__after_a_cancel_starts_nothing_and_waits_for_what_runs(void **state)
{
    (void)state;
    for (int round = 0; round < 100; round++) {
        struct cancelling c = {.ctx = ctx_new(NULL, NOW_FOREVER)};
        int results[6];
        assert_int_equal(batch_run(c.ctx, 6, 3, cancel_at_two, &c, results), -ECANCELED);
        assert_int_equal(c.open, 0);
        assert_int_equal(results[0], -ECANCELED);
        assert_int_equal(results[1], -ECANCELED);
        assert_int_equal(results[2], 0);
        for (size_t i = 3; i < 6; i++) {
            assert_int_equal(results[i], BATCH_NOT_STARTED);
        }
        MUST(pthread_join(c.finisher, NULL));
        ctx_free(c.ctx);
    }
}

static void batch_run__with_a_context_that_has_ended_starts_nothing(void **state)
{
    (void)state;
    struct ctx *ctx = ctx_new(NULL, 0);
    int results[3];
    assert_int_equal(batch_run(ctx, 3, 2, hand_over, NULL, results), BATCH_NOT_STARTED);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(results[i], BATCH_NOT_STARTED);
    }
    assert_int_equal(batch_run(ctx, 0, 2, hand_over, NULL, results), 0);
    ctx_free(ctx);
}

static void end_at_once(void *arg, struct batch *batch, size_t i)
{
    (void)arg;
    batch_done(batch, i, 0);
}

static void batch_run__needs_no_stack_for_items_that_end_at_once(void **state)
{
    (void)state;
    enum { MANY = 1000000 };
    struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
    int *results = mem_array(MANY, sizeof *results);
    assert_int_equal(batch_run(ctx, MANY, 1, end_at_once, NULL, results), 0);
    free(results);
    ctx_free(ctx);
}

static void end_twice(void *arg, struct batch *batch, size_t i)
{
    (void)arg;
    batch_done(batch, i, 0);
    batch_done(batch, i, 0);
}

static void batch_done__twice_is_a_bug(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int results[2];
        close(STDERR_FILENO);
        _exit(batch_run(ctx_new(NULL, NOW_FOREVER), 2, 2, end_twice, NULL, results));
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_BUG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
