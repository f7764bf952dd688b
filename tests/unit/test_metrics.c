#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/metrics.h"

static const double bounds[] = {0.005, 0.1, 2.5};

static struct metric *counter(struct metrics *m, const char *name)
{
    struct metric_family *f =
        metrics_family(m, METRIC_COUNTER, name, "", "Help", NULL, 0);
    return metrics_series(f, NULL, NULL, NULL, NULL);
}

static struct metric *histogram(struct metrics *m, const char *name)
{
    struct metric_family *f =
        metrics_family(m, METRIC_HISTOGRAM, name, "", "Help", bounds, 3);
    return metrics_series(f, NULL, NULL, NULL, NULL);
}

static char *exposition(struct metrics *m)
{
    struct str out;
    str_init(&out);
    metrics_write(m, &out);
    return str_take(&out);
}

static void metrics__a_new_series_is_written_at_zero(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    counter(m, "sluice_errors_total");
    char *out = exposition(m);
    assert_string_equal(out, "# HELP sluice_errors_total Help\n"
                             "# TYPE sluice_errors_total counter\n"
                             "sluice_errors_total 0\n");
    free(out);
    metrics_free(m);
}

static void metrics__families_are_sorted_and_found_again(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    counter(m, "b_total");
    counter(m, "c_total");
    counter(m, "a_total");
    metric_inc(counter(m, "b_total"));
    assert_true(metric_value(counter(m, "b_total")) == 1);
    char *out = exposition(m);
    assert_true(strstr(out, "a_total") < strstr(out, "b_total"));
    assert_true(strstr(out, "b_total") < strstr(out, "c_total"));
    free(out);
    metrics_free(m);
}

static void metrics__labels_and_help_are_escaped(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct metric_family *f =
        metrics_family(m, METRIC_GAUGE, "g", "target,code", "A \\ b\n\"c\"", NULL, 0);
    metric_set(metrics_series(f, "a\"b\\c\nd", "200", NULL, NULL), -1.5);
    char *out = exposition(m);
    assert_string_equal(out, "# HELP g A \\\\ b\\n\"c\"\n"
                             "# TYPE g gauge\n"
                             "g{target=\"a\\\"b\\\\c\\nd\",code=\"200\"} -1.5\n");
    free(out);
    metrics_free(m);
}

static void metrics__a_histogram_counts_upwards(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct metric *h = histogram(m, "h_seconds");
    metric_observe(h, 0.005); /* a bound is inside its bucket */
    metric_observe(h, 0.05);
    metric_observe(h, 1);
    metric_observe(h, 100);
    assert_true(metric_value(h) == 4);
    char *out = exposition(m);
    assert_string_equal(out, "# HELP h_seconds Help\n"
                             "# TYPE h_seconds histogram\n"
                             "h_seconds_bucket{le=\"0.005\"} 1\n"
                             "h_seconds_bucket{le=\"0.1\"} 2\n"
                             "h_seconds_bucket{le=\"2.5\"} 3\n"
                             "h_seconds_bucket{le=\"+Inf\"} 4\n"
                             "h_seconds_sum 101.055\n"
                             "h_seconds_count 4\n");
    free(out);
    metrics_free(m);
}

static void metrics__numbers_keep_their_value(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "g 0\n"},
        {0.1, "g 0.1\n"},
        {1.0 / 3, "g 0.33333333333333331\n"},
        {9007199254740991.0, "g 9007199254740991\n"},
        {1e300, "g 1e+300\n"},
        {(double)INFINITY, "g +Inf\n"},
        {-(double)INFINITY, "g -Inf\n"},
        {(double)NAN, "g NaN\n"},
    };
    struct metrics *m = metrics_new();
    struct metric_family *f = metrics_family(m, METRIC_GAUGE, "g", "", "Help", NULL, 0);
    struct metric *g = metrics_series(f, NULL, NULL, NULL, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        metric_set(g, cases[i].value);
        char *out = exposition(m);
        assert_string_equal(strstr(out, "\ng ") + 1, cases[i].text);
        free(out);
    }
    metrics_free(m);
}

static void metrics__a_dropped_series_is_gone(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct metric_family *f =
        metrics_family(m, METRIC_GAUGE, "lag", "partition", "Help", NULL, 0);
    struct metric *zero = metrics_series(f, "0", NULL, NULL, NULL);
    metrics_series(f, "1", NULL, NULL, NULL);
    metric_set(zero, 7);
    metrics_drop(f, zero);
    char *out = exposition(m);
    assert_null(strstr(out, "partition=\"0\""));
    assert_non_null(strstr(out, "partition=\"1\""));
    free(out);
    assert_true(metric_value(metrics_series(f, "0", NULL, NULL, NULL)) == 0);
    metrics_free(m);
}

