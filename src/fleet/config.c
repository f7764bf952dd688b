/* Loading: the layers, then the parts, then what no single value shows. */
#include "fleet/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/now.h"
#include "fleet/config_private.h"

static const char *variable(char *const *environment, const char *name)
{
    size_t len = strlen(name);
    for (; environment != NULL && *environment != NULL; environment++) {
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=') {
            return *environment + len + 1;
        }
    }
    return NULL;
}

/* --- the file --- */

/* Returns 0 or a positive errno. */
static int read_file(const char *path, struct str *bytes)
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        return errno;
    }
    char chunk[16384];
    size_t n = 1;
    errno = 0;
    while (n > 0 && bytes->len <= YAML_BYTES_MAX) {
        n = fread(chunk, 1, sizeof chunk, file);
        str_put(bytes, chunk, n);
    }
    int rc = ferror(file) ? (errno != 0 ? errno : EIO) : 0;
    (void)fclose(file);
    return rc;
}

static void note_yaml(struct config_settings *settings, const struct yaml_issues *issues)
{
    static const enum config_code codes[] = {[YAML_UNREADABLE] = CODE_SYNTAX,
                                             [YAML_DUPLICATE] = CODE_DUPLICATE,
                                             [YAML_UNWANTED] = CODE_UNWANTED};
    for (size_t i = 0; i < issues->count; i++) {
        char where[WHERE_MAX];
        snprintf(where, sizeof where, "%.280s:%d:%d", settings->path,
                 issues->items[i].line, issues->items[i].column);
        config_note(settings->report, CONFIG_ERROR, codes[issues->items[i].fault], where,
                    "%s", issues->items[i].text);
    }
}

/* Returns whether there is a tree to go on with. */
static bool load_file(struct config_settings *settings, const char *path,
                      const char *named_by)
{
    struct str bytes;
    str_init(&bytes);
    int rc = read_file(path, &bytes);
    if (rc != 0) {
        config_note(settings->report, CONFIG_ERROR, CODE_FILE, path,
                    "cannot be read: %s%s; sluice-consumer config init > sluice.yaml "
                    "makes a new one",
                    strerror(rc), named_by);
        settings->report->no_input = true;
        str_release(&bytes);
        return false;
    }
    struct yaml_issues *issues = mem_zalloc(sizeof *issues);
    settings->path = mem_strdup(path);
    struct yaml_node *root = yaml_parse(bytes.data, bytes.len, issues);
    note_yaml(settings, issues);
    if (root != NULL) {
        layer_file(settings, root);
    }
    yaml_node_free(root);
    free(issues);
    str_release(&bytes);
    return root != NULL;
}

static bool find_file(struct config_settings *settings, const char *path,
                      char *const *environment)
{
    const char *named = variable(environment, "SLUICE_CONFIG");
    if (path != NULL) {
        return load_file(settings, path, "");
    }
    if (named != NULL && named[0] != '\0') {
        return load_file(settings, named, " (named by SLUICE_CONFIG)");
    }
    return access("sluice.yaml", F_OK) != 0 || load_file(settings, "sluice.yaml", "");
}

/* --- the sections with fixed keys --- */

static char *copy_text(const struct config *config, const char *key)
{
    return mem_strdup(settings_text(config->settings, key, ""));
}

static int64_t number(const struct config *config, const char *key)
{
    return settings_value(config->settings, key, "").number;
}

static char *join_brokers(const struct config *config)
{
    const struct setting *s = settings_get(config->settings, "kafka.brokers", "");
    struct str out;
    str_init(&out);
    for (size_t i = 0; s != NULL && i < s->value->count; i++) {
        str_addf(&out, "%s%s", i > 0 ? "," : "", s->value->items[i]->text);
    }
    return str_take(&out);
}

static char *make_client_id(const struct config *config)
{
    char *given = copy_text(config, "kafka.client_id");
    if (given != NULL) {
        return given;
    }
    char host[64] = "";
    (void)gethostname(host, sizeof host - 1);
    struct str out;
    str_init(&out);
    str_addf(&out, "sluice-%s-%ld", host[0] != '\0' ? host : "host", (long)getpid());
    return str_take(&out);
}

