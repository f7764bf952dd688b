#include "cluster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flags.h"

extern char **environ;

static const char *from_env(const char *name)
{
    const char *text = getenv(name);
    return text && text[0] != '\0' ? text : NULL;
}

/* The first that is not NULL. */
static const char *pick(const char *flag, const char *env, const char *fallback)
{
    return flag ? flag : env ? env : fallback;
}

static int load_config(const struct command_line *line, struct cluster *cluster)
{
    const char *path = pick(flag_value(line, "config"), from_env("SLUICE_CONFIG"), NULL);
    struct config_report report = {0};
    if (!path) {
        return 0;
    }
    cluster->config = config_load(path, NULL, 0, environ, &report);
    for (size_t i = 0; i < report.count && !cluster->config; i++) {
        if (report.items[i].severity == CONFIG_ERROR) {
            fprintf(stderr, "%s: error %s: %s\n", report.items[i].where,
                    report.items[i].code, report.items[i].text);
        }
    }
    int code = cluster->config ? 0 : report.no_input ? EXIT_NO_INPUT : EXIT_CONFIG;
    config_report_release(&report);
    struct err err = ERR_INIT;
    if (code == 0 && config_load_kafka_access(cluster->config, environ, &err) != 0) {
        fprintf(stderr, "sluice-producer: %s\n", err.text);
        code = EXIT_CONFIG;
    }
    return code;
}

static int add_property(const struct command_line *line, struct cluster *cluster,
                        struct kafka_property property)
{
    if (cluster->property_count == CLUSTER_PROPERTIES_MAX) {
        return command_misused(line, "more than %d Kafka properties",
                               CLUSTER_PROPERTIES_MAX);
    }
    cluster->properties[cluster->property_count++] = property;
    return 0;
}

static int read_properties(const struct command_line *line, struct cluster *cluster)
{
    const struct config *config = cluster->config;
    int rc = 0;
    for (size_t i = 0; config && i < config->kafka.property_count && rc == 0; i++) {
        rc = add_property(line, cluster, config->kafka.properties[i]);
    }
    cluster->borrowed = cluster->property_count;
    for (size_t i = 0; rc == 0; i++) {
        char *name;
        char *value;
        rc = flags_pair(line, "property", i, &name, &value);
        if (rc != 0) {
            return rc == 1 ? 0 : rc;
        }
        rc = add_property(line, cluster, (struct kafka_property){name, value});
        if (rc != 0) {
            free(name);
            free(value);
        }
    }
    return rc;
}

int cluster_read(const struct command_line *line, struct cluster *cluster)
{
    static const struct option timeout_row = {.key = "timeout",
                                              .type = OPTION_DURATION,
                                              .initial = "30s",
                                              .min = 100,
                                              .max = 3600 * 1000};
    struct option_value timeout;
    memset(cluster, 0, sizeof *cluster);
    int rc = load_config(line, cluster);
    if (rc != 0) {
        return rc;
    }
    const struct config *config = cluster->config;
    cluster->brokers = pick(flag_value(line, "brokers"), from_env("SLUICE_KAFKA_BROKERS"),
                            config ? config->kafka.brokers : "127.0.0.1:9092");
    cluster->topic = pick(flag_value(line, "topic"), from_env("SLUICE_KAFKA_TOPIC"),
                          config ? config->kafka.topic : "ci.succeeded");
    cluster->group = pick(flag_value(line, "group"), from_env("SLUICE_KAFKA_GROUP"),
                          config ? config->kafka.group : "sluice");
    rc = flags_read(line, &timeout_row, &timeout);
    cluster->timeout_ms = timeout.number;
    return rc ? rc : read_properties(line, cluster);
}

void cluster_release(struct cluster *cluster)
{
    for (size_t i = cluster->borrowed; i < cluster->property_count; i++) {
        free((char *)cluster->properties[i].name);
        free((char *)cluster->properties[i].value);
    }
    config_free(cluster->config);
}

struct kafka_producer *cluster_producer(const struct cluster *cluster, struct err *err)
{
    const struct kafka_producer_options options = {
        .brokers = cluster->brokers,
        .client_id = "sluice-producer",
        .message_timeout_ms = cluster->timeout_ms,
        .properties = cluster->properties,
        .property_count = cluster->property_count,
    };
    return kafka_producer_start(&options, err);
}

int cluster_complain(const struct cluster *cluster, int rc, const char *why)
{
    if (rc == -ETIMEDOUT) {
        fprintf(stderr, "sluice-producer: no answer from Kafka at %s within %g s: %s\n",
                cluster->brokers, (double)cluster->timeout_ms / 1000, why);
    } else {
        fprintf(stderr, "sluice-producer: %s\n", why);
    }
    switch (rc) {
    case -ENOENT:
        fprintf(stderr, "try: sluice-producer topics ensure --brokers %s --topic %s\n",
                cluster->brokers, cluster->topic);
        return EXIT_UNAVAILABLE;
    case -EACCES:
        fprintf(stderr, "try: -X security.protocol=... -X sasl.mechanism=... "
                        "-X sasl.username=... -X sasl.password=..., or -c sluice.yaml\n");
        return EXIT_REFUSED;
    case -EINVAL:
        return EXIT_DATA;
    case -ETIMEDOUT:
        fprintf(stderr, "try: is it up, and the address right? --brokers HOST:PORT or "
                        "SLUICE_KAFKA_BROKERS\n");
        return EXIT_UNAVAILABLE;
    default:
        return EXIT_UNAVAILABLE;
    }
}
