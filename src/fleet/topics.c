#include "fleet/topics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "base/str.h"

const char *const *topics_retry_config(void)
{
    /* Kept for two weeks, whatever the broker's default is: a unit
     * that waits here is committed and nowhere else. */
    static const char *const config[] = {"message.timestamp.type",
                                         "LogAppendTime",
                                         "max.message.bytes",
                                         "4194304",
                                         "cleanup.policy",
                                         "delete",
                                         "retention.ms",
                                         "1209600000",
                                         NULL};
    return config;
}

const char *const *topics_dead_config(void)
{
    /* Kept until somebody decides. */
    static const char *const config[] = {"max.message.bytes",
                                         "4194304",
                                         "cleanup.policy",
                                         "delete",
                                         "retention.ms",
                                         "-1",
                                         NULL};
    return config;
}

static const struct kafka_topic *find(const struct kafka_topic *found, size_t n,
                                      const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(found[i].name, name) == 0) {
            return &found[i];
        }
    }
    return NULL;
}

static int create(struct kafka_admin *admin, const char *name, const char *const *config,
                  int64_t until_ms, struct err *err)
{
    bool created = false;
    int rc = kafka_topic_create(admin, name, TOPICS_SIDE_PARTITIONS, -1, config, until_ms,
                                &created, err);
    if (rc) {
        err_set(err, rc,
                "%s: it cannot be created (give this user the ACL Create, or let an "
                "administrator run: sluice-producer topics ensure)",
                err->text);
        return rc;
    }
    if (created) {
        LOG(LOG_INFO, "topic created", LS("topic", name),
            LI("partitions", TOPICS_SIDE_PARTITIONS), LEND);
    }
    return 0;
}

/* The retry topics there must be: of every tier, and the one for what is sent again,
 * which may be one of them. */
static size_t own_retry_count(const struct config *config)
{
    for (size_t i = 0; i < config->retry.tier_count; i++) {
        if (strcmp(config->retry.tier_names[i], CONFIG_REDRIVE_DELAY) == 0) {
            return config->retry.tier_count;
        }
    }
    return config->retry.tier_count + 1;
}

static char *own_retry_topic(const struct config *config, size_t i)
{
    return i < config->retry.tier_count ? config_retry_topic(config, i)
                                        : config_redrive_topic(config);
}

/* Create what of ours is missing. created: out: at least one was. */
static int create_missing(const struct config *config, struct kafka_admin *admin,
                          const struct kafka_topic *found, size_t n, int64_t until_ms,
                          bool *created, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < own_retry_count(config) && !rc; i++) {
        char *name = own_retry_topic(config, i);
        if (!find(found, n, name)) {
            *created = true;
            rc = create(admin, name, topics_retry_config(), until_ms, err);
        }
        free(name);
    }
    char *dead = config_dead_topic(config);
    if (!rc && !find(found, n, dead)) {
        *created = true;
        rc = create(admin, dead, topics_dead_config(), until_ms, err);
    }
    free(dead);
    return rc;
}

static void add(struct topics *topics, const char *name, int partitions)
{
    topics->names[topics->count++] = mem_strdup(name);
    topics->partitions += partitions;
}

/* A topic that was made a moment ago may not be known to the broker that is asked:
 * without it in the subscription its units would wait until the next start. */
static bool all_known(const struct config *config, const struct kafka_topic *found,
                      size_t n, struct err *err)
{
    bool all = true;
    for (size_t i = 0; i < own_retry_count(config) && all; i++) {
        char *name = own_retry_topic(config, i);
        all = find(found, n, name) != NULL;
        if (!all) {
            err_set(err, -ETIMEDOUT, "topic %s is made, the broker does not know it yet",
                    name);
        }
        free(name);
    }
    return all;
}

static void subscribe_to(const struct config *config, const struct kafka_topic *source,
                         const struct kafka_topic *found, size_t n, struct topics *topics)
{
    struct str prefix;
    int64_t tier_ms;
    str_init(&prefix);
    str_addf(&prefix, "%s.%s.retry.", config->kafka.topic, config->kafka.group);
    *topics = (struct topics){.names = mem_array(n + 1, sizeof(char *))};
    add(topics, source->name, source->partitions);
    for (size_t i = 0; i < n; i++) {
        if (text_starts(found[i].name, prefix.data) &&
            now_parse_duration(found[i].name + prefix.len, &tier_ms) == 0) {
            add(topics, found[i].name, found[i].partitions);
        }
    }
    str_release(&prefix);
}

/* Kafka lists no topic that we may not see; asked for it by name, it says so. */
static int source_missing(const struct config *config, struct kafka_admin *admin,
                          int64_t until_ms, struct err *err)
{
    char value[32];
    const char *topic = config->kafka.topic;
    if (kafka_topic_config(admin, topic, "retention.ms", until_ms, value, sizeof value,
                           NULL) == -EACCES) {
        return err_set(err, -EACCES,
                       "topic \"%s\" is not there for us: give this user the ACL Read on "
                       "it (compose/secure/README.md), or create it with: "
                       "sluice-producer topics ensure",
                       topic);
    }
    return err_set(err, -ENOENT,
                   "topic \"%s\" does not exist on this cluster; create it with: "
                   "sluice-producer topics ensure --topic %s --group %s",
                   topic, topic, config->kafka.group);
}

int topics_ready(const struct config *config, struct kafka_admin *admin, int64_t until_ms,
                 struct topics *topics, struct err *err)
{
    struct kafka_topic *found = NULL;
    size_t n = 0;
    int rc = kafka_topics_list(admin, until_ms, &found, &n, err);
    if (rc) {
        return rc;
    }
    const struct kafka_topic *source = find(found, n, config->kafka.topic);
    bool created = false;
    if (!source) {
        rc = source_missing(config, admin, until_ms, err);
        goto out;
    }
    rc = create_missing(config, admin, found, n, until_ms, &created, err);
    if (rc) {
        goto out;
    }
    if (created) {
        free(found);
        found = NULL;
        rc = kafka_topics_list(admin, until_ms, &found, &n, err);
        source = rc ? NULL : find(found, n, config->kafka.topic);
    }
    if (!rc && (!source || !all_known(config, found, n, err))) {
        rc = source ? -ETIMEDOUT
                    : err_set(err, -ETIMEDOUT, "topic %s was there a moment ago",
                              config->kafka.topic);
    } else if (!rc) {
        subscribe_to(config, source, found, n, topics);
    }
out:
    free(found);
    return rc;
}

void topics_release(struct topics *topics)
{
    for (size_t i = 0; i < topics->count; i++) {
        free(topics->names[i]);
    }
    free(topics->names);
    *topics = (struct topics){0};
}