static void build_properties(struct config *config)
{
    const struct setting *s = NULL;
    while (true) {
        s = settings_member(config->settings, "kafka.properties", "", s);
        if (s == NULL) {
            return;
        }
        size_t n = config->kafka.property_count++;
        config->kafka.properties =
            mem_resize(config->kafka.properties, (n + 1) * sizeof(struct kafka_property));
        config->kafka.properties[n].name = mem_strdup(s->member);
        config->kafka.properties[n].value = mem_strdup(s->value->text);
    }
}

static void build_tiers(struct config *config)
{
    const struct setting *s = settings_get(config->settings, "retry.delays", "");
    if (s == NULL) {
        return;
    }
    if (s->value->count == 0 || s->value->count > CONFIG_TIERS_MAX) {
        settings_note(config->settings, CONFIG_ERROR, CODE_DELAYS, s, NULL,
                      "%zu delays; expected 1 to %d", s->value->count, CONFIG_TIERS_MAX);
        return;
    }
    int64_t last_ms = 0;
    for (size_t i = 0; i < s->value->count; i++) {
        struct option_value value;
        const struct yaml_node *item = s->value->items[i];
        int rc = option_read(s->option, item->text, &value, NULL);
        ASSERT(rc == 0);
        if (value.number <= last_ms) {
            settings_note(config->settings, CONFIG_ERROR, CODE_DELAYS, s, item,
                          "%s is not longer than the one before it", item->text);
        }
        last_ms = value.number;
        config->retry.tiers_ms[i] = value.number;
        config->retry.tier_names[i] = mem_strdup(item->text);
        config->retry.tier_count = i + 1;
    }
}

static void build_kafka(struct config *config)
{
    config->kafka.brokers = join_brokers(config);
    config->kafka.topic = copy_text(config, "kafka.topic");
    config->kafka.group = copy_text(config, "kafka.group");
    config->kafka.client_id = make_client_id(config);
    config->kafka.start_earliest = number(config, "kafka.start") == 1;
    config->kafka.on_gap =
        number(config, "kafka.on_gap") == 1 ? KAFKA_GAP_HOLD : KAFKA_GAP_SKIP;
    config->kafka.prefetch_bytes = (uint64_t)number(config, "kafka.prefetch");
    build_properties(config);
}

static void build_redis(struct config *config)
{
    config->redis.url = copy_text(config, "redis.url");
    config->redis.prefix = copy_text(config, "redis.prefix");
    config->redis.username = copy_text(config, "redis.username");
    config->redis.password = copy_text(config, "redis.password");
    config->redis.password_file = copy_text(config, "redis.password_file");
    config->redis.ca_file = copy_text(config, "redis.ca_file");
    config->redis.cert_file = copy_text(config, "redis.cert_file");
    config->redis.key_file = copy_text(config, "redis.key_file");
    config->redis.timeout_ms = number(config, "redis.timeout");
    config->redis.allow_eviction = number(config, "redis.allow_eviction") != 0;
    const struct setting *word = settings_get(config->settings, "redis.password", "");
    const struct setting *file =
        settings_get(config->settings, "redis.password_file", "");
    if (word == NULL || file == NULL) {
        return;
    }
    if (word->layer == file->layer) {
        settings_note(config->settings, CONFIG_ERROR, CODE_TWO_SOURCES, file, NULL,
                      "redis.password is given too");
    } else if (word->layer > file->layer) {
        free(config->redis.password_file);
        config->redis.password_file = NULL;
    } else {
        free(config->redis.password);
        config->redis.password = NULL;
    }
}

void config_build_sections(struct config *config)
{
    build_kafka(config);
    build_redis(config);
    build_tiers(config);
    config->batch.size = (int)number(config, "batch.size");
    config->batch.age_ms = number(config, "batch.age");
    config->batch.window = (int)number(config, "batch.window");
    config->in_flight = (int)number(config, "in_flight");
    config->done_ttl_ms = number(config, "ledger.done_ttl");
    config->history.events = number(config, "history.events");
    config->history.ttl_ms = number(config, "history.ttl");
    config->revoke_drain_ms = number(config, "revoke.drain");
    config->stop_drain_ms = number(config, "stop.drain");
    config->stop_grace_ms = number(config, "stop.grace");
    config->progress_ms = number(config, "watchdog.progress");
    config->http_listen = copy_text(config, "http.listen");
    config->ca_file = copy_text(config, "http.ca_file");
    config->console.listen = copy_text(config, "console.listen");
    config->console.token_file = copy_text(config, "console.token_file");
    config->console.read_only = number(config, "console.read_only") != 0;
    config->cluster_check.every_ms = number(config, "cluster_check.every");
    config->cluster_check.timeout_ms = number(config, "cluster_check.timeout");
    config->cluster_check.width = (int)number(config, "cluster_check.width");
    config->log_level = (enum log_level)number(config, "log.level");
    config->log_format = (enum log_format)number(config, "log.format");
}

