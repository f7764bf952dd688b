/* Do things later: a queue by time and one thread. The caller bounds how many wait. */
#ifndef PRODUCER_DELAY_H
#define PRODUCER_DELAY_H

#include <stdint.h>

struct delay;

struct delay *delay_start(void);

/* What still waits is done at once; returns when all is done. */
void delay_stop(struct delay *delay);

/* Call fn(arg) on the delay's thread at due_us (monotonic); fn must not block. Any
 * thread. */
void delay_add(struct delay *delay, int64_t due_us, void (*fn)(void *arg), void *arg);

#endif
