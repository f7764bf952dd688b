/* What no single value shows: names that are built from others, times that must fit
 * together, and warnings. */
#include "fleet/config_private.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "wire/redis.h"

enum {
    KAFKA_NAME_MAX = 249, /* a topic is a directory, with "-<partition>" behind it */
    STOP_REST_MS =
        8 * 1000 /* final commit 2 s, leaving 3 s, destroying 1.5 s, the rest */
};

static void note(const struct config *config, enum config_severity severity,
                 enum config_code code, const char *pattern, const char *text)
{
    const struct setting *s = settings_get(config->settings, pattern, "");
    if (s != NULL) {
        settings_note(config->settings, severity, code, s, NULL, "%s", text);
    }
}

/* --- Kafka --- */

static bool kafka_name_is_good(const char *name)
{
    for (const char *c = name; *c != '\0'; c++) {
        if (!isalnum((unsigned char)*c) && strchr("._-", *c) == NULL) {
            return false;
        }
    }
    return name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static void check_names(const struct config *config)
{
    static const char *const keys[] = {"kafka.topic", "kafka.group"};
    const char *values[] = {config->kafka.topic, config->kafka.group};
    bool ok = true;
    for (size_t i = 0; i < 2; i++) {
        if (values[i] == NULL) {
            ok = false;
        } else if (!kafka_name_is_good(values[i])) {
            ok = false;
            note(config, CONFIG_ERROR, CODE_KAFKA_NAME, keys[i],
                 "Kafka's topic names take a-z A-Z 0-9 . _ - only");
        }
    }
    size_t longest = strlen("dlq");
    for (size_t i = 0; i < config->retry.tier_count; i++) {
        size_t len = strlen("retry.") + strlen(config->retry.tier_names[i]);
        longest = len > longest ? len : longest;
    }
    if (!ok) {
        return;
    }
    size_t len = strlen(values[0]) + 1 + strlen(values[1]) + 1 + longest;
    if (len > KAFKA_NAME_MAX) {
        char text[200];
        snprintf(text, sizeof text,
                 "the longest name made of topic and group would have %zu characters; "
                 "Kafka takes %d",
                 len, KAFKA_NAME_MAX);
        note(config, CONFIG_ERROR, CODE_KAFKA_NAME, "kafka.topic", text);
    }
}

/* "host", "host:port" or "[::1]:port". */
static bool broker_is_good(const char *broker)
{
    const char *port = strrchr(broker, ':');
    size_t host = port != NULL ? (size_t)(port - broker) : strlen(broker);
    if (broker[0] == '[') {
        const char *end = strchr(broker, ']');
        return end != NULL && (end[1] == ':' || end[1] == '\0');
    }
    int64_t number = 1;
    bool port_ok = port == NULL || text_parse_int(port + 1, 1, 65535, &number) == 0;
    return host > 0 && port_ok && memchr(broker, ':', host) == NULL &&
           strpbrk(broker, " /,\t") == NULL;
}

static void check_brokers(const struct config *config)
{
    const struct setting *s = settings_get(config->settings, "kafka.brokers", "");
    if (s != NULL && s->value->count == 0) {
        settings_note(config->settings, CONFIG_ERROR, CODE_BROKERS, s, NULL,
                      "empty: name at least one host:port");
    }
    for (size_t i = 0; s != NULL && i < s->value->count; i++) {
        if (!broker_is_good(s->value->items[i]->text)) {
            settings_note(config->settings, CONFIG_ERROR, CODE_BROKERS, s,
                          s->value->items[i], "\"%.80s\" is not host:port",
                          s->value->items[i]->text);
        }
    }
}

/* A name ending in '.' is a prefix. way: what to set instead, NULL: nothing. */
static const struct {
    const char *name;
    const char *way;
} ours[] = {
    {"group.id", "kafka.group"},
    {"bootstrap.servers", "kafka.brokers"},
    {"metadata.broker.list", "kafka.brokers"},
    {"client.id", "kafka.client_id"},
    {"auto.offset.reset", "kafka.start and kafka.on_gap"},
    {"topic.auto.offset.reset", "kafka.start and kafka.on_gap"},
    {"queued.max.messages.kbytes", "kafka.prefetch"},
    {"enable.auto.commit", NULL},
    {"auto.commit.enable", NULL},
    {"enable.auto.offset.store", NULL},
    {"partition.assignment.strategy", NULL},
    {"acks", NULL},
    {"request.required.acks", NULL},
    {"enable.idempotence", NULL},
};

static void check_properties(const struct config *config)
{
    const struct setting *s = NULL;
    while (true) {
        s = settings_member(config->settings, "kafka.properties", "", s);
        if (s == NULL) {
            return;
        }
        char name[OPTION_NAME_MAX];
        if (config_secret_reference(s->value->text, name) &&
            config_secret_find(config, name) == NULL) {
            settings_note(config->settings, CONFIG_ERROR, CODE_SECRET, s, NULL,
                          "secret \"%s\" is not defined; define it under `secrets`",
                          name);
        }
        for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
            if (strcmp(s->member, ours[i].name) == 0) {
                settings_note(config->settings, CONFIG_ERROR, CODE_PROPERTY, s, NULL,
                              "cannot be changed here%s%s",
                              ours[i].way != NULL ? ": set " : "",
                              ours[i].way != NULL ? ours[i].way : "");
            }
        }
    }
}

