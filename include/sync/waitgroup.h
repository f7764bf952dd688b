/* A counter that threads leave and one thread waits for: the barrier.
 *
 * The wait is never cancelled: what was added must be done, for it lives in the waiter's
 * memory. Cancel makes the work end early instead. The waiter can be nudged, to look
 * after something that nobody else owns, and goes back to waiting. add: the waiting
 * thread only. done, nudge: any thread; after the last done the waitgroup is not touched
 * any more by it, so the waiter may release it. */
#ifndef SYNC_WAITGROUP_H
#define SYNC_WAITGROUP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct waitgroup {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    /* guarded by mu */
    int64_t open;
    bool nudged;
};

void waitgroup_init(struct waitgroup *wg);
void waitgroup_release(struct waitgroup *wg); /* nobody may be in it; open must be 0 */

void waitgroup_add(struct waitgroup *wg, int64_t n);
void waitgroup_done(struct waitgroup *wg); /* wakes the waiter only when it is the last */
void waitgroup_nudge(struct waitgroup *wg);
int64_t waitgroup_open(struct waitgroup *wg);

/* Wait until all are done.
 * until_ms  absolute monotonic ms, NOW_FOREVER for none.
 * Returns 0 when all are done, -EAGAIN after a nudge, -ETIMEDOUT. A nudge is used up by
 * -EAGAIN; one that came with the last done is kept for the next wait. */
int waitgroup_wait(struct waitgroup *wg, int64_t until_ms)
    __attribute__((warn_unused_result));

#endif
