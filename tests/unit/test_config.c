#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fleet/config.h"

/* --- tools: a file, an environment, overrides --- */

static char folder[] = "/tmp/test_config.XXXXXX";
static char path[64];
static char *no_environment[] = {NULL};
static struct config_report report;

static void write_file(const char *name, const char *text)
{
    char whole[128];
    snprintf(whole, sizeof whole, "%s/%s", folder, name);
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static struct config *load_with(const char *text, const struct config_override *overrides,
                                size_t n, char *const *environment)
{
    write_file("c.yaml", text);
    return config_load(path, overrides, n, environment, &report);
}

static struct config *load(const char *text)
{
    return load_with(text, NULL, 0, no_environment);
}

static void done(struct config *config)
{
    config_free(config);
    config_report_release(&report);
}

static void print_report(void)
{
    for (size_t i = 0; i < report.count; i++) {
        print_message("  %s: %s %s\n", report.items[i].where, report.items[i].code,
                      report.items[i].text);
    }
}

/* "14:3" within the file, or the whole `where`. */
static bool has_issue(const char *place, const char *code, const char *words)
{
    char where[128];
    bool in_file = place[0] >= '0' && place[0] <= '9';
    snprintf(where, sizeof where, "%s%s%s", in_file ? path : "", in_file ? ":" : "",
             place);
    for (size_t i = 0; i < report.count; i++) {
        if (strcmp(report.items[i].where, where) == 0 &&
            strcmp(report.items[i].code, code) == 0 &&
            strstr(report.items[i].text, words) != NULL) {
            return true;
        }
    }
    return false;
}

static void expect_issue(const char *place, const char *code, const char *words)
{
    if (!has_issue(place, code, words)) {
        print_report();
        fail_msg("no issue %s %s \"%s\"", place, code, words);
    }
}

static struct config *load_good(const char *text)
{
    struct config *config = load(text);
    if (config == NULL) {
        print_report();
    }
    assert_non_null(config);
    return config;
}

#define TARGET "targets:\n  t:\n    url: http://localhost:1/x\n" /* 3 lines */

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    snprintf(path, sizeof path, "%s/c.yaml", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"c.yaml", "secret", "again.yaml"};
    for (size_t i = 0; i < 3; i++) {
        char whole[128];
        snprintf(whole, sizeof whole, "%s/%s", folder, names[i]);
        (void)unlink(whole);
    }
    return rmdir(folder);
}

/* --- bad files --- */

static const struct {
    const char *text;
    const char *place;
    const char *code;
    const char *words;
} bad[] = {
    /* not YAML */
    {"kafka: [\n", "2:1", "SL-C01", ""},
    {"kafka:\n\ttopic: x\n", "2:1", "SL-C01", "tab"},
    {"- a\n- b\n", "1:1", "SL-C05", "expected a map"},
    /* keys */
    {"batch:\n  max_size: 5\n" TARGET, "2:3", "SL-C02", "did you mean \"size\"?"},
    {"kafkaa: {}\n" TARGET, "1:1", "SL-C02", "did you mean \"kafka\"?"},
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
    size_t wrong = 0;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct config *config = load(bad[i].text);
        const char *place = bad[i].place[0] != '\0' ? bad[i].place : path;
        if (config != NULL || !has_issue(place, bad[i].code, bad[i].words)) {
            print_message("%sexpected %s %s \"%s\", found\n", bad[i].text, place,
                          bad[i].code, bad[i].words);
            print_report();
            wrong++;
        }
        done(config);
    }
    assert_int_equal(wrong, 0);
}

