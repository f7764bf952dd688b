#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/str.h"

/* Stderr goes into a pipe between capture_begin and capture_end. */
struct capture {
    int saved;
    int ends[2];
};

static struct capture capture_begin(enum log_level level, enum log_format format,
                                    const char *consumer)
{
    struct capture c;
    c.saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(c.ends), 0);
    assert_int_equal(dup2(c.ends[1], STDERR_FILENO), STDERR_FILENO);
    log_setup(level, format, consumer);
    return c;
}

/* Returns what was written, owned. */
static char *capture_end(struct capture *c)
{
    assert_int_equal(dup2(c->saved, STDERR_FILENO), STDERR_FILENO);
    close(c->saved);
    close(c->ends[1]);
    log_setup(LOG_INFO, LOG_TEXT, NULL); /* lets go of the pipe */
    struct str all;
    str_init(&all);
    char some[4096];
    ssize_t n = read(c->ends[0], some, sizeof some);
    while (n > 0) {
        str_put(&all, some, (size_t)n);
        n = read(c->ends[0], some, sizeof some);
    }
    close(c->ends[0]);
    return str_take(&all);
}

static int count(const char *text, const char *part)
{
    int n = 0;
    for (const char *p = strstr(text, part); p != NULL; p = strstr(p + 1, part)) {
        n++;
    }
    return n;
}

static void log__json_has_time_level_message_consumer_and_fields(void **state)
{
    (void)state;
    struct capture c = capture_begin(LOG_INFO, LOG_AUTO, "c-3"); /* a pipe: JSON */
    LOG(LOG_INFO, "batch committed", LS("topic", "ci.succeeded"), LI("batch", 9911),
        LF("seconds", 0.25), LS("key", NULL), LEND);
    char *out = capture_end(&c);
    assert_memory_equal(out, "{\"ts\":\"20", 9);
    assert_string_equal(strstr(out, "Z\","),
                        "Z\",\"level\":\"info\",\"msg\":\"batch committed\","
                        "\"consumer\":\"c-3\",\"topic\":\"ci.succeeded\",\"batch\":9911,"
                        "\"seconds\":0.25,\"key\":null}\n");
    free(out);
}

static void log__text_is_for_reading(void **state)
{
    (void)state;
    struct capture c = capture_begin(LOG_INFO, LOG_TEXT, NULL);
    LOG(LOG_INFO, "batch committed", LS("topic", "ci.succeeded"), LI("events", 5), LEND);
    LOG(LOG_WARN, "odd", LS("a", "two words"), LS("b", "x=\"y\"\x1b["), LS("c", ""),
        LEND);
    char *out = capture_end(&c);
    /* 14:02:08.402 and then */
    assert_memory_equal(out + 12, " INFO  batch committed topic=ci.succeeded events=5\n",
                        51);
    assert_string_equal(strstr(out, "WARN"),
                        "WARN  odd a=\"two words\" b=\"x=\\\"y\\\"\\u001b[\" c=\"\"\n");
    free(out);
}

static void log__logfmt_is_pairs_alone(void **state)
{
    (void)state;
    struct capture c = capture_begin(LOG_INFO, LOG_LOGFMT, "c-3");
    LOG(LOG_WARN, "odd thing", LS("a", "two words"), LI("n", 5), LS("b", "x=\"y\"\n"),
        LEND);
    char *out = capture_end(&c);
    assert_memory_equal(out, "ts=20", 5);
    assert_string_equal(strstr(out, "Z "),
                        "Z level=warn msg=\"odd thing\" consumer=c-3 a=\"two words\" n=5 "
                        "b=\"x=\\\"y\\\"\\n\"\n");
    free(out);
}

