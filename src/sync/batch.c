/* Locking discipline. `mu` is innermost and not held while start runs, so an item may be
 * done inside its own start. The context needs no watch: when it ends, the items that run
 * are waited for in any case, and the next free slot is when the context is looked at. */
#include "sync/batch.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>

#include "base/err.h"
#include "base/now.h"
#include "sync/cond.h"

enum { RUNNING = INT_MIN }; /* in an item's slot between start and done */

struct batch {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    /* guarded by mu */
    size_t running;
    size_t wake_at; /* the caller sleeps until so few are running */
    size_t n;
    int *results;
};

static void wait_running_at_most_locked(struct batch *b, size_t limit)
{
    b->wake_at = limit;
    while (b->running > limit) {
        cond_wait(&b->cond, &b->mu, NOW_FOREVER);
    }
}

void batch_done(struct batch *b, size_t i, int rc)
{
    MUST(pthread_mutex_lock(&b->mu));
    ASSERT(i < b->n && b->results[i] == RUNNING && rc != RUNNING);
    b->results[i] = rc;
    b->running--;
    if (b->running <= b->wake_at) {
        MUST(pthread_cond_signal(&b->cond));
    }
    MUST(pthread_mutex_unlock(&b->mu));
}

static int first_failure(const int *results, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (results[i] != 0) {
            return results[i];
        }
    }
    return 0;
}

int batch_run(struct ctx *ctx, size_t n, size_t width, batch_start_fn *start, void *arg,
              int *results)
{
    for (size_t i = 0; i < n; i++) {
        results[i] = BATCH_NOT_STARTED;
    }
    if (width == 0) {
        return -EINVAL;
    }
    struct batch b = {.n = n, .results = results};
    MUST(pthread_mutex_init(&b.mu, NULL));
    cond_init(&b.cond);
    MUST(pthread_mutex_lock(&b.mu));
    for (size_t i = 0; i < n; i++) {
        wait_running_at_most_locked(&b, width - 1);
        if (ctx_err(ctx) != 0) {
            break;
        }
        results[i] = RUNNING;
        b.running++;
        MUST(pthread_mutex_unlock(&b.mu));
        start(arg, &b, i);
        MUST(pthread_mutex_lock(&b.mu));
    }
    wait_running_at_most_locked(&b, 0);
    MUST(pthread_mutex_unlock(&b.mu));
    MUST(pthread_cond_destroy(&b.cond));
    MUST(pthread_mutex_destroy(&b.mu));
    return first_failure(results, n);
}