static void config__all_faults_are_named_in_one_pass(void **state)
{
    (void)state;
    assert_null(load("batch: {size: 0, age: x}\nfoo: 1\ntargets:\n  t: {timeout: 5}\n"));
    assert_int_equal(report.errors, 5);
    assert_false(report.no_input);
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

/* --- good files --- */

static const char design[] =
    "kafka:\n"
    "  brokers: [kafka:19092]\n"
    "  topic: ci.succeeded\n"
    "  group: sluice\n"
    "  start: latest                # a new group: latest | earliest; said aloud with "
    "what it skips\n"
    "  prefetch: 32MiB\n"
    "  properties: {}               # any librdkafka property\n"
    "batch: {size: 5, age: 200ms}\n"
    "in_flight: 64                  # HTTP calls of one process at a time\n"
    "redis: {url: redis://redis:6379/0, prefix: sluice}\n"
    "ledger: {done_ttl: 7d}\n"
    "stop: {drain: 10s, grace: 25s}\n"
    "limits:\n"
    "  argocd: {rate: 50/s, burst: 100}\n"
    "targets:\n"
    "  argocd-prod:\n"
    "    match: {branch: main, app: \"payments-*\"}\n"
    "    url: https://argocd.acme.io/api/v1/applications/${event.app}/sync\n"
    "    headers: {authorization: \"Bearer ${secret.argocd_token}\"}\n"
    "    body: {revision: \"${event.commit}\"}\n"
    "    limits: [argocd]\n"
    "    timeout: 5s\n"
    "    retry: {hold: 10s, backoff: 200ms..5s, budget: 2h}\n"
    "    on_uncertain: retry        # retry | dead\n"
    "    order: key                 # key | none\n"
    "secrets: {argocd_token: {file: /run/secrets/argocd_token}}\n"
    "http: {listen: 127.0.0.1:9464}\n";

static void config__the_design_example_loads_without_a_word(void **state)
{
    (void)state;
    struct config *config = load_good(design);
    if (report.count != 0) {
        print_report();
    }
    assert_int_equal(report.count, 0);
    assert_string_equal(config->kafka.brokers, "kafka:19092");
    assert_string_equal(config->kafka.topic, "ci.succeeded");
    assert_int_equal(config->kafka.prefetch_bytes, 32 * 1024 * 1024);
    assert_int_equal(config->batch.size, 5);
    assert_int_equal(config->batch.age_ms, 200);
    assert_int_equal(config->done_ttl_ms, 7LL * 86400000);
    assert_int_equal(config->retry.tier_count, 3);
    assert_int_equal(config->retry.tiers_ms[2], 1800000);
    assert_string_equal(config->retry.tier_names[1], "5m");
    assert_int_equal(config->limit_count, 1);
    assert_int_equal(config->target_count, 1);
    const struct config_target *target = &config->targets[0];
    assert_string_equal(target->name, "argocd-prod");
    assert_int_equal(target->match.count, 2);
    assert_int_equal(target->limit_count, 1);
    assert_int_equal(target->limits[0], 0);
    assert_int_equal(target->timeout_ms, 5000);
    assert_int_equal(target->connect_timeout_ms, 3000);
    assert_int_equal(target->backoff_min_ms, 200);
    assert_int_equal(target->backoff_max_ms, 5000);
    assert_int_equal(target->retry_budget_ms, 7200000);
    assert_true(target->order_key);
    assert_false(target->uncertain_dead);
    assert_string_equal(target_host(target->target), "https://argocd.acme.io:443");
    assert_string_equal(config->http_listen, "127.0.0.1:9464");
    done(config);
}

static void config__names_of_topics_carry_the_group(void **state)
{
    (void)state;
    struct config *config = load_good(design);
    char *retry = config_retry_topic(config, 0);
    char *dead = config_dead_topic(config);
    assert_string_equal(retry, "ci.succeeded.sluice.retry.30s");
    assert_string_equal(dead, "ci.succeeded.sluice.dlq");
    free(retry);
    free(dead);
    done(config);
}

static void config__texts_are_never_guessed(void **state)
{
    (void)state;
    struct config *config =
        load_good("kafka: {topic: 08, group: 1e3}\n" TARGET
                  "    match: {branch: 1e3, app: no, /n: [1.0, null]}\n");
    assert_string_equal(config->kafka.topic, "08");
    assert_string_equal(config->kafka.group, "1e3");
    const struct match *match = &config->targets[0].match;
    assert_int_equal(match->count, 3);
    assert_string_equal(match->rules[0].globs[0], "1e3");
    assert_string_equal(match->rules[1].globs[0], "no");
    assert_string_equal(match->rules[2].globs[0], "1.0");
    assert_string_equal(match->rules[2].globs[1], "null");
    done(config);
}

static void config__json_is_taken_too(void **state)
{
    (void)state;
    struct config *config = load_good(
        "{\"batch\":{\"size\":7},\"targets\":{\"t\":{\"url\":\"http://localhost/\"}}}");
    assert_int_equal(config->batch.size, 7);
    done(config);
}

static void config__a_limit_without_burst_has_a_second_of_its_rate(void **state)
{
    (void)state;
    struct config *config = load_good(
        "limits: {a: {rate: 600/m}, b: {rate: 1/h}}\n" TARGET "    limits: [a, b]\n");
    assert_true(config->limits[0].burst > 9.9 && config->limits[0].burst < 10.1);
    assert_true(config->limits[1].burst > 0.9 && config->limits[1].burst < 1.1);
    assert_int_equal(config->targets[0].limits[1], 1);
    done(config);
}

static void config__a_short_timeout_bounds_the_default_connect_timeout(void **state)
{
    (void)state;
    struct config *config = load_good(TARGET "    timeout: 1s\n");
    assert_int_equal(config->targets[0].connect_timeout_ms, 1000);
    done(config);
}

/* --- layers --- */

static void config__flags_beat_environment_beats_file_beats_defaults(void **state)
{
    (void)state;
    const char *text = "batch: {age: 1ms, size: 2}\nin_flight: 3\n" TARGET;
    char *environment[] = {(char[]){"SLUICE_BATCH_SIZE=20"},
                           (char[]){"SLUICE_IN_FLIGHT=30"}, NULL};
    const struct config_override flags[] = {{"in_flight", "300", "--set in_flight"}};
    struct config *config = load_with(text, flags, 1, environment);
    assert_non_null(config);
    assert_int_equal(config->batch.window, 2);
    assert_int_equal(config->batch.age_ms, 1);
    assert_int_equal(config->batch.size, 20);
    assert_int_equal(config->in_flight, 300);
    done(config);
}

static void config__faults_of_environment_and_flags_name_them(void **state)
{
    (void)state;
    char *environment[] = {(char[]){"SLUICE_BATCH_SIZE=0"},
                           (char[]){"SLUICE_KAFKA_GROUP="}, NULL};
    const struct config_override flags[] = {{"batch.sizes", "1", "--set batch.sizes"},
                                            {"stop.drain", "x", "--set stop.drain"}};
    assert_null(load_with(TARGET, flags, 2, environment));
    expect_issue("SLUICE_BATCH_SIZE", "SL-C06", "batch.size");
    expect_issue("SLUICE_KAFKA_GROUP", "SL-C08", "kafka.group");
    expect_issue("--set batch.sizes", "SL-C02", "did you mean \"batch.size\"?");
    expect_issue("--set stop.drain", "SL-C05", "stop.drain");
    assert_int_equal(report.errors, 4);
    done(NULL);
}

static void config__every_key_can_be_set_from_outside(void **state)
{
    (void)state;
    char *environment[] = {(char[]){"SLUICE_KAFKA_BROKERS=a:1, b:2"},
                           (char[]){"SLUICE_TARGETS_T_ON_UNCERTAIN=dead"},
                           (char[]){"SLUICE_KAFKA_PROPERTIES={a.b: c}"}, NULL};
    const struct config_override flags[] = {
        {"targets.t.timeout", "2s", "--set"},
        {"targets.t.headers.x-y", "${event.app}", "--set"},
        {"targets.t.match.app", "[a, b]", "--set"},
        {"targets.t.body", "{a: 1}", "--set"},
        {"targets.new.one.url", "http://localhost:2/", "--set"},
        {"limits.l.rate", "1/s", "--set"},
        {"targets.t.limits", "l", "--set"},
        {"kafka.properties.sasl.mechanism", "PLAIN", "-X"},
        {"retry.delays", "1s,2s", "--set"},
    };
    struct config *config =
        load_with(TARGET, flags, sizeof flags / sizeof flags[0], environment);
    if (config == NULL) {
        print_report();
    }
    assert_non_null(config);
    assert_string_equal(config->kafka.brokers, "a:1,b:2");
    assert_true(config->targets[0].uncertain_dead);
    assert_int_equal(config->targets[0].timeout_ms, 2000);
    assert_int_equal(config->targets[0].match.rules[0].glob_count, 2);
    assert_int_equal(config->targets[0].limit_count, 1);
    assert_string_equal(config->targets[1].name, "new.one");
    assert_int_equal(config->kafka.property_count, 2);
    assert_string_equal(config->kafka.properties[0].name, "a.b");
    assert_string_equal(config->kafka.properties[1].name, "sasl.mechanism");
    assert_int_equal(config->retry.tier_count, 2);
    done(config);
}

static void config__a_higher_layer_chooses_the_source_of_the_password(void **state)
{
    (void)state;
    char *environment[] = {(char[]){"SLUICE_REDIS_PASSWORD_FILE=/p"}, NULL};
    struct config *config =
        load_with("redis: {password: x}\n" TARGET, NULL, 0, environment);
    assert_non_null(config);
    assert_null(config->redis.password);
    assert_string_equal(config->redis.password_file, "/p");
    done(config);
}

/* --- secrets --- */

#define SECRETIVE \
    "targets: {t: {url: \"http://localhost/\", headers: {x: \"${secret.tok-en}\"}}}\n"

static void config__loading_reads_no_secret(void **state)
{
    (void)state;
    struct config *config = load_good(SECRETIVE "secrets: {tok-en: {file: /nowhere}}\n");
    assert_null(config_secret_get(config, "tok-en"));
    done(config);
}

static int load_secret(const char *bytes, struct config **config, struct err *err)
{
    char text[300];
    write_file("secret", bytes);
    snprintf(text, sizeof text, SECRETIVE "secrets: {tok-en: {file: %s/secret}}\n",
             folder);
    *config = load_good(text);
    return config_load_secrets(*config, no_environment, err);
}

static void config__unreadable_secrets_name_file_and_next_step(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct config *config =
        load_good(SECRETIVE "secrets: {tok-en: {file: /nowhere/token}}\n");
    assert_int_equal(config_load_secrets(config, no_environment, &err), -ENOENT);
    assert_non_null(strstr(err.text, "tok-en"));
    assert_non_null(strstr(err.text, "/nowhere/token"));
    assert_non_null(strstr(err.text, "mount it"));
    done(config);
    config = load_good(SECRETIVE "secrets: {tok-en: {env: NOT_SET}}\n");
    assert_int_equal(config_load_secrets(config, no_environment, &err), -ENOENT);
    assert_non_null(strstr(err.text, "NOT_SET"));
    done(config);
}

static void config__a_forbidden_secret_names_the_uid(void **state)
{
    (void)state;
    bool root = geteuid() == 0; /* who reads everything */
    struct err err = ERR_INIT;
    char whole[128];
    struct config *config;
    (void)load_secret("x", &config, &err);
    snprintf(whole, sizeof whole, "%s/secret", folder);
    assert_int_equal(chmod(whole, 0), 0);
    assert_int_equal(root ? seteuid(65534) : 0, 0);
    int rc = config_load_secrets(config, no_environment, &err);
    assert_int_equal(root ? seteuid(0) : 0, 0);
    assert_int_equal(rc, -EACCES);
    assert_non_null(strstr(err.text, "uid"));
    done(config);
}

static void config__an_empty_secret_is_refused(void **state)
{
    (void)state;
    static const char *const empty[] = {"", "\n", "\r\n"};
    for (size_t i = 0; i < 3; i++) {
        struct err err = ERR_INIT;
        struct config *config;
        assert_int_equal(load_secret(empty[i], &config, &err), -ENOENT);
        assert_non_null(strstr(err.text, "empty"));
        done(config);
    }
}

static void config__one_newline_at_the_end_of_a_secret_goes(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"abc", "abc"},
                                           {"abc\n", "abc"},
                                           {"abc\r\n", "abc"},
                                           {" a\n\n", " a\n"}};
    for (size_t i = 0; i < 4; i++) {
        struct err err = ERR_INIT;
        struct config *config;
        assert_int_equal(load_secret(pairs[i][0], &config, &err), 0);
        assert_string_equal(config_secret_get(config, "tok-en"), pairs[i][1]);
        done(config);
    }
}

