#include "config_fixture.h"

/* --- bad files --- */

static const struct bad_config bad[] = {
    /* not YAML */
    {"kafka: [\n", "2:1", "SL-C01", ""},
    {"kafka:\n\ttopic: x\n", "2:1", "SL-C01", "tab"},
    {"- a\n- b\n", "1:1", "SL-C05", "expected a map"},
    /* keys */
    {"batch:\n  max_size: 5\n" TARGET, "2:3", "SL-C02", "did you mean \"size\"?"},
    {"kafak: {}\n" TARGET, "1:1", "SL-C02", "did you mean \"kafka\"?"},
    {"zzz: {}\n" TARGET, "1:1", "SL-C02", "known are kafka, batch"},
    {"batch.size: 5\n" TARGET, "1:1", "SL-C02", ""},
    {TARGET "    retry: {hodl: 1s}\n", "4:13", "SL-C02", "in targets.t.retry"},
    {"batch: {size: 1, size: 2}\n" TARGET, "1:18", "SL-C03", "on line 1"},
    {"batch: &a {size: 1}\nstop: *a\n" TARGET, "2:7", "SL-C04", "aliases"},
    {"batch: &a {size: 1}\n" TARGET, "1:8", "SL-C04", "anchors"},
    {TARGET "---\nx: y\n", "4:1", "SL-C04", "second document"},
    /* kinds and ranges */
    {"batch: {size: 0}\n" TARGET, "1:15", "SL-C06", "1 to 1000"},
    {"batch: {size: -1}\n" TARGET, "1:15", "SL-C06", "1 to 1000"},
    {"batch: {size: 1e3}\n" TARGET, "1:15", "SL-C05", "whole number"},
    {"batch: {size: 99999999999999999999}\n" TARGET, "1:15", "SL-C05", ""},
    {"batch: {age: 200}\n" TARGET, "1:14", "SL-C05", "200ms"},
    {"batch: {age: 0ms}\n" TARGET, "1:14", "SL-C06", ""},
    {"batch: 5\n" TARGET, "1:8", "SL-C05", "expected a map"},
    {"in_flight: 5000\n" TARGET, "1:12", "SL-C06", "4096"},
    {"kafka: {brokers: kafka:9092}\n" TARGET, "1:18", "SL-C05", "a list"},
    {"kafka: {topic: [a]}\n" TARGET, "1:16", "SL-C05", "a text"},
    {"kafka: {start: now}\n" TARGET, "1:16", "SL-C05", "latest, earliest"},
    {"kafka: {properties: [a]}\n" TARGET, "1:21", "SL-C05", "expected a map"},
    {"kafka: {properties: {a: [b]}}\n" TARGET, "1:25", "SL-C05", "a list"},
    {"redis: {allow_eviction: yes}\n" TARGET, "1:25", "SL-C05", "true or false"},
    {"limits: {x: {rate: 50}}\n" TARGET, "1:20", "SL-C05", "50/s"},
    {"limits: {x: {rate: 0/s}}\n" TARGET, "1:20", "SL-C06", "50/s"},
    {"limits: {x: {rate: 1/s, burst: 0}}\n" TARGET, "1:32", "SL-C06", ""},
    {TARGET "    retry: {backoff: 5s..1s}\n", "4:22", "SL-C06", "shorter one first"},
    /* Kafka */
    {"kafka: {group: \"\"}\n" TARGET, "1:16", "SL-C08", "leave the key out for sluice"},
    {"kafka: {topic: a/b}\n" TARGET, "1:16", "SL-C09", ""},
    {"kafka: {topic: ..}\n" TARGET, "1:16", "SL-C09", ""},
    {"kafka: {group: \"a b\"}\n" TARGET, "1:16", "SL-C09", ""},
    {"kafka: {brokers: []}\n" TARGET, "1:18", "SL-C20", "at least one"},
    {"kafka: {brokers: [a, \"b:x\"]}\n" TARGET, "1:22", "SL-C20", "b:x"},
    {"kafka: {properties: {group.id: x}}\n" TARGET, "1:32", "SL-C25", "kafka.group"},
    {"kafka: {properties: {enable.auto.commit: true}}\n" TARGET, "1:42", "SL-C25", ""},
    {"kafka: {properties: {sasl.password: \"${secret.k}\"}}\n" TARGET, "1:37", "SL-C12",
     "\"k\""},
    /* Redis, HTTP, times */
    {"redis: {url: http://x}\n" TARGET, "1:14", "SL-C14", ""},
    {"redis: {password: a, password_file: /b}\n" TARGET, "1:37", "SL-C28", ""},
    {"redis: {prefix: \"a{b}\"}\n" TARGET, "1:17", "SL-C17", ""},
    {"redis: {ca_file: /ca}\n" TARGET, "1:18", "SL-C14", "rediss://"},
    {"redis: {url: \"rediss://h\", cert_file: /c}\n" TARGET, "1:39", "SL-C08",
     "redis.key_file"},
    {"redis: {url: \"rediss://h\", key_file: /k}\n" TARGET, "1:38", "SL-C08",
     "redis.cert_file"},
    {"http: {listen: nine}\n" TARGET, "1:16", "SL-C05", "127.0.0.1:9464"},
    {"retry: {delays: [5m, 30s]}\n" TARGET, "1:22", "SL-C15", "30s"},
    {"retry: {delays: [30s, 30s]}\n" TARGET, "1:23", "SL-C15", ""},
    {"retry: {delays: []}\n" TARGET, "1:17", "SL-C15", "1 to 8"},
    {"stop: {drain: 30s, grace: 25s}\n" TARGET, "1:27", "SL-C16", "not longer"},
    /* targets */
    {"kafka: {topic: x}\n", "", "SL-C11", "config init"},
    {"targets: {t: {match: {app: x}}}\n", "1:11", "SL-C08", "targets.t.url"},
    {"targets: {t: }\n", "1:11", "SL-C08", "targets.t.url"},
    {"targets: {T: {url: \"http://localhost/\"}}\n", "1:11", "SL-C17", "\"T\""},
    {"limits: {x y: {rate: 1/s}}\n" TARGET, "1:10", "SL-C17", ""},
    {"targets: {t: {url: \"http://${event.app}/\"}}\n", "1:20", "SL-C07", ""},
    {"targets: {t: {url: \"ftp://a/\"}}\n", "1:20", "SL-C07", ""},
    {"targets: {t: {url: \"http://a/${event.nope}\"}}\n", "1:20", "SL-C13", "nope"},
    {TARGET "    headers: {x: \"${event.\"}\n", "4:18", "SL-C13", ""},
    {TARGET "    headers: {x: \"${secret.tokn}\"}\nsecrets: {token: {env: T}}\n", "4:18",
     "SL-C12", "did you mean \"token\"?"},
    {TARGET "    headers: {\"a b\": x}\n", "2:3", "SL-C29", "header name"},
    {TARGET "    headers: {x: \"a\\nb\"}\n", "4:18", "SL-C29", "control"},
    {TARGET "    body: {a: [1, \"${event.b}\"]}\n", "4:19", "SL-C13", ""},
    {TARGET "    limits: [ago]\nlimits: {argo: {rate: 1/s}}\n", "4:14", "SL-C10",
     "did you mean \"argo\"?"},
    {TARGET "    match: {brunch: main}\n", "4:21", "SL-C18", "branch"},
    {TARGET "    match: {branch: []}\n", "4:21", "SL-C18", "nothing"},
    {TARGET "    match: {branch: {a: b}}\n", "4:21", "SL-C05", "glob"},
    {TARGET "    sign: standard-webhooks\n", "4:11", "SL-C27", "sign_secret"},
    {TARGET "    sign_secret: x\n", "4:18", "SL-C27", ""},
    {TARGET "    sign: standard-webhooks\n    sign_secret: x\n", "5:18", "SL-C12", ""},
    {TARGET "    timeout: 1s\n    connect_timeout: 2s\n", "5:22", "SL-C21", ""},
    {TARGET "    retry: {hold: 10m, budget: 1m}\n", "4:32", "SL-C21", "retry.hold"},
    /* secrets */
    {TARGET "secrets: {x: {}}\n", "4:11", "SL-C08", "file: PATH"},
    {TARGET "secrets: {x: {file: a, env: b}}\n", "4:11", "SL-C28", ""},
    {TARGET "secrets: {a_b: {env: X}, a-b: {env: Y}}\n", "4:26", "SL-C03", "a_b"},
    {"limits: {x: {burst: 5}}\n" TARGET, "1:10", "SL-C08", "limits.x.rate"},
};

