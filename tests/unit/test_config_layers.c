#include "config_fixture.h"

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

static void config_layers__the_design_example_loads_without_a_word(void **state)
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
    assert_string_equal(config->console.listen, "127.0.0.1:8080");
    assert_true(config->console.read_only);
    done(config);
}

static void config_layers__names_of_topics_carry_the_group(void **state)
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

static void config_layers__texts_are_never_guessed(void **state)
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

static void config_layers__json_is_taken_too(void **state)
{
    (void)state;
    struct config *config = load_good(
        "{\"batch\":{\"size\":7},\"targets\":{\"t\":{\"url\":\"http://localhost/\"}}}");
    assert_int_equal(config->batch.size, 7);
    done(config);
}

static void config_layers__a_limit_without_burst_has_a_second_of_its_rate(void **state)
{
    (void)state;
    struct config *config = load_good(
        "limits: {a: {rate: 600/m}, b: {rate: 1/h}}\n" TARGET "    limits: [a, b]\n");
    assert_true(config->limits[0].burst > 9.9 && config->limits[0].burst < 10.1);
    assert_true(config->limits[1].burst > 0.9 && config->limits[1].burst < 1.1);
    assert_int_equal(config->targets[0].limits[1], 1);
    done(config);
}

static void config_layers__a_short_timeout_bounds_connecting(void **state)
{
    (void)state;
    struct config *config = load_good(TARGET "    timeout: 1s\n");
    assert_int_equal(config->targets[0].connect_timeout_ms, 1000);
    done(config);
}

/* --- layers --- */

static void config_layers__flags_beat_environment_beats_file_beats_defaults(void **state)
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

static void config_layers__faults_of_environment_and_flags_name_them(void **state)
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

static void config_layers__every_key_can_be_set_from_outside(void **state)
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

static void config_layers__a_higher_layer_chooses_the_source_of_the_password(void **state)
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

static void config_layers__loading_reads_no_secret(void **state)
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

static void config_layers__unreadable_secrets_name_file_and_next_step(void **state)
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

static void config_layers__a_forbidden_secret_names_the_uid(void **state)
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

static void config_layers__an_empty_secret_is_refused(void **state)
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

static void config_layers__one_newline_at_the_end_of_a_secret_goes(void **state)
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

static void config_layers__secrets_come_from_the_environment_too(void **state)
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

static void config_layers__a_kafka_property_may_be_a_secret(void **state)
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

static void config_layers__an_operator_needs_no_secret_of_a_target(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char *environment[] = {(char[]){"SLUICE_SECRET_K=pw"}, NULL};
    struct config *config =
        load_with("kafka: {properties: {sasl.password: \"${secret.k}\"}}\n" SECRETIVE
                  "secrets: {tok-en: {file: /nowhere}}\n",
                  NULL, 0, environment);
    assert_non_null(config);
    assert_int_equal(config_load_secrets(config, environment, &err), -ENOENT);
    assert_int_equal(config_load_access(config, environment, &err), 0);
    assert_string_equal(config->kafka.properties[0].value, "pw");
    assert_null(config_secret_get(config, "tok-en"));
    done(config);
}

/* --- showing --- */

static void config_layers__what_is_shown_loads_again(void **state)
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

static void config_layers__origins_are_shown_for_every_key(void **state)
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

static void config_layers__no_credential_is_shown(void **state)
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

static void config_layers__the_schema_knows_every_key(void **state)
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

static void config_layers__every_scaffold_passes_the_check(void **state)
{
    (void)state;
    for (size_t i = 0; kind_at(i) != NULL; i++) {
        struct str out;
        str_init(&out);
        assert_int_equal(config_scaffold(kind_at(i)->name, &out, NULL), 0);
        struct config *config = load_good(out.data);
        assert_int_equal(report.count, 0);
        str_release(&out);
        done(config);
    }
    struct err err = ERR_INIT;
    struct str out;
    str_init(&out);
    assert_int_equal(config_scaffold("github", &out, NULL), 0); /* as it was called */
    assert_non_null(strstr(out.data, "kind: github-dispatch"));
    assert_int_equal(config_scaffold("jenkinz", &out, &err), -EINVAL);
    assert_non_null(strstr(err.text, "argocd"));
    str_release(&out);
}

static void config_layers__help_and_codes_come_from_the_tables(void **state)
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
