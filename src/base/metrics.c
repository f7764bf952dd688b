/* Design. One mutex guards the shape: families, series. Values are atomic
 * words outside it: a double's bits for counters and gauges, whole numbers for buckets. A
 * histogram's count is the sum of its buckets, so the two never disagree. */
#include "base/metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

enum { METRIC_COLLECTORS_MAX = 32 };

struct metric {
    struct metric_family *family;
    struct metric *next;             /* guarded by the registry's mu */
    char *values[METRIC_LABELS_MAX]; /* read-only */
    atomic_uint_fast64_t value;      /* a double's bits; a histogram's sum */
    atomic_uint_fast64_t buckets[];  /* histograms: one more than bounds, for +Inf */
};

struct metric_family {
    struct metrics *registry;
    struct metric_family *next; /* guarded by mu, by name */
    struct metric *series;      /* guarded by mu, in order of making */
    /* read-only */
    enum metric_type type;
    char *name;
    char *help;
    char *labels[METRIC_LABELS_MAX];
    size_t label_count;
    double bounds[METRIC_BUCKETS_MAX];
    size_t bound_count;
};

struct collector {
    void (*fn)(void *arg);
    void *arg;
};

struct metrics {
    pthread_mutex_t collecting; /* held while collectors run; taken before mu */
    /* guarded by collecting */
    struct collector collectors[METRIC_COLLECTORS_MAX];
    size_t collector_count;

    pthread_mutex_t mu;
    /* guarded by mu */
    struct metric_family *families;
};

/* --- the registry ------------------------------------------------------------------- */

struct metrics *metrics_new(void)
{
    struct metrics *m = mem_zalloc(sizeof *m);
    MUST(pthread_mutex_init(&m->collecting, NULL));
    MUST(pthread_mutex_init(&m->mu, NULL));
    return m;
}

static void series_free(struct metric *s)
{
    for (size_t i = 0; i < METRIC_LABELS_MAX; i++) {
        free(s->values[i]);
    }
    free(s);
}

static void family_free(struct metric_family *f)
{
    while (f->series != NULL) {
        struct metric *s = f->series;
        f->series = s->next;
        series_free(s);
    }
    for (size_t i = 0; i < METRIC_LABELS_MAX; i++) {
        free(f->labels[i]);
    }
    free(f->name);
    free(f->help);
    free(f);
}

void metrics_free(struct metrics *m)
{
    if (m == NULL) {
        return;
    }
    while (m->families != NULL) {
        struct metric_family *f = m->families;
        m->families = f->next;
        family_free(f);
    }
    MUST(pthread_mutex_destroy(&m->collecting));
    MUST(pthread_mutex_destroy(&m->mu));
    free(m);
}

static bool is_name(const char *text)
{
    static const char allowed[] =
        "0123456789"
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:";
    return text[0] > '9' && text[strspn(text, allowed)] == 0;
}

static void split_labels(struct metric_family *f, const char *labels)
{
    while (*labels != 0) {
        size_t len = strcspn(labels, ",");
        ASSERT(f->label_count < METRIC_LABELS_MAX);
        char *label = mem_strndup(labels, len);
        ASSERT(is_name(label));
        f->labels[f->label_count++] = label;
        labels += len + (labels[len] == ',');
    }
}

static struct metric_family *family_new(struct metrics *m, enum metric_type type,
                                        const char *name, const char *labels,
                                        const char *help, const double *buckets, size_t n)
{
    ASSERT(is_name(name));
    ASSERT(n <= METRIC_BUCKETS_MAX && (n > 0) == (type == METRIC_HISTOGRAM));
    struct metric_family *f = mem_zalloc(sizeof *f);
    f->registry = m;
    f->type = type;
    f->name = mem_strdup(name);
    f->help = mem_strdup(help);
    f->bound_count = n;
    for (size_t i = 0; i < n; i++) {
        ASSERT(i == 0 || buckets[i] > buckets[i - 1]);
        f->bounds[i] = buckets[i];
    }
    split_labels(f, labels);
    return f;
}

struct metric_family *metrics_family(struct metrics *m, enum metric_type type,
                                     const char *name, const char *labels,
                                     const char *help, const double *buckets, size_t n)
{
    MUST(pthread_mutex_lock(&m->mu));
    struct metric_family **link = &m->families;
    while (*link != NULL && strcmp((*link)->name, name) < 0) {
        link = &(*link)->next;
    }
    struct metric_family *f = *link;
    if (f == NULL || strcmp(f->name, name) != 0) {
        f = family_new(m, type, name, labels, help, buckets, n);
        f->next = *link;
        *link = f;
    }
    ASSERT(f->type == type);
    MUST(pthread_mutex_unlock(&m->mu));
    return f;
}

