/* What the target took, by its own log (sluice-producer mock-cd --log): the witness
 * against whom the workers' counters are held. One thread. */
#ifndef CONSUMER_DEMO_CALLS_H
#define CONSUMER_DEMO_CALLS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { DEMO_CALLS_MAX = 1000 * 1000 };

/* The request header that carries the event's time to the log. */
#define DEMO_TIME_HEADER "x-event-time"

struct demo_calls {
    int64_t accepted; /* calls with an idempotency key that were answered with 2xx */
    int64_t keys;     /* different keys among them */
    int64_t *took_ms; /* owned; from the event's time to the accepting answer, one a call
                         that said the time, unsorted */
    size_t took_count;
};

/* Returns 0, or with a sentence: -EIO (cannot be read), -EINVAL (more than
 * DEMO_CALLS_MAX). demo_calls_release in every case. */
int demo_calls_read(const char *path, struct demo_calls *calls, struct err *err);
void demo_calls_release(struct demo_calls *calls);

#endif