static void config__secrets_come_from_the_environment_too(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char *environment[] = {(char[]){"SLUICE_SECRET_TOK_EN=s3cret"}, NULL};
    /* over the file's definition, and without any */
    const char *const texts[] = {SECRETIVE "secrets: {tok-en: {file: /nowhere}}\n",
                                 SECRETIVE};
    for (size_t i = 0; i < 2; i++) {
        struct config *config = load_with(texts[i], NULL, 0, environment);
        assert_non_null(config);
        assert_int_equal(config_load_secrets(config, environment, &err), 0);
        assert_string_equal(config_secret_get(config, "tok-en"), "s3cret");
        done(config);
    }
    write_file("secret", "from-file\n");
    char variable[128];
    snprintf(variable, sizeof variable, "SLUICE_SECRET_TOK_EN_FILE=%s/secret", folder);
    char *by_file[] = {variable, NULL};
    struct config *config = load_with(SECRETIVE, NULL, 0, by_file);
    assert_non_null(config);
    assert_int_equal(config_load_secrets(config, by_file, &err), 0);
    assert_string_equal(config_secret_get(config, "tok-en"), "from-file");
    done(config);
}

static void config__a_kafka_property_may_be_a_secret(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char *environment[] = {(char[]){"SLUICE_SECRET_K=pw"}, NULL};
    struct config *config =
        load_with("kafka: {properties: {sasl.password: \"${secret.k}\"}}\n" TARGET, NULL,
                  0, environment);
    assert_non_null(config);
    assert_int_equal(report.count, 0);
    assert_int_equal(config_load_secrets(config, environment, &err), 0);
    assert_string_equal(config->kafka.properties[0].value, "pw");
    done(config);
}