static void log__ecs_renames_what_it_has_names_for(void **state)
{
    (void)state;
    struct capture c = capture_begin(LOG_INFO, LOG_ECS, NULL);
    LOG(LOG_ERROR, "failed", LS("trace_id", "4bf9"), LS("topic", "ci"), LS("host", "::1"),
        LS("error", "gone"), LEND);
    char *out = capture_end(&c);
    assert_memory_equal(out, "{\"@timestamp\":\"20", 17);
    assert_string_equal(strstr(out, "Z\","),
                        "Z\",\"log.level\":\"error\",\"ecs.version\":\"8.11.0\","
                        "\"message\":\"failed\",\"trace.id\":\"4bf9\",\"topic\":\"ci\","
                        "\"server.address\":\"::1\",\"error.message\":\"gone\"}\n");
    free(out);
}

static void log__hostile_values_stay_inside_their_quotes(void **state)
{
    (void)state;
    struct capture c = capture_begin(LOG_INFO, LOG_JSON, NULL);
    LOG(LOG_INFO, "a", LS("v", "\",\"level\":\"error\"}\n\xFF\x01"), LEND);
    char *out = capture_end(&c);
    assert_string_equal(
        strstr(out, "\"v\""),
        "\"v\":\"\\\",\\\"level\\\":\\\"error\\\"}\\n\xEF\xBF\xBD\\u0001\"}\n");
    free(out);
}

static void log__long_values_are_cut_between_characters(void **state)
{
    (void)state;
    char value[LOG_VALUE_MAX + 100];
    memset(value, 'x', sizeof value);
    value[sizeof value - 1] = 0;
    memcpy(value + LOG_VALUE_MAX - 1, "\xC3\xA9", 2); /* lies across the cut */
    struct capture c = capture_begin(LOG_INFO, LOG_JSON, NULL);
    LOG(LOG_INFO, "a", LS("v", value), LEND);
    char *out = capture_end(&c);
    assert_int_equal(count(out, "x"), LOG_VALUE_MAX - 1);
    assert_string_equal(strstr(out, "x.."), "x...\"}\n");
    free(out);
}

static void log__a_line_fits_one_atomic_write(void **state)
{
    (void)state;
    char value[LOG_VALUE_MAX + 1];
    memset(value, 1, sizeof value); /* each byte becomes six */
    value[LOG_VALUE_MAX] = 0;
    struct log_field fields[LOG_FIELDS_MAX + 1];
    for (int i = 0; i < LOG_FIELDS_MAX; i++) {
        fields[i] = i % 2 == 0 ? LS("big", value) : LI("small", i);
    }
    fields[LOG_FIELDS_MAX] = LEND;
    struct log_site site = {0};
    struct capture c = capture_begin(LOG_INFO, LOG_JSON, "c-3");
    log_write(&site, LOG_INFO, "a", fields);
    char *out = capture_end(&c);
    assert_in_range(strlen(out), 1, 4096);
    assert_int_equal(count(out, "\"big\""), 1);
    assert_int_equal(count(out, "\"small\""), LOG_FIELDS_MAX / 2);
    assert_string_equal(out + strlen(out) - 2, "}\n");
    free(out);
}

static void log__levels_below_the_set_one_are_off(void **state)
{
    (void)state;
    struct capture c = capture_begin(LOG_WARN, LOG_JSON, NULL);
    uint64_t before = log_count(LOG_INFO);
    LOG(LOG_DEBUG, "no", LEND);
    LOG(LOG_INFO, "no", LEND);
    LOG(LOG_ERROR, "yes", LEND);
    assert_false(log_enabled(LOG_INFO));
    assert_true(log_enabled(LOG_WARN));
    assert_int_equal(log_count(LOG_INFO), before);
    char *out = capture_end(&c);
    assert_int_equal(count(out, "\n"), 1);
    assert_non_null(strstr(out, "\"error\",\"msg\":\"yes\""));
    free(out);
}

static const struct log_field no_fields[] = {{.kind = LOG_F_END}};