/* --- the whole --- */

struct config *config_load(const char *path, const struct config_override *overrides,
                           size_t n, char *const *environment,
                           struct config_report *report)
{
    struct config *config = mem_zalloc(sizeof *config);
    memset(report, 0, sizeof *report);
    config->settings = settings_new();
    atomic_init(&config->settings->owners, 1);
    config->settings->report = report;
    config->loaded_wall_ms = now_wall_ms();

    bool readable = find_file(config->settings, path, environment);
    layer_environment(config->settings, environment);
    layer_overrides(config->settings, overrides, n);
    layer_defaults(config->settings);
    if (readable) {
        config_build_sections(config);
        config_build_limits(config);
        config_build_secrets(config);
        config_build_clusters(config);
        config_build_targets(config);
        config_build_access(config);
        config_build_workflow(config);
        config_check(config);
    }
    config->settings->report = NULL;
    if (report->errors > 0) {
        config_free(config);
        return NULL;
    }
    return config;
}

static void free_secret(char *text)
{
    if (text != NULL) {
        mem_wipe(text, strlen(text));
        free(text);
    }
}

static void free_kafka(struct config *config)
{
    free(config->kafka.brokers);
    free(config->kafka.topic);
    free(config->kafka.group);
    free(config->kafka.client_id);
    for (size_t i = 0; i < config->kafka.property_count; i++) {
        free((char *)config->kafka.properties[i].name);
        free_secret((char *)config->kafka.properties[i].value);
    }
    free(config->kafka.properties);
}

struct config *config_hold(struct config *config)
{
    atomic_fetch_add(&config->settings->owners, 1);
    return config;
}

void config_free(struct config *config)
{
    if (config == NULL || atomic_fetch_sub(&config->settings->owners, 1) > 1) {
        return;
    }
    free_kafka(config);
    free(config->redis.url);
    free(config->redis.prefix);
    free(config->redis.username);
    free_secret(config->redis.password);
    free(config->redis.password_file);
    free(config->redis.ca_file);
    free(config->redis.cert_file);
    free(config->redis.key_file);
    for (size_t i = 0; i < config->retry.tier_count; i++) {
        free(config->retry.tier_names[i]);
    }
    free(config->http_listen);
    config_workflow_release(config);
    free(config->console.listen);
    free(config->console.token_file);
    free(config->ca_file);
    for (size_t i = 0; i < config->limit_count; i++) {
        free(config->limits[i].name);
    }
    for (size_t i = 0; i < config->target_count; i++) {
        free(config->targets[i].name);
        match_release(&config->targets[i].match);
        target_free(config->targets[i].target);
        config_gate_release(&config->targets[i].gate);
    }
    for (size_t i = 0; i < config->secret_count; i++) {
        free(config->secrets[i].name);
        free(config->secrets[i].file);
        free(config->secrets[i].env);
        free_secret(config->secrets[i].value);
    }
    config_clusters_release(config);
    config_free_access(config);
    free(config->limits);
    free(config->targets);
    free(config->secrets);
    settings_free(config->settings);
    free(config);
}

const char *config_path(const struct config *config)
{
    return config->settings->path;
}

static char *topic_of_delay(const struct config *config, const char *delay)
{
    struct str out;
    str_init(&out);
    str_addf(&out, "%s.%s.retry.%s", config->kafka.topic, config->kafka.group, delay);
    return str_take(&out);
}

char *config_retry_topic(const struct config *config, size_t tier)
{
    ASSERT(tier < config->retry.tier_count);
    return topic_of_delay(config, config->retry.tier_names[tier]);
}

char *config_redrive_topic(const struct config *config)
{
    return topic_of_delay(config, CONFIG_REDRIVE_DELAY);
}

char *config_dead_topic(const struct config *config)
{
    struct str out;
    str_init(&out);
    str_addf(&out, "%s.%s.dlq", config->kafka.topic, config->kafka.group);
    return str_take(&out);
}
