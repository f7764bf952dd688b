#include "sync/cond.h"

#include <errno.h>
#include <time.h>

#include "base/err.h"
#include "base/now.h"

void cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    MUST(pthread_condattr_init(&attr));
    MUST(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
    MUST(pthread_cond_init(cond, &attr));
    MUST(pthread_condattr_destroy(&attr));
}

void cond_wait(pthread_cond_t *cond, pthread_mutex_t *mu, int64_t until_ms)
{
    if (until_ms == NOW_FOREVER) {
        MUST(pthread_cond_wait(cond, mu));
        return;
    }
    if (until_ms < 0) {
        until_ms = 0; /* long past */
    }
    struct timespec until = {
        .tv_sec = (time_t)(until_ms / 1000),
        .tv_nsec = (long)(until_ms % 1000) * 1000000,
    };
    int rc = pthread_cond_timedwait(cond, mu, &until);
    ASSERT(rc == 0 || rc == ETIMEDOUT);
}