/* --- showing --- */

static void config__what_is_shown_loads_again(void **state)
{
    (void)state;
    struct config *config = load_good(design);
    struct str first;
    struct str second;
    str_init(&first);
    str_init(&second);
    config_show(config, false, false, &first);
    done(config);
    config = load_good(first.data);
    config_show(config, false, false, &second);
    assert_string_equal(first.data, second.data);
    assert_int_equal(config->targets[0].match.count, 2);
    assert_int_equal(config->limit_count, 1);
    str_release(&first);
    str_release(&second);
    done(config);
}

static void config__origins_are_shown_for_every_key(void **state)
{
    (void)state;
    char *environment[] = {(char[]){"SLUICE_BATCH_AGE=1s"}, NULL};
    const struct config_override flags[] = {{"in_flight", "9", "--set in_flight"}};
    struct config *config =
        load_with("batch:\n  size: 7\n" TARGET, flags, 1, environment);
    struct str out;
    str_init(&out);
    config_show(config, true, false, &out);
    char file[128];
    snprintf(file, sizeof file, "# %s:2:9\n", path);
    assert_non_null(strstr(out.data, file));
    assert_non_null(strstr(out.data, "# env SLUICE_BATCH_AGE\n"));
    assert_non_null(strstr(out.data, "# flag --set in_flight\n"));
    assert_non_null(strstr(out.data, "# default\n"));
    str_clear(&out);
    config_show(config, true, true, &out);
    struct json_object *doc;
    assert_int_equal(json_parse(out.data, out.len, &doc, NULL), 0);
    assert_string_equal(json_string_at(doc, "/batch/age/origin", NULL),
                        "env SLUICE_BATCH_AGE");
    assert_int_equal(json_object_get_int(json_at(doc, "/batch/size/value")), 7);
    json_free(doc);
    str_release(&out);
    done(config);
}

