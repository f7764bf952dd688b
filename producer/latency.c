#include "latency.h"

#include <math.h>
#include <stddef.h>

enum { BUCKETS = LATENCY_FINE_MS + LATENCY_COARSE };

void latency_add(struct latency *latency, int64_t ms)
{
    int64_t at = ms < 0 ? 0 : ms;
    if (at >= LATENCY_FINE_MS) {
        at = LATENCY_FINE_MS + (at - LATENCY_FINE_MS) / LATENCY_COARSE_MS;
    }
    latency->counts[at < BUCKETS ? at : BUCKETS - 1]++;
    latency->total++;
}

int64_t latency_quantile(const struct latency *latency, double share)
{
    uint64_t rank = (uint64_t)ceil(share * (double)latency->total);
    uint64_t seen = 0;
    for (int64_t i = 0; i < BUCKETS; i++) {
        seen += latency->counts[i];
        if (seen >= rank && seen > 0) {
            return i < LATENCY_FINE_MS
                       ? i
                       : LATENCY_FINE_MS + (i - LATENCY_FINE_MS) * LATENCY_COARSE_MS;
        }
    }
    return 0;
}
