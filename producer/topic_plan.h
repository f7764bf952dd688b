/* Which topics a group needs and how they are to be: the source, a retry topic per delay
 * and one for what operators send again, the dead-letter topic. Pure. One thread. */
#ifndef PRODUCER_TOPIC_PLAN_H
#define PRODUCER_TOPIC_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    TOPIC_PLAN_MAX = 11, /* CONFIG_TIERS_MAX and the three others */
    TOPIC_NAME_MAX = 249,
};

enum topic_kind { TOPIC_SOURCE, TOPIC_RETRY, TOPIC_DEAD };

struct topic_plan_item {
    enum topic_kind kind;
    char name[TOPIC_NAME_MAX + 1];
    int partitions;
};

struct topic_plan {
    struct topic_plan_item items[TOPIC_PLAN_MAX];
    size_t count;
};

/* delays: "30s", in ascending order. partitions: of the source; the others have
 * TOPICS_SIDE_PARTITIONS.
 * Returns 0 or -EINVAL with a sentence (a name Kafka does not take). */
int topic_plan_make(struct topic_plan *plan, const char *topic, const char *group,
                    const char *const *delays, size_t delay_count, int partitions,
                    struct err *err);

#endif
