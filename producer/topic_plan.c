#include "topic_plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fleet/topics.h"

static int add(struct topic_plan *plan, enum topic_kind kind, int partitions,
               const char *name, struct err *err)
{
    static const char legal[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    struct topic_plan_item *item = &plan->items[plan->count];
    if (plan->count == TOPIC_PLAN_MAX) {
        return err_set(err, -EINVAL, "more than %d retry delays", TOPIC_PLAN_MAX - 3);
    }
    if (strlen(name) > TOPIC_NAME_MAX) {
        return err_set(err, -EINVAL, "topic name \"%.40s...\" is longer than %d bytes",
                       name, TOPIC_NAME_MAX);
    }
    if (name[0] == '\0' || name[strspn(name, legal)] != '\0') {
        return err_set(err, -EINVAL,
                       "topic name \"%s\": Kafka takes letters, digits, '.', '_' and "
                       "'-' only",
                       name);
    }
    snprintf(item->name, sizeof item->name, "%s", name);
    item->kind = kind;
    item->partitions = partitions;
    plan->count++;
    return 0;
}

static int add_retry(struct topic_plan *plan, const char *topic, const char *group,
                     const char *delay, struct err *err)
{
    char name[2 * TOPIC_NAME_MAX];
    snprintf(name, sizeof name, "%s.%s.retry.%s", topic, group, delay);
    return add(plan, TOPIC_RETRY, TOPICS_SIDE_PARTITIONS, name, err);
}

int topic_plan_make(struct topic_plan *plan, const char *topic, const char *group,
                    const char *const *delays, size_t delay_count, int partitions,
                    struct err *err)
{
    char name[2 * TOPIC_NAME_MAX];
    plan->count = 0;
    int rc = add(plan, TOPIC_SOURCE, partitions, topic, err);
    bool among = false;
    for (size_t i = 0; i < delay_count; i++) {
        among = among || strcmp(delays[i], CONFIG_REDRIVE_DELAY) == 0;
    }
    if (rc == 0 && !among) {
        rc = add_retry(plan, topic, group, CONFIG_REDRIVE_DELAY, err);
    }
    for (size_t i = 0; i < delay_count && rc == 0; i++) {
        rc = add_retry(plan, topic, group, delays[i], err);
    }
    if (rc == 0) {
        snprintf(name, sizeof name, "%s.%s.dlq", topic, group);
        rc = add(plan, TOPIC_DEAD, TOPICS_SIDE_PARTITIONS, name, err);
    }
    return rc;
}
