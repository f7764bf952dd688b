/* Topics: ask and create. Short-lived clients of their own; blocking, bounded by a
 * deadline. On librdkafka's mock cluster creating is not supported but asking creates:
 * kafka_topic_create falls back on that. Any thread. */
#ifndef WIRE_KAFKA_ADMIN_H
#define WIRE_KAFKA_ADMIN_H

#include "wire/kafka.h"

struct kafka_admin;

struct kafka_topic {
    char name[256];
    int partitions;
    int replication;
};

struct kafka_admin *kafka_admin_open(const char *brokers,
                                     const struct kafka_property *properties,
                                     size_t property_count, struct err *err);
void kafka_admin_close(struct kafka_admin *admin);

/* All topics of the cluster. topics: returns owned (free). Returns 0, -ETIMEDOUT (no
 * broker answered), -EACCES (refused), -EIO; with a sentence. */
int kafka_topics_list(struct kafka_admin *admin, int64_t until_ms,
                      struct kafka_topic **topics, size_t *count, struct err *err);

/* Create one unless it is there.
 * replication  -1: the broker's default. config: name, value, ..., NULL; may be NULL.
 * created      out: false when it was there already.
 * Returns 0, -ETIMEDOUT, -EACCES, -EINVAL, -EIO. */
int kafka_topic_create(struct kafka_admin *admin, const char *name, int partitions,
                       int replication, const char *const *config, int64_t until_ms,
                       bool *created, struct err *err);

/* A topic's own setting as text ("retention.ms"). Returns 0, -ENOENT, -ETIMEDOUT, -EIO.
 */
int kafka_topic_config(struct kafka_admin *admin, const char *topic, const char *name,
                       int64_t until_ms, char *value, size_t value_len, struct err *err);

/* Which offsets a partition holds: from `first` to one before `end`, out. Returns 0,
 * -ETIMEDOUT, -ENOENT, -EACCES, -EIO. */
int kafka_topic_range(struct kafka_admin *admin, const char *topic, int partition,
                      int64_t until_ms, int64_t *first, int64_t *end, struct err *err);

#endif