static void log__repetition_is_suppressed_counted_and_summed_up(void **state)
{
    (void)state;
    struct log_site site = {0};
    struct capture c = capture_begin(LOG_INFO, LOG_JSON, NULL);
    uint64_t warned = log_count(LOG_WARN);
    uint64_t suppressed = log_count_suppressed(LOG_WARN);
    for (int i = 0; i < LOG_BURST + 7; i++) {
        log_write(&site, LOG_WARN, "redis is gone", no_fields);
    }
    log_flush_suppressed(false); /* its window is not over */
    assert_int_equal(site.suppressed, 7);
    log_flush_suppressed(true);
    log_flush_suppressed(true); /* nothing left */
    assert_int_equal(log_count(LOG_WARN) - warned, LOG_BURST + 7);
    assert_int_equal(log_count_suppressed(LOG_WARN) - suppressed, 7);
    char *out = capture_end(&c);
    assert_int_equal(count(out, "\"msg\":\"redis is gone\"}"), LOG_BURST);
    assert_int_equal(count(out, "\"warn\",\"msg\":\"redis is gone\",\"suppressed\":7}"),
                     1);
    assert_int_equal(count(out, "\n"), LOG_BURST + 1);
    free(out);
}

static void log__a_window_that_is_over_is_summed_up_by_the_flush(void **state)
{
    (void)state;
    struct log_site site = {0};
    struct capture c = capture_begin(LOG_INFO, LOG_JSON, NULL);
    for (int i = 0; i < LOG_BURST + 1; i++) {
        log_write(&site, LOG_ERROR, "again", no_fields);
    }
    site.window_start_ms -= LOG_WINDOW_MS;
    log_flush_suppressed(false);
    char *out = capture_end(&c);
    assert_int_equal(count(out, "\"suppressed\":1}"), 1);
    free(out);
}

static void log__a_new_window_begins_with_the_old_ones_sum(void **state)
{
    (void)state;
    struct log_site site = {0};
    struct capture c = capture_begin(LOG_INFO, LOG_JSON, NULL);
    for (int i = 0; i < LOG_BURST + 3; i++) {
        log_write(&site, LOG_WARN, "again", no_fields);
    }
    site.window_start_ms -= LOG_WINDOW_MS;
    log_write(&site, LOG_WARN, "again", no_fields);
    log_flush_suppressed(true); /* takes the site off the list, nothing to say */
    char *out = capture_end(&c);
    assert_int_equal(count(out, "\n"), LOG_BURST + 2);
    assert_non_null(strstr(out, "\"suppressed\":3}\n{"));
    free(out);
}

static void log__a_site_that_goes_on_is_summed_up_again(void **state)
{
    (void)state;
    struct log_site quiet = {0};
    struct log_site noisy = {0};
    struct capture c = capture_begin(LOG_INFO, LOG_JSON, NULL);
    for (int i = 0; i < LOG_BURST + 2; i++) {
        log_write(&quiet, LOG_WARN, "quiet", no_fields);
        log_write(&noisy, LOG_WARN, "noisy", no_fields);
    }
    quiet.window_start_ms -= LOG_WINDOW_MS;
    log_flush_suppressed(false); /* passes over the noisy one, whose window is open */
    for (int i = 0; i < 3; i++) {
        log_flush_suppressed(true);
        log_write(&noisy, LOG_WARN, "noisy", no_fields);
    }
    log_flush_suppressed(true);
    char *out = capture_end(&c);
    assert_int_equal(count(out, "\"quiet\",\"suppressed\":2}"), 1);
    assert_true(strstr(out, "\"quiet\",\"supp") < strstr(out, "\"noisy\",\"supp"));
    assert_int_equal(count(out, "\"noisy\",\"suppressed\":2}"), 1);
    assert_int_equal(count(out, "\"noisy\",\"suppressed\":1}"), 3);
    free(out);
}

