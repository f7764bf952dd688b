/* Condition variables on the monotonic clock, with our absolute milliseconds. */
#ifndef SYNC_COND_H
#define SYNC_COND_H

#include <pthread.h>
#include <stdint.h>

void cond_init(pthread_cond_t *cond);

/* Wait until signalled, at most until `until_ms` (NOW_FOREVER for no end). Spurious
 * wake-ups happen: call it in a loop that looks at the condition and the clock. */
void cond_wait(pthread_cond_t *cond, pthread_mutex_t *mu, int64_t until_ms);

#endif