static void config__bad_files_are_refused_at_their_place(void **state)
{
    (void)state;
    expect_refused(bad, sizeof bad / sizeof bad[0]);
}

static void config__all_faults_are_named_in_one_pass(void **state)
{
    (void)state;
    assert_null(load("batch: {size: 0, age: x}\nfoo: 1\ntargets:\n  t: {timeout: 5}\n"));
    assert_int_equal(report.errors, 5);
    assert_false(report.no_input);
    done(NULL);
}

static void config__faults_come_by_their_place(void **state)
{
    (void)state;
    /* each found by a check of its own: of limits, of the URL, of the value */
    static const char *const places[] = {":3:", ":4:", ":12:"};
    assert_null(load("targets:\n  t:\n    url: \"https://${event.x}/\"\n"
                     "    limits: [nope]\n\n\n\n\n\n\n\nbatch: {size: 0}\n"));
    assert_int_equal(report.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_non_null(strstr(report.items[i].where, places[i]));
    }
    done(NULL);
}

static void config__names_of_retry_topics_must_fit(void **state)
{
    (void)state;
    char text[600];
    char topic[300];
    memset(topic, 'x', sizeof topic);
    for (int len = 231; len <= 232; len++) {
        /* topic + ".sluice" + ".retry.30s" */
        snprintf(text, sizeof text, "kafka: {topic: %.*s}\n" TARGET, len + 1, topic);
        struct config *config = load(text);
        assert_int_equal(config != NULL, len + 1 + 7 + 10 <= 249);
        done(config);
    }
}

