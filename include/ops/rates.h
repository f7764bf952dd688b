/* How fast counters grew lately: a short memory of samples of counters that only grow.
 * Plain data; one thread. */
#ifndef OPS_RATES_H
#define OPS_RATES_H

#include <stddef.h>
#include <stdint.h>

struct rates;

/* samples  how many are kept; width: counters in each. */
struct rates *rates_new(size_t samples, size_t width);
void rates_free(struct rates *rates); /* NULL allowed */

/* The counters at this moment (monotonic). */
void rates_put(struct rates *rates, int64_t at_ms, const uint64_t *counters);

/* By how much counter i grew from the youngest sample that is at least span_ms old, else
 * from the oldest, to the last one.
 * over_ms  out: how long that was; NULL: nobody asks.
 * Returns -1 when there is but one sample, or the counter fell. */
int64_t rates_growth(const struct rates *rates, size_t i, int64_t span_ms,
                     int64_t *over_ms);

/* The same by the second; -1 when not known. */
double rates_per_s(const struct rates *rates, size_t i, int64_t span_ms);

/* The value below which the share q of what was observed lies, in ms, by the straight
 * line inside its bucket; the last bound when it is beyond. counts: one more than
 * bounds. -1 when nothing was observed. */
int64_t rates_quantile_ms(const double *bounds_s, size_t bounds, const uint64_t *counts,
                          double q);

#endif
