/* How long acknowledgements took: counted in buckets, to the millisecond below a second
 * and to a tenth of a second above. Plain data; one thread at a time. */
#ifndef PRODUCER_LATENCY_H
#define PRODUCER_LATENCY_H

#include <stdint.h>

enum { LATENCY_FINE_MS = 1000, LATENCY_COARSE_MS = 100, LATENCY_COARSE = 600 };

struct latency {
    uint64_t counts[LATENCY_FINE_MS + LATENCY_COARSE]; /* the last one: and longer */
    uint64_t total;
};

void latency_add(struct latency *latency, int64_t ms);

/* The time that at least `share` of all did not exceed (nearest rank); 0 of none. */
int64_t latency_quantile(const struct latency *latency, double share);

#endif