static void log__info_lines_are_never_suppressed(void **state)
{
    (void)state;
    struct log_site site = {0};
    struct capture c = capture_begin(LOG_INFO, LOG_JSON, NULL);
    for (int i = 0; i < 10 * LOG_BURST; i++) {
        log_write(&site, LOG_INFO, "batch committed", no_fields);
    }
    char *out = capture_end(&c);
    assert_int_equal(count(out, "\n"), 10 * LOG_BURST);
    free(out);
}

static void log__a_full_pipe_drops_lines_and_blocks_nobody(void **state)
{
    (void)state;
    struct capture c = capture_begin(LOG_INFO, LOG_JSON, NULL);
    uint64_t dropped = log_count_dropped();
    for (int i = 0; i < 3000; i++) { /* a pipe holds 64 KiB; nobody reads */
        LOG(LOG_INFO, "a line of some length, to fill the pipe sooner", LI("i", i), LEND);
    }
    dropped = log_count_dropped() - dropped;
    assert_in_range(dropped, 1, 2999);
    char *out = capture_end(&c);
    assert_int_equal(count(out, "\n") + (int)dropped, 3000);
    assert_int_equal(count(out, "{\"ts\""), count(out, "}\n")); /* whole lines only */
    free(out);
}

static void log__several_writers_on_a_full_pipe_all_go_on(void **state)
{
    (void)state;
    struct capture c = capture_begin(LOG_INFO, LOG_JSON, NULL);
    for (int i = 0; i < 4; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            for (int line = 0; line < 1000; line++) {
                LOG(LOG_INFO, "between poll and write another fills the pipe", LEND);
            }
            _exit(0);
        }
    }
    while (wait(NULL) > 0) {
    }
    free(capture_end(&c));
}

static void log__the_shared_descriptor_stays_blocking(void **state)
{
    (void)state;
    struct capture c = capture_begin(LOG_INFO, LOG_JSON, NULL);
    LOG(LOG_INFO, "x", LEND);
    assert_int_equal(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0);
    free(capture_end(&c));
}

static void log__a_closed_stderr_ends_nothing(void **state)
{
    (void)state;
    struct capture c = capture_begin(LOG_INFO, LOG_JSON, NULL);
    uint64_t dropped = log_count_dropped();
    close(c.ends[0]);
    LOG(LOG_INFO, "to nobody", LEND); /* EPIPE, and no SIGPIPE */
    assert_int_equal(log_count_dropped() - dropped, 1);
    c.ends[0] = open("/dev/null", O_RDONLY);
    free(capture_end(&c));
}

static void log__no_socket_gets_the_number_of_a_missing_stderr(void **state)
{
    (void)state;
    int saved = dup(STDERR_FILENO);
    close(STDERR_FILENO);
    log_setup(LOG_INFO, LOG_JSON, NULL);
    int next = open("/dev/null", O_RDONLY);
    LOG(LOG_INFO, "to nobody", LEND);
    close(next);
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    close(saved);
    log_setup(LOG_INFO, LOG_TEXT, NULL);
    assert_int_not_equal(next, STDERR_FILENO);
}

static void log__lines_of_several_processes_do_not_mix(void **state)
{
    (void)state;
    enum { CHILDREN = 4, LINES = 30 };
    struct capture c = capture_begin(LOG_INFO, LOG_JSON, NULL);
    char value[LOG_VALUE_MAX];
    memset(value, 'v', sizeof value);
    value[200] = 0;
    for (int i = 0; i < CHILDREN; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            for (int line = 0; line < LINES; line++) {
                LOG(LOG_INFO, "mine", LS("value", value), LEND);
            }
            _exit(0);
        }
    }
    while (wait(NULL) > 0) {
    }
    char *out = capture_end(&c);
    int whole = 0;
    for (const char *line = out; *line != 0; line = strchr(line, '\n') + 1) {
        assert_memory_equal(line, "{\"ts\"", 5);
        assert_memory_equal(strchr(line, '\n') - 5, "vvv\"}", 5);
        whole++;
    }
    assert_int_equal(whole, CHILDREN * LINES);
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