static void metrics__are_read_by_their_first_label(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct metric_family *f =
        metrics_family(m, METRIC_COUNTER, "held_total", "target,reason", "Help", NULL, 0);
    metrics_series(f, "a", "paused", NULL, NULL);
    metric_inc(metrics_series(f, "b", "waking", NULL, NULL));
    metric_add(metrics_series(f, "a", "hibernating", NULL, NULL), 2);
    struct metric_reading out[4];
    assert_int_equal(metrics_read(f, "a", out, 4), 2);
    assert_string_equal(out[0].label, "paused");
    assert_true(out[0].value == 0);
    assert_string_equal(out[1].label, "hibernating");
    assert_true(out[1].value == 2);
    assert_int_equal(metrics_read(f, "a", out, 1), 1);
    assert_int_equal(metrics_read(f, "nobody", out, 4), 0);
    metrics_free(m);
}

struct collecting {
    struct metrics *m;
    struct metric_family *family;
    int calls;
};

static void collect(void *arg)
{
    struct collecting *c = arg;
    c->calls++;
    metric_set(metrics_series(c->family, "new", NULL, NULL, NULL), c->calls);
}

static void metrics__collectors_run_before_each_write_and_may_make_series(void **state)
{
    (void)state;
    struct collecting c = {.m = metrics_new()};
    c.family = metrics_family(c.m, METRIC_GAUGE, "g", "x", "Help", NULL, 0);
    metrics_on_collect(c.m, collect, &c);
    free(exposition(c.m));
    char *out = exposition(c.m);
    assert_int_equal(c.calls, 2);
    assert_non_null(strstr(out, "g{x=\"new\"} 2\n"));
    free(out);
    metrics_free(c.m);
}

static void metrics__a_collector_that_was_taken_away_runs_no_more(void **state)
{
    (void)state;
    struct collecting c = {.m = metrics_new()};
    struct collecting other = {.m = c.m};
    c.family = other.family =
        metrics_family(c.m, METRIC_GAUGE, "g", "x", "Help", NULL, 0);
    metrics_on_collect(c.m, collect, &c);
    metrics_on_collect(c.m, collect, &other);
    metrics_off_collect(c.m, collect, &c);
    free(exposition(c.m));
    assert_int_equal(c.calls, 0);
    assert_int_equal(other.calls, 1);
    metrics_free(c.m);
}

enum { THREADS = 4, ADDS = 20000 };

static void *add_often(void *arg)
{
    struct metrics *m = arg;
    struct metric *c = counter(m, "c_total");
    struct metric *h = histogram(m, "h_seconds");
    for (int i = 0; i < ADDS; i++) {
        metric_add(c, 0.5);
        metric_observe(h, 1);
    }
    return NULL;
}

static void metrics__no_addition_is_lost_among_threads(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        MUST(pthread_create(&threads[i], NULL, add_often, m));
    }
    for (int i = 0; i < 50; i++) {
        free(exposition(m)); /* a reader disturbs nobody */
    }
    for (int i = 0; i < THREADS; i++) {
        MUST(pthread_join(threads[i], NULL));
    }
    assert_true(metric_value(counter(m, "c_total")) == THREADS * ADDS / 2.0);
    assert_true(metric_value(histogram(m, "h_seconds")) == THREADS * ADDS);
    metrics_free(m);
}

static void metrics__promtool_finds_no_fault(void **state)
{
    (void)state;
    if (system("command -v promtool >/dev/null 2>&1") != 0) {
        skip();
    }
    struct metrics *m = metrics_new();
    struct metric_family *f = metrics_family(m, METRIC_COUNTER, "sluice_calls_total",
                                             "target,code", "Calls", NULL, 0);
    metric_inc(metrics_series(f, "argo \"cd\"\n\\", "200", NULL, NULL));
    metric_observe(histogram(m, "sluice_call_seconds"), 0.25);
    char *out = exposition(m);
    FILE *promtool = popen("promtool check metrics", "w");
    assert_non_null(promtool);
    fputs(out, promtool);
    assert_int_equal(pclose(promtool), 0);
    free(out);
    metrics_free(m);
}

static void misuse(struct metrics *m, int how)
{
    struct metric *c = counter(m, "c_total");
    switch (how) {
    case 0:
        metric_add(c, -1);
        break;
    case 1:
        metric_observe(c, 1);
        break;
    case 2:
        histogram(m, "c_total");
        break;
    default:
        counter(m, "no-dashes");
    }
}

static void metrics__misuse_is_a_bug(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    for (int how = 0; how < 4; how++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(STDERR_FILENO);
            misuse(m, how);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), EXIT_BUG);
    }
    metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