static void config__no_credential_is_shown(void **state)
{
    (void)state;
    struct config *config = load_good(
        "kafka: {properties: {sasl.password: hunter2}}\n"
        "redis: {url: \"redis://u:hunter2@localhost:6379/0\", password: hunter2}\n" TARGET
        "    headers: {Authorization: hunter2, x-api-key: \"${secret.k}\"}\n"
        "secrets: {k: {env: K}}\n");
    for (int json = 0; json <= 1; json++) {
        struct str out;
        str_init(&out);
        config_show(config, true, json == 1, &out);
        assert_null(strstr(out.data, "hunter2"));
        assert_non_null(strstr(out.data, "••••••"));
        assert_non_null(strstr(out.data, "${secret.k}"));
        str_release(&out);
    }
    done(config);
}

static void config__the_schema_knows_every_key(void **state)
{
    (void)state;
    struct str out;
    struct json_object *doc;
    str_init(&out);
    config_schema(&out);
    assert_int_equal(json_parse(out.data, out.len, &doc, NULL), 0);
    static const char *const pointers[] = {
        "/properties/batch/properties/size/maximum",
        "/properties/in_flight/type",
        "/properties/kafka/properties/start/enum/1",
        "/properties/retry/properties/delays/items/pattern",
        "/properties/targets/additionalProperties/properties/retry/properties/backoff",
        "/properties/targets/additionalProperties/required/0",
        "/properties/targets/additionalProperties/properties/body/description",
    };
    for (size_t i = 0; i < sizeof pointers / sizeof pointers[0]; i++) {
        if (json_at(doc, pointers[i]) == NULL) {
            fail_msg("the schema lacks %s", pointers[i]);
        }
    }
    json_free(doc);
    str_release(&out);
}

