/* Which Kafka, which topic: flags, then SLUICE_KAFKA_*, then the file of -c or
 * SLUICE_CONFIG, then defaults; and what to say when it does not work. One thread. */
#ifndef PRODUCER_CLUSTER_H
#define PRODUCER_CLUSTER_H

#include "base/command.h"
#include "base/err.h"
#include "fleet/config.h"
#include "wire/kafka_producer.h"

enum { CLUSTER_PROPERTIES_MAX = 64 };

struct cluster {
    const char *brokers;
    const char *topic;
    const char *group;
    struct kafka_property properties[CLUSTER_PROPERTIES_MAX];
    size_t property_count;
    size_t borrowed; /* how many of them are the configuration's */
    int64_t timeout_ms;
    struct config *config; /* owned; NULL: there was no file */
};

/* The rows that every command with a cluster takes. */
#define CLUSTER_FLAGS \
    {"brokers", 'b', "HOST:PORT,...", "Kafka brokers (127.0.0.1:9092)"}, \
        {"topic", 't', "NAME", "The source topic (ci.succeeded)"}, \
        {"config", 'c', "FILE", "Take brokers, topic and properties from sluice.yaml"}, \
    { \
        "property", 'X', "NAME=VALUE", "Any librdkafka property; repeats" \
    }

/* Returns 0, or an exit code after saying why. cluster_release in every case. */
int cluster_read(const struct command_line *line, struct cluster *cluster);
void cluster_release(struct cluster *cluster);

/* A producer that gives up a record after the cluster's timeout. Returns owned, or NULL
 * with a sentence about a property. */
struct kafka_producer *cluster_producer(const struct cluster *cluster, struct err *err);

/* Say what went wrong and what to do next, on stderr. rc: as of wire/kafka_*. Returns the
 * exit code. */
int cluster_complain(const struct cluster *cluster, int rc, const char *why);

#endif