static void config__a_missing_file_is_another_kind_of_failure(void **state)
{
    (void)state;
    assert_null(config_load("/nowhere/x.yaml", NULL, 0, no_environment, &report));
    assert_true(report.no_input);
    assert_int_equal(report.count, 1);
    expect_issue("/nowhere/x.yaml", "SL-C00", "No such file");
    done(NULL);
    char *environment[] = {(char[]){"SLUICE_CONFIG=/nowhere/y.yaml"}, NULL};
    assert_null(config_load(NULL, NULL, 0, environment, &report));
    assert_true(report.no_input);
    expect_issue("/nowhere/y.yaml", "SL-C00", "SLUICE_CONFIG");
    done(NULL);
    assert_null(config_load(folder, NULL, 0, no_environment, &report));
    assert_true(report.no_input);
    done(NULL);
}

/* --- warnings --- */

static void config__doubtful_things_are_warned_about(void **state)
{
    (void)state;
    struct config *config =
        load_good("limits: {idle: {rate: 1/s}}\n"
                  "targets:\n  t:\n    url: http://cd.acme.io/x\n    timeout: 6s\n"
                  "    headers: {authorization: Bearer abc}\n"
                  "    retry: {budget: 10d}\n"
                  "secrets: {idle: {env: X}}\n"
                  "stop: {drain: 10s, grace: 12s}\n");
    assert_int_equal(report.errors, 0);
    expect_issue("1:10", "SL-C26", "limits.idle");
    expect_issue("4:10", "SL-C22", "https://");
    expect_issue("5:14", "SL-C21", "revoke.drain (5s)");
    expect_issue("6:30", "SL-C24", "credential");
    expect_issue("default", "SL-C23", "targets.t.retry.budget");
    expect_issue("8:11", "SL-C26", "secrets.idle");
    expect_issue("9:27", "SL-C16", "8s");
    assert_int_equal(report.count, 7);
    done(config);
}

static void config__loopback_is_not_warned_about(void **state)
{
    (void)state;
    static const char *const hosts[] = {"localhost:8080", "127.0.0.1", "[::1]:9"};
    for (size_t i = 0; i < 3; i++) {
        char text[128];
        snprintf(text, sizeof text, "targets: {t: {url: \"http://%s/x\"}}\n", hosts[i]);
        struct config *config = load_good(text);
        assert_int_equal(report.count, 0);
        done(config);
    }
}

static void config__unknown_variables_are_warned_about(void **state)
{
    (void)state;
    char *environment[] = {(char[]){"SLUICE_KAFKA_BROKER=x"},
                           (char[]){"SLUICE_TARGETS_NONE_TIMEOUT=1s"}, NULL};
    struct config *config = load_with(TARGET, NULL, 0, environment);
    assert_non_null(config);
    expect_issue("SLUICE_KAFKA_BROKER", "SL-C19", "SLUICE_KAFKA_BROKERS?");
    expect_issue("SLUICE_TARGETS_NONE_TIMEOUT", "SL-C19", "");
    done(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
