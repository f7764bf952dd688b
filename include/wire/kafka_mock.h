/* librdkafka's own mock cluster in this process, for the demo and the fast tests: real
 * sockets on loopback, everything in memory, 5 MiB a partition (older records are dropped
 * silently). What it cannot show (commit inside a revoke, retention, time look-up, admin
 * calls, TLS) is tested on real Apache Kafka. Any thread. */
#ifndef WIRE_KAFKA_MOCK_H
#define WIRE_KAFKA_MOCK_H

#include <stdbool.h>

#include "base/err.h"

struct kafka_mock;

/* brokers  1..3. Returns owned or NULL with a sentence. */
struct kafka_mock *kafka_mock_open(int brokers, struct err *err);
void kafka_mock_close(struct kafka_mock *mock);

void kafka_mock_topic(struct kafka_mock *mock, const char *name, int partitions);
const char *kafka_mock_bootstrap(
    const struct kafka_mock *mock); /* borrowed until close */
void kafka_mock_broker(struct kafka_mock *mock, int broker,
                       bool up); /* brokers count from 1 */

#endif
