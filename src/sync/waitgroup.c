/* Locking discipline. `mu` guards everything and is innermost: nothing else is locked or
 * called under it, so a watch's fn may call waitgroup_nudge under a context's lock (ctx
 * before waiter). The last done signals under the lock, and the waiter returns only with
 * the lock in hand, so by then the last done has left: a mutex may be destroyed as soon
 * as it is free (POSIX), which is what the waiter may do next. */
#include "sync/waitgroup.h"

#include <errno.h>

#include "base/err.h"
#include "base/now.h"
#include "sync/cond.h"

void waitgroup_init(struct waitgroup *wg)
{
    MUST(pthread_mutex_init(&wg->mu, NULL));
    cond_init(&wg->cond);
    wg->open = 0;
    wg->nudged = false;
}

void waitgroup_release(struct waitgroup *wg)
{
    ASSERT(waitgroup_open(wg) == 0);
    MUST(pthread_cond_destroy(&wg->cond));
    MUST(pthread_mutex_destroy(&wg->mu));
}

void waitgroup_add(struct waitgroup *wg, int64_t n)
{
    ASSERT(n >= 0);
    MUST(pthread_mutex_lock(&wg->mu));
    wg->open += n;
    MUST(pthread_mutex_unlock(&wg->mu));
}

void waitgroup_done(struct waitgroup *wg)
{
    MUST(pthread_mutex_lock(&wg->mu));
    ASSERT(wg->open > 0);
    wg->open--;
    if (wg->open == 0) {
        MUST(pthread_cond_signal(&wg->cond));
    }
    MUST(pthread_mutex_unlock(&wg->mu));
}

void waitgroup_nudge(struct waitgroup *wg)
{
    MUST(pthread_mutex_lock(&wg->mu));
    wg->nudged = true;
    MUST(pthread_cond_signal(&wg->cond));
    MUST(pthread_mutex_unlock(&wg->mu));
}

int64_t waitgroup_open(struct waitgroup *wg)
{
    MUST(pthread_mutex_lock(&wg->mu));
    int64_t open = wg->open;
    MUST(pthread_mutex_unlock(&wg->mu));
    return open;
}

int waitgroup_wait(struct waitgroup *wg, int64_t until_ms)
{
    int rc = 0;
    MUST(pthread_mutex_lock(&wg->mu));
    while (wg->open > 0 && !wg->nudged && now_ms() < until_ms) {
        cond_wait(&wg->cond, &wg->mu, until_ms);
    }
    if (wg->open > 0 && wg->nudged) {
        wg->nudged = false;
        rc = -EAGAIN;
    } else if (wg->open > 0) {
        rc = -ETIMEDOUT;
    }
    MUST(pthread_mutex_unlock(&wg->mu));
    return rc;
}
