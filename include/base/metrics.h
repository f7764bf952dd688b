/* Counters, gauges and histograms in Prometheus' text format 0.0.4.
 *
 * A registry owns families, a family owns series. A series is made once (at 0, so that a
 * first error is visible to rate()) and then added to without a lock. Names and labels
 * are ours, never data from events: label sets are bounded. Misuse (a bad name, another
 * type, a counter that falls) is a bug and ends the process. */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct metrics;       /* the registry */
struct metric_family; /* one name */
struct metric;        /* one series: a name with label values */

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
enum { METRIC_LABELS_MAX = 4, METRIC_BUCKETS_MAX = 24 };

struct metrics *metrics_new(void);
void metrics_free(struct metrics *m); /* all series are gone with it */

/* Name a family, or find it again.
 * labels   label names separated by commas, "" for none.
 * buckets  for histograms: n upper bounds in ascending order, else NULL and 0.
 * Any thread. */
struct metric_family *metrics_family(struct metrics *m, enum metric_type type,
                                     const char *name, const char *labels,
                                     const char *help, const double *buckets, size_t n);

/* The series with these label values (as many as the family has labels, in order; further
 * ones are ignored, pass NULL), made at 0 if new. Any thread; keep the pointer, do not
 * look up per event. */
struct metric *metrics_series(struct metric_family *f, const char *v1, const char *v2,
                              const char *v3, const char *v4);

/* Take a series out of the output and free it: for labels that come and go (partitions).
 * The pointer is dead afterwards. */
void metrics_drop(struct metric_family *f, struct metric *series);

void metric_add(struct metric *s, double delta); /* counters and gauges; any thread */
void metric_inc(struct metric *s);

/* Gauges; also a counter that repeats a count kept elsewhere. */
void metric_set(struct metric *s, double value);

/* Histograms; seconds or counts. */
void metric_observe(struct metric *s, double value);

/* Of a histogram: how many were observed. */
double metric_value(const struct metric *s);

/* What a family counts for one value of its first label. */
struct metric_reading {
    const char
        *label; /* the second label's value; borrowed, until the series is dropped */
    double value;
};

/* In the order in which the series were made: a series keeps its place while none of the
 * value is dropped. Returns how many, at most max. Any thread. */
size_t metrics_read(struct metric_family *f, const char *v1, struct metric_reading *out,
                    size_t max);

/* A histogram's buckets, one more than it has bounds, each with what was observed in it
 * alone. Returns how many bounds; bounds: borrowed from the registry. Any thread. */
size_t metric_buckets(const struct metric *s, const double **bounds,
                      uint64_t counts[METRIC_BUCKETS_MAX + 1]);

/* Have fn called at each write, on the writing thread and one at a time, before the
 * text is made: to set what is computed. */
void metrics_on_collect(struct metrics *m, void (*fn)(void *arg), void *arg);

/* No more: when it returns, fn does not run and will not. Not from within fn. */
void metrics_off_collect(struct metrics *m, void (*fn)(void *arg), void *arg);

/* Append the whole exposition, families by name. Any thread. */
void metrics_write(struct metrics *m, struct str *out);

#endif