static void config__every_scaffold_passes_the_check(void **state)
{
    (void)state;
    static const char *const kinds[] = {"http", "argocd", "github", "devtron"};
    for (size_t i = 0; i < 4; i++) {
        struct str out;
        str_init(&out);
        assert_int_equal(config_scaffold(kinds[i], &out, NULL), 0);
        struct config *config = load_good(out.data);
        assert_int_equal(report.count, 0);
        str_release(&out);
        done(config);
    }
    struct err err = ERR_INIT;
    struct str out;
    str_init(&out);
    assert_int_equal(config_scaffold("jenkins", &out, &err), -EINVAL);
    assert_non_null(strstr(err.text, "argocd"));
    str_release(&out);
}

static void config__help_and_codes_come_from_the_tables(void **state)
{
    (void)state;
    struct str out;
    str_init(&out);
    assert_int_equal(config_help("batch.", &out), 3);
    assert_non_null(strstr(out.data, "SLUICE_BATCH_SIZE"));
    assert_int_equal(config_help("nothing", &out), 0);
    str_release(&out);
    assert_non_null(strstr(config_code_explain("SL-C02"), "misspelled"));
    assert_null(config_code_explain("SL-C99"));
    char code[8];
    const char *title;
    size_t n = 0;
    while (config_code_at(n, code, &title)) {
        assert_non_null(config_code_explain(code));
        n++;
    }
    assert_true(n > 25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