/* --- Redis, HTTP --- */

/* Certificates without TLS would be a mistake that nobody sees. */
static void check_redis_files(const struct config *config)
{
    static const char *const keys[] = {"redis.ca_file", "redis.cert_file",
                                       "redis.key_file"};
    const char *values[] = {config->redis.ca_file, config->redis.cert_file,
                            config->redis.key_file};
    bool tls = text_starts(config->redis.url, "rediss://");
    for (size_t i = 0; i < 3; i++) {
        if (values[i] != NULL && !tls) {
            note(config, CONFIG_ERROR, CODE_REDIS_URL, keys[i],
                 "nothing is encrypted, for redis.url does not begin with rediss://");
        }
    }
    if (values[1] != NULL && values[2] == NULL) {
        note(config, CONFIG_ERROR, CODE_MISSING, keys[1],
             "needs redis.key_file, the private key of this certificate");
    } else if (values[1] == NULL && values[2] != NULL) {
        note(config, CONFIG_ERROR, CODE_MISSING, keys[2],
             "needs redis.cert_file, the certificate of this key");
    }
}

static void check_redis(const struct config *config)
{
    struct err err = ERR_INIT;
    if (config->redis.url != NULL && redis_url_check(config->redis.url, &err) != 0) {
        note(config, CONFIG_ERROR, CODE_REDIS_URL, "redis.url", err.text);
    }
    if (config->redis.url != NULL) {
        check_redis_files(config);
    }
    const char *prefix = config->redis.prefix;
    if (prefix != NULL && (strpbrk(prefix, "{} \t\r\n") != NULL || strlen(prefix) > 64)) {
        note(config, CONFIG_ERROR, CODE_NAME, "redis.prefix",
             "at most 64 characters, no braces, no white space");
    }
}

static void check_address(const struct config *config, const char *key,
                          const char *listen, const char *expected)
{
    const char *colon = strrchr(listen, ':');
    int64_t port;
    if (colon == NULL || colon == listen ||
        text_parse_int(colon + 1, 0, 65535, &port) != 0) {
        note(config, CONFIG_ERROR, CODE_TYPE, key, expected);
    }
}

static void check_listen(const struct config *config)
{
    const char *listen = config->http_listen;
    if (listen != NULL && strcmp(listen, "off") != 0) {
        check_address(config, "http.listen", listen,
                      "expected host:port such as 127.0.0.1:9464, or off");
    }
    if (config->console.listen != NULL) {
        check_address(config, "console.listen", config->console.listen,
                      "expected host:port such as 127.0.0.1:8080");
    }
}

/* --- times --- */

static void check_stop(const struct config *config)
{
    if (config->stop_grace_ms == 0 || config->stop_drain_ms == 0) {
        return; /* one of them is wrong, and said so */
    }
    if (config->stop_grace_ms <= config->stop_drain_ms) {
        note(config, CONFIG_ERROR, CODE_STOP, "stop.grace",
             "not longer than stop.drain: the process would be gone before it has "
             "drained");
    } else if (config->stop_grace_ms < config->stop_drain_ms + STOP_REST_MS) {
        note(config, CONFIG_WARNING, CODE_STOP, "stop.grace",
             "less than stop.drain and 8s: the last commit may be cut off");
    }
}

static void check_done_ttl(const struct config *config)
{
    for (size_t i = 0; i < config->target_count; i++) {
        const struct config_target *target = &config->targets[i];
        if (config->done_ttl_ms != 0 && config->done_ttl_ms <= target->retry_budget_ms) {
            char text[200];
            snprintf(text, sizeof text,
                     "not longer than targets.%s.retry.budget: a trigger would be "
                     "forgotten while its event is still retried",
                     target->name);
            note(config, CONFIG_WARNING, CODE_DONE_TTL, "ledger.done_ttl", text);
            return;
        }
    }
}

static void check_target_times(const struct config *config,
                               const struct config_target *target)
{
    struct config_settings *settings = config->settings;
    const struct setting *timeout =
        settings_get(settings, "targets.*.timeout", target->name);
    const struct setting *budget =
        settings_get(settings, "targets.*.retry.budget", target->name);
    if (timeout != NULL && config->revoke_drain_ms != 0 &&
        target->timeout_ms > config->revoke_drain_ms) {
        struct str drain;
        str_init(&drain);
        option_add_duration(&drain, config->revoke_drain_ms);
        settings_note(settings, CONFIG_WARNING, CODE_TIMEOUT, timeout, NULL,
                      "longer than revoke.drain (%s): a call open at a rebalance keeps "
                      "the next owner waiting",
                      drain.data);
        str_release(&drain);
    }
    if (budget != NULL && target->retry_budget_ms < target->retry_hold_ms) {
        settings_note(settings, CONFIG_ERROR, CODE_TIMEOUT, budget, NULL,
                      "shorter than retry.hold");
    }
}