static bool same_values(const struct metric *s, const char *const *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(s->values[i], values[i]) != 0) {
            return false;
        }
    }
    return true;
}

struct metric *metrics_series(struct metric_family *f, const char *v1, const char *v2,
                              const char *v3, const char *v4)
{
    const char *values[METRIC_LABELS_MAX] = {v1, v2, v3, v4};
    for (size_t i = 0; i < f->label_count; i++) {
        ASSERT(values[i] != NULL);
    }
    MUST(pthread_mutex_lock(&f->registry->mu));
    struct metric **link = &f->series;
    while (*link != NULL && !same_values(*link, values, f->label_count)) {
        link = &(*link)->next;
    }
    if (*link == NULL) {
        size_t buckets = f->type == METRIC_HISTOGRAM ? f->bound_count + 1 : 0;
        struct metric *s = mem_zalloc(sizeof *s + buckets * sizeof s->buckets[0]);
        s->family = f;
        for (size_t i = 0; i < f->label_count; i++) {
            s->values[i] = mem_strdup(values[i]);
        }
        *link = s;
    }
    struct metric *found = *link;
    MUST(pthread_mutex_unlock(&f->registry->mu));
    return found;
}

size_t metrics_read(struct metric_family *f, const char *v1, struct metric_reading *out,
                    size_t max)
{
    size_t n = 0;
    ASSERT(f->label_count >= 2);
    MUST(pthread_mutex_lock(&f->registry->mu));
    for (const struct metric *s = f->series; s != NULL && n < max; s = s->next) {
        if (strcmp(s->values[0], v1) == 0) {
            out[n++] = (struct metric_reading){s->values[1], metric_value(s)};
        }
    }
    MUST(pthread_mutex_unlock(&f->registry->mu));
    return n;
}

void metrics_drop(struct metric_family *f, struct metric *series)
{
    MUST(pthread_mutex_lock(&f->registry->mu));
    struct metric **link = &f->series;
    while (*link != series) {
        ASSERT(*link != NULL);
        link = &(*link)->next;
    }
    *link = series->next;
    MUST(pthread_mutex_unlock(&f->registry->mu));
    series_free(series);
}

void metrics_on_collect(struct metrics *m, void (*fn)(void *arg), void *arg)
{
    MUST(pthread_mutex_lock(&m->collecting));
    ASSERT(m->collector_count < METRIC_COLLECTORS_MAX);
    m->collectors[m->collector_count++] = (struct collector){fn, arg};
    MUST(pthread_mutex_unlock(&m->collecting));
}

void metrics_off_collect(struct metrics *m, void (*fn)(void *arg), void *arg)
{
    MUST(pthread_mutex_lock(&m->collecting));
    size_t i = 0;
    while (m->collectors[i].fn != fn || m->collectors[i].arg != arg) {
        i++;
        ASSERT(i < m->collector_count);
    }
    m->collectors[i] = m->collectors[--m->collector_count];
    MUST(pthread_mutex_unlock(&m->collecting));
}

/* --- values ------------------------------------------------------------------------- */

static uint_fast64_t to_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double from_bits(uint_fast64_t bits)
{
    uint64_t exact = bits;
    double value;
    memcpy(&value, &exact, sizeof value);
    return value;
}

static void add(struct metric *s, double delta)
{
    uint_fast64_t old = atomic_load_explicit(&s->value, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&s->value, &old,
                                                  to_bits(from_bits(old) + delta),
                                                  memory_order_relaxed,
                                                  memory_order_relaxed)) {
    }
}

void metric_add(struct metric *s, double delta)
{
    ASSERT(s->family->type == METRIC_GAUGE ||
           (s->family->type == METRIC_COUNTER && delta >= 0));
    add(s, delta);
}

void metric_inc(struct metric *s)
{
    metric_add(s, 1);
}

void metric_set(struct metric *s, double value)
{
    ASSERT(s->family->type != METRIC_HISTOGRAM);
    atomic_store_explicit(&s->value, to_bits(value), memory_order_relaxed);
}

void metric_observe(struct metric *s, double value)
{
    const struct metric_family *f = s->family;
    ASSERT(f->type == METRIC_HISTOGRAM);
    size_t i = 0;
    while (i < f->bound_count && value > f->bounds[i]) {
        i++;
    }
    atomic_fetch_add_explicit(&s->buckets[i], 1, memory_order_relaxed);
    add(s, value);
}

