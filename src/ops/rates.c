#include "ops/rates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

struct rates {
    size_t samples;
    size_t width;
    size_t count; /* kept */
    size_t last;  /* index of the youngest */
    int64_t *at_ms;
    uint64_t *counters; /* samples rows of width */
};

struct rates *rates_new(size_t samples, size_t width)
{
    ASSERT(samples >= 2 && width >= 1);
    struct rates *r = mem_zalloc(sizeof *r);
    r->samples = samples;
    r->width = width;
    r->at_ms = mem_array(samples, sizeof *r->at_ms);
    r->counters = mem_array(samples * width, sizeof *r->counters);
    return r;
}

void rates_free(struct rates *r)
{
    if (r) {
        free(r->at_ms);
        free(r->counters);
        free(r);
    }
}

void rates_put(struct rates *r, int64_t at_ms, const uint64_t *counters)
{
    r->last = r->count == 0 ? 0 : (r->last + 1) % r->samples;
    r->count += r->count < r->samples;
    r->at_ms[r->last] = at_ms;
    memcpy(r->counters + r->last * r->width, counters, r->width * sizeof *counters);
}

/* The row of the sample that is `back` before the last one. */
static size_t row(const struct rates *r, size_t back)
{
    return (r->last + r->samples - back) % r->samples;
}

int64_t rates_growth(const struct rates *r, size_t i, int64_t span_ms, int64_t *over_ms)
{
    ASSERT(i < r->width);
    if (r->count < 2) {
        return -1;
    }
    size_t back = 1;
    while (back + 1 < r->count && r->at_ms[r->last] - r->at_ms[row(r, back)] < span_ms) {
        back++;
    }
    size_t first = row(r, back);
    uint64_t from = r->counters[first * r->width + i];
    uint64_t to = r->counters[r->last * r->width + i];
    if (over_ms) {
        *over_ms = r->at_ms[r->last] - r->at_ms[first];
    }
    return to >= from ? (int64_t)(to - from) : -1;
}

double rates_per_s(const struct rates *r, size_t i, int64_t span_ms)
{
    int64_t over_ms = 0;
    int64_t growth = rates_growth(r, i, span_ms, &over_ms);
    return growth < 0 || over_ms <= 0 ? -1 : (double)growth * 1000 / (double)over_ms;
}

int64_t rates_quantile_ms(const double *bounds_s, size_t bounds, const uint64_t *counts,
                          double q)
{
    uint64_t all = 0;
    uint64_t below = 0;
    size_t i = 0;
    for (size_t k = 0; k <= bounds; k++) {
        all += counts[k];
    }
    if (all == 0 || bounds == 0) {
        return -1;
    }
    double rank = q * (double)all;
    while (i < bounds && (double)(below + counts[i]) < rank) {
        below += counts[i++];
    }
    if (i == bounds) {
        return llround(bounds_s[bounds - 1] * 1000);
    }
    double lower = i > 0 ? bounds_s[i - 1] : 0;
    double share = counts[i] ? (rank - (double)below) / (double)counts[i] : 0;
    return llround((lower + (bounds_s[i] - lower) * share) * 1000);
}
