/* What a reload would change, in words, and what it must not. */
#include "config_fixture.h"

static struct str summary;
static struct str fixed;

static void compare(const char *before, const char *after)
{
    struct err err = ERR_INIT;
    bool secret = strstr(before, "secrets:") != NULL;
    static char one[] = "SLUICE_SECRET_S=one";
    static char two[] = "SLUICE_SECRET_S=two";
    char *environment[] = {secret ? one : NULL, NULL};
    char *later[] = {secret ? two : NULL, NULL};
    struct config *from = load_with(before, NULL, 0, environment);
    config_report_release(&report);
    assert_non_null(from);
    struct config *to = load_with(after, NULL, 0, later);
    config_report_release(&report);
    assert_non_null(to);
    assert_int_equal(config_load_secrets(from, environment, &err), 0);
    assert_int_equal(config_load_secrets(to, later, &err), 0);
    str_init(&summary);
    str_init(&fixed);
    config_compare(from, to, &summary, &fixed);
    config_free(from);
    config_free(to);
}

static void forget(void)
{
    str_release(&summary);
    str_release(&fixed);
}

static void config_compare__counts_what_came_went_and_changed(void **state)
{
    (void)state;
    compare("limits: {l: {rate: 1/s}, m: {rate: 2/s}}\n" TARGET
            "    limits: [l, m]\n  u: {url: http://localhost:1/u}\n",
            "limits: {l: {rate: 5/s}, m: {rate: 2/s}}\n" TARGET
            "    limits: [l, m]\n    timeout: 9s\n  v: {url: http://localhost:1/v}\n"
            "  w: {url: http://localhost:1/w}\n");
    assert_string_equal(
        summary.data,
        "2 targets added, 1 target changed, 1 target removed, 1 limit changed");
    assert_int_equal(fixed.len, 0);
    forget();
}

static void config_compare__finds_nothing_in_the_same(void **state)
{
    (void)state;
    compare(TARGET, TARGET);
    assert_string_equal(summary.data, "nothing changed");
    assert_int_equal(fixed.len, 0);
    forget();
}

static void config_compare__knows_what_only_a_restart_changes(void **state)
{
    (void)state;
    compare("kafka: {topic: a}\nbatch: {size: 5}\n" TARGET,
            "kafka: {topic: b}\nin_flight: 9\nbatch: {size: 7}\n" TARGET);
    assert_string_equal(summary.data, "1 setting changed");
    assert_string_equal(fixed.data, "kafka.topic, in_flight");
    forget();
}

static void config_compare__a_setting_that_is_gone_has_changed(void **state)
{
    (void)state;
    compare("kafka: {client_id: x, properties: {socket.timeout.ms: 9000}}\n" TARGET,
            TARGET);
    assert_non_null(strstr(fixed.data, "kafka.client_id"));
    assert_non_null(strstr(fixed.data, "kafka.properties"));
    forget();
}

#define SECRET "secrets: {s: {}}\n"

static void config_compare__a_rotated_secret_has_changed(void **state)
{
    (void)state;
    compare(SECRET TARGET "    headers: {authorization: \"Bearer ${secret.s}\"}\n",
            SECRET TARGET "    headers: {authorization: \"Bearer ${secret.s}\"}\n");
    assert_string_equal(summary.data, "1 secret changed");
    assert_int_equal(fixed.len, 0);
    forget();
}

static void config_compare__kafka_does_not_take_a_rotated_secret(void **state)
{
    (void)state;
    compare(SECRET "kafka: {properties: {sasl.password: \"${secret.s}\"}}\n" TARGET,
            SECRET "kafka: {properties: {sasl.password: \"${secret.s}\"}}\n" TARGET);
    assert_string_equal(fixed.data, "kafka.properties");
    forget();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