double metric_value(const struct metric *s)
{
    if (s->family->type != METRIC_HISTOGRAM) {
        return from_bits(atomic_load_explicit(&s->value, memory_order_relaxed));
    }
    uint_fast64_t count = 0;
    for (size_t i = 0; i <= s->family->bound_count; i++) {
        count += atomic_load_explicit(&s->buckets[i], memory_order_relaxed);
    }
    return (double)count;
}

size_t metric_buckets(const struct metric *s, const double **bounds,
                      uint64_t counts[METRIC_BUCKETS_MAX + 1])
{
    const struct metric_family *f = s->family;
    ASSERT(f->type == METRIC_HISTOGRAM);
    for (size_t i = 0; i <= f->bound_count; i++) {
        counts[i] = atomic_load_explicit(&s->buckets[i], memory_order_relaxed);
    }
    *bounds = f->bounds;
    return f->bound_count;
}

/* --- the exposition ----------------------------------------------------------------- */

static void add_escaped(struct str *out, const char *text, bool quotes_too)
{
    for (; *text != 0; text++) {
        if (*text == '\n') {
            str_add(out, "\\n");
        } else {
            if (*text == '\\' || (*text == '"' && quotes_too)) {
                str_addc(out, '\\');
            }
            str_addc(out, *text);
        }
    }
}

static void add_number(struct str *out, double value)
{
    if (isnan(value)) {
        str_add(out, "NaN");
    } else if (isinf(value)) {
        str_add(out, value > 0 ? "+Inf" : "-Inf");
    } else {
        size_t before = out->len;
        str_addf(out, "%.15g", value);
        if (strtod(out->data + before, NULL) != value) {
            out->len = before;
            str_addf(out, "%.17g", value);
        }
    }
}

static void add_label(struct str *out, bool first, const char *name, const char *value)
{
    str_addf(out, "%s%s=\"", first ? "{" : ",", name);
    add_escaped(out, value, true);
    str_addc(out, '"');
}

/* name_suffix{labels} value; le (the bound) only for buckets. */
static void add_sample(struct str *out, const struct metric *s, const char *suffix,
                       const char *le, double value)
{
    const struct metric_family *f = s->family;
    str_addf(out, "%s%s", f->name, suffix);
    for (size_t i = 0; i < f->label_count; i++) {
        add_label(out, i == 0, f->labels[i], s->values[i]);
    }
    if (le != NULL) {
        add_label(out, f->label_count == 0, "le", le);
    }
    str_add(out, f->label_count > 0 || le != NULL ? "} " : " ");
    add_number(out, value);
    str_addc(out, '\n');
}

static void add_histogram(struct str *out, const struct metric *s)
{
    const struct metric_family *f = s->family;
    struct str le;
    uint_fast64_t count = 0;
    str_init(&le);
    for (size_t i = 0; i <= f->bound_count; i++) {
        count += atomic_load_explicit(&s->buckets[i], memory_order_relaxed);
        str_clear(&le);
        add_number(&le, i < f->bound_count ? f->bounds[i] : INFINITY);
        add_sample(out, s, "_bucket", le.data, (double)count);
    }
    str_release(&le);
    double sum = from_bits(atomic_load_explicit(&s->value, memory_order_relaxed));
    add_sample(out, s, "_sum", NULL, sum);
    add_sample(out, s, "_count", NULL, (double)count);
}

static void add_family(struct str *out, const struct metric_family *f)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    str_addf(out, "# HELP %s ", f->name);
    add_escaped(out, f->help, false);
    str_addf(out, "\n# TYPE %s %s\n", f->name, types[f->type]);
    for (const struct metric *s = f->series; s != NULL; s = s->next) {
        if (f->type == METRIC_HISTOGRAM) {
            add_histogram(out, s);
        } else {
            add_sample(out, s, "", NULL, metric_value(s));
        }
    }
}

void metrics_write(struct metrics *m, struct str *out)
{
    MUST(pthread_mutex_lock(&m->collecting));
    for (size_t i = 0; i < m->collector_count; i++) {
        m->collectors[i].fn(m->collectors[i].arg); /* they make series and set them */
    }
    MUST(pthread_mutex_unlock(&m->collecting));
    MUST(pthread_mutex_lock(&m->mu));
    for (const struct metric_family *f = m->families; f != NULL; f = f->next) {
        if (f->series != NULL) {
            add_family(out, f);
        }
    }
    MUST(pthread_mutex_unlock(&m->mu));
}