/* --- warnings about a target --- */

static bool is_loopback(const char *origin)
{
    static const char *const fronts[] = {"http://localhost:", "http://127.",
                                         "http://[::1]:"};
    for (size_t i = 0; i < sizeof fronts / sizeof fronts[0]; i++) {
        if (text_starts(origin, fronts[i])) {
            return true;
        }
    }
    return strstr(origin, ".localhost:") != NULL;
}

static void check_open_secrets(const struct config *config)
{
    for (size_t i = 0; i < config->settings->count; i++) {
        const struct setting *s = &config->settings->items[i];
        if (!s->broken && s->layer == LAYER_FILE && config_is_credential(s)) {
            settings_note(config->settings, CONFIG_WARNING, CODE_OPEN_SECRET, s, NULL,
                          "a credential in the file itself%s",
                          s->option->secret ? "; use redis.password_file"
                                            : "; use ${secret.NAME}");
        }
    }
}

static void check_plain_http(const struct config *config,
                             const struct config_target *target)
{
    const struct setting *url =
        settings_get(config->settings, "targets.*.url", target->name);
    if (target->target == NULL || url == NULL) {
        return;
    }
    const char *origin = target_host(target->target);
    if (text_starts(origin, "http://") && !is_loopback(origin)) {
        settings_note(
            config->settings, CONFIG_WARNING, CODE_PLAIN_HTTP, url, NULL,
            "http:// is readable on the way; use https:// if the target has it");
    }
}

/* Does any text of any target, or any Kafka property, name this secret? */
static bool secret_is_used(const struct config *config, const char *name)
{
    char braces[OPTION_NAME_MAX + 16];
    struct str out;
    bool used = false;
    snprintf(braces, sizeof braces, "${secret.%s}", name);
    str_init(&out);
    for (size_t i = 0; i < config->settings->count && !used; i++) {
        const struct setting *s = &config->settings->items[i];
        bool by_name = strcmp(s->option->key, "targets.*.sign_secret") == 0 ||
                       strcmp(s->option->key, "targets.*.token") == 0 ||
                       strcmp(s->option->key, "tokens.*.secret") == 0;
        str_clear(&out);
        config_flow(s->value, &out);
        used = strstr(out.data, braces) != NULL ||
               (by_name && strcmp(s->value->text, name) == 0);
    }
    str_release(&out);
    return used;
}

static void check_unused(const struct config *config)
{
    bool used[CONFIG_LIMITS_MAX] = {false};
    for (size_t i = 0; i < config->target_count; i++) {
        for (size_t k = 0; k < config->targets[i].limit_count; k++) {
            used[config->targets[i].limits[k]] = true;
        }
    }
    for (size_t i = 0; i < config->settings->name_count; i++) {
        const struct setting_name *named = &config->settings->names[i];
        for (size_t k = 0; k < config->limit_count; k++) {
            if (strcmp(named->section, "limits") == 0 && !used[k] &&
                strcmp(named->name, config->limits[k].name) == 0) {
                config_note(config->settings->report, CONFIG_WARNING, CODE_UNUSED,
                            named->where, "limits.%s: no target uses it", named->name);
            }
        }
        if (strcmp(named->section, "secrets") == 0 &&
            !text_starts(named->where, "SLUICE_") &&
            !secret_is_used(config, named->name)) {
            config_note(config->settings->report, CONFIG_WARNING, CODE_UNUSED,
                        named->where, "secrets.%s: nothing uses it", named->name);
        }
    }
}

void config_check(const struct config *config)
{
    struct config_report *report = config->settings->report;
    if (config->target_count == 0 && report->errors == 0) {
        config_note(report, CONFIG_ERROR, CODE_NO_TARGETS,
                    config->settings->path != NULL ? config->settings->path : "targets",
                    "no targets: nothing would be triggered; sluice-consumer config init "
                    "> sluice.yaml makes a file to begin with");
    }
    check_names(config);
    check_brokers(config);
    check_properties(config);
    check_redis(config);
    check_listen(config);
    check_stop(config);
    check_done_ttl(config);
    for (size_t i = 0; i < config->target_count; i++) {
        check_target_times(config, &config->targets[i]);
        check_plain_http(config, &config->targets[i]);
    }
    check_open_secrets(config);
    if (report->errors == 0) {
        check_unused(config); /* else it may only be unused because of an error */
    }
}
