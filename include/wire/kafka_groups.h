/* Where a group stands on a topic, and where the topic stands: asked in one go for all
 * partitions, without joining the group. On the clients of kafka_admin; blocking, bounded
 * by a deadline. Any thread, one call at a time for each client.
 *
 * librdkafka's mock cluster answers offsets and ends. It knows no members
 * (kafka_members_ask: -EIO), moves nothing (kafka_group_move: -EIO), and answers every
 * look-up by time with "none": that cannot be told from a topic without later records. */
#ifndef WIRE_KAFKA_GROUPS_H
#define WIRE_KAFKA_GROUPS_H

#include "wire/kafka_admin.h"

enum { KAFKA_NO_OFFSET = -1 };

struct kafka_member {
    char client_id[128];
    char host[128]; /* as the broker saw it connect */
    int partitions; /* assigned to it, of all topics */
};

struct kafka_members {
    char state[32]; /* "Stable", "Empty", "Dead": no such group, ... */
    struct kafka_member *items;
    size_t count;
};

/* Who is in a group. One that nobody knows is "Dead", without members.
 * members: kafka_members_release. Returns 0, -ETIMEDOUT, -EACCES, -EIO. */
int kafka_members_ask(struct kafka_admin *admin, const char *group, int64_t until_ms,
                      struct kafka_members *members, struct err *err);
void kafka_members_release(struct kafka_members *group);

/* The committed offset of partitions 0 to n-1: the next to be worked, or KAFKA_NO_OFFSET.
 * Returns 0, -ETIMEDOUT, -ENOENT, -EACCES, -EIO. */
int kafka_group_offsets(struct kafka_admin *admin, const char *group, const char *topic,
                        int n, int64_t until_ms, int64_t *offsets, struct err *err);

/* Set them; KAFKA_NO_OFFSET leaves a partition as it is. Only while the group has no
 * member: else -EPIPE, and nothing was moved. Returns 0, -EPIPE, -ETIMEDOUT, -EACCES,
 * -EIO. */
int kafka_group_move(struct kafka_admin *admin, const char *group, const char *topic,
                     int n, const int64_t *offsets, int64_t until_ms, struct err *err);

/* Partitions 0 to n-1 of a topic hold first[i] to one before end[i]. Returns 0,
 * -ETIMEDOUT, -ENOENT, -EACCES, -EIO. */
int kafka_topic_ranges(struct kafka_admin *admin, const char *topic, int n,
                       int64_t until_ms, int64_t *first, int64_t *end, struct err *err);

/* The first offset of each partition whose record is of that time (wall clock) or later;
 * KAFKA_NO_OFFSET where there is none. Returns as kafka_topic_ranges. */
int kafka_topic_at_time(struct kafka_admin *admin, const char *topic, int n,
                        int64_t wall_ms, int64_t until_ms, int64_t *offsets,
                        struct err *err);

#endif
