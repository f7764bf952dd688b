#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/option.h"

static const struct option table[] = {
    {"batch.size", OPTION_INT, .initial = "5", .min = 1, .max = 1000, .help = "Events"},
    {"limits.*.rate", OPTION_RATE, .required = true, .help = "Calls"},
    {"targets.*.timeout", OPTION_DURATION, .initial = "5s", .min = 10, .max = 600000},
    {.key = "targets.*.hold", .type = OPTION_DURATION},
    {.key = "targets.*.retry.hold", .type = OPTION_DURATION},
};
enum { ROWS = sizeof table / sizeof table[0] };

static int read_as(enum option_type type, const char *text, struct option_value *value)
{
    const struct option option = {.key = "x", .type = type, .choices = "latest|earliest"};
    struct err err = ERR_INIT;
    int rc = option_read(&option, text, value, &err);
    assert_int_equal(rc == 0, err.text[0] == '\0');
    return rc;
}

static void option__texts_of_another_kind_are_refused(void **state)
{
    (void)state;
    static const struct {
        enum option_type type;
        const char *text;
    } bad[] = {
        {OPTION_INT, "1e3"},
        {OPTION_INT, "0x10"},
        {OPTION_INT, "5.0"},
        {OPTION_INT, ""},
        {OPTION_INT, " 5"},
        {OPTION_BOOL, "yes"},
        {OPTION_BOOL, "no"},
        {OPTION_BOOL, "1"},
        {OPTION_NUMBER, "1e3"},
        {OPTION_NUMBER, "nan"},
        {OPTION_NUMBER, "inf"},
        {OPTION_NUMBER, "-1"},
        {OPTION_NUMBER, "1.2.3"},
        {OPTION_NUMBER, "."},
        {OPTION_DURATION, "5"},
        {OPTION_DURATION, "5 s"},
        {OPTION_BYTES, "32MB/s"},
        {OPTION_RATE, "50"},
        {OPTION_RATE, "50/d"},
        {OPTION_RATE, "/s"},
        {OPTION_SPAN, "1s"},
        {OPTION_SPAN, "1s...2s"},
        {OPTION_SPAN, "..2s"},
        {OPTION_CHOICE, "late"},
        {OPTION_CHOICE, ""},
        {OPTION_CHOICE, "latest|earliest"},
        {OPTION_RATE, "99999999999999999999999999999999999999/s"},
    };
    struct option_value value;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (read_as(bad[i].type, bad[i].text, &value) != -EBADMSG) {
            fail_msg("\"%s\" was taken", bad[i].text);
        }
    }
}

static void option__values_out_of_range_are_told_apart(void **state)
{
    (void)state;
    struct option_value value;
    struct err err = ERR_INIT;
    assert_int_equal(option_read(&table[0], "0", &value, &err), -EINVAL);
    assert_non_null(strstr(err.text, "1 to 1000"));
    assert_int_equal(option_read(&table[0], "1001", &value, &err), -EINVAL);
    assert_int_equal(option_read(&table[2], "9ms", &value, &err), -EINVAL);
    assert_non_null(strstr(err.text, "10ms to 10m"));
    assert_int_equal(read_as(OPTION_RATE, "0/s", &value), -EINVAL);
    assert_int_equal(read_as(OPTION_SPAN, "5s..1s", &value), -EINVAL);
}

static void option__a_secret_is_not_repeated_in_the_error(void **state)
{
    (void)state;
    const struct option option = {.key = "x", .type = OPTION_INT, .secret = true};
    struct option_value value;
    struct err err = ERR_INIT;
    assert_int_equal(option_read(&option, "hunter2", &value, &err), -EBADMSG);
    assert_null(strstr(err.text, "hunter2"));
}

static void option__texts_become_what_the_row_says(void **state)
{
    (void)state;
    struct option_value value;
    assert_int_equal(read_as(OPTION_RATE, "600/m", &value), 0);
    assert_true(value.real > 9.999 && value.real < 10.001);
    assert_int_equal(read_as(OPTION_RATE, "0.5/s", &value), 0);
    assert_true(value.real > 0.499 && value.real < 0.501);
    assert_int_equal(read_as(OPTION_SPAN, "200ms..5s", &value), 0);
    assert_int_equal(value.number, 200);
    assert_int_equal(value.upper, 5000);
    assert_int_equal(read_as(OPTION_CHOICE, "earliest", &value), 0);
    assert_int_equal(value.number, 1);
    assert_int_equal(read_as(OPTION_BYTES, "64KiB", &value), 0);
    assert_int_equal(value.number, 65536);
    assert_int_equal(read_as(OPTION_INT, "08", &value), 0);
    assert_int_equal(value.number, 8);
    assert_int_equal(read_as(OPTION_BOOL, "false", &value), 0);
    assert_int_equal(value.number, 0);
    assert_int_equal(read_as(OPTION_TEXT, "no", &value), 0);
}

static void option__a_key_finds_its_row_and_its_name(void **state)
{
    (void)state;
    char name[OPTION_NAME_MAX];
    assert_null(option_find(table, ROWS, "targets.timeout", name));
    assert_null(option_find(table, ROWS, "targets..timeout", name));
    assert_null(option_find(table, ROWS, "batch.sizes", name));
    assert_ptr_equal(option_find(table, ROWS, "targets.a.b.timeout", name), &table[2]);
    assert_string_equal(name, "a.b");
    assert_ptr_equal(option_find(table, ROWS, "targets.x.retry.hold", name), &table[4]);
    assert_string_equal(name, "x");
    assert_ptr_equal(option_find(table, ROWS, "batch.size", name), &table[0]);
    assert_string_equal(name, "");
}

static void option__keys_and_environment_names_are_mechanical(void **state)
{
    (void)state;
    char text[OPTION_KEY_MAX];
    option_key(&table[2], "argo-cd", text);
    assert_string_equal(text, "targets.argo-cd.timeout");
    char env[OPTION_KEY_MAX];
    option_env_name(text, env);
    assert_string_equal(env, "SLUICE_TARGETS_ARGO_CD_TIMEOUT");
}

static void option__help_names_default_bounds_and_environment(void **state)
{
    (void)state;
    struct str out;
    str_init(&out);
    option_help(&table[0], &out);
    assert_non_null(strstr(out.data, "batch.size  (5)"));
    assert_non_null(strstr(out.data, "1 to 1000"));
    assert_non_null(strstr(out.data, "SLUICE_BATCH_SIZE"));
    str_release(&out);
}

static void option__durations_print_as_they_are_written(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{0, "0ms"},
                 {200, "200ms"},
                 {5400000, "1h30m"},
                 {604800000, "7d"},
                 {1500, "1s500ms"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str out;
        str_init(&out);
        option_add_duration(&out, cases[i].ms);
        assert_string_equal(out.data, cases[i].text);
        str_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
