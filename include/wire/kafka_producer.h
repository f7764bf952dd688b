/* The producing side of Kafka: acks=all, idempotent; a record counts when the broker said
 * so.
 *
 * A record the broker can never take (too large) is an error at once. A fatal producer
 * error makes the client anew and produces again: in librdkafka 2.0.2 an idempotent
 * producer can fail fatally after a record that possibly arrived (#4438). Any thread. */
#ifndef WIRE_KAFKA_PRODUCER_H
#define WIRE_KAFKA_PRODUCER_H

#include "wire/kafka.h"

struct kafka_producer;

/* rc 0: acknowledged, partition and offset are valid. Else -ETIMEDOUT, -EIO, -EACCES,
 * -ENOENT (no such topic), -EINVAL (too large), with a sentence. On the producer's
 * thread; must not block. */
typedef void kafka_sent_fn(void *arg, int rc, int partition, int64_t offset,
                           const char *why);

struct kafka_producer_options {
    const char *brokers;
    const char *client_id;
    int64_t message_timeout_ms; /* 0: 30 s */
    uint64_t buffer_bytes; /* 0: 32 MiB; a full buffer makes kafka_send return -EAGAIN */
    const struct kafka_property *properties;
    size_t property_count;
};

struct kafka_producer *kafka_producer_start(const struct kafka_producer_options *options,
                                            struct err *err);
/* Waits for what is open until then; the rest ends with -ECANCELED. */
void kafka_producer_stop(struct kafka_producer *producer, int64_t until_ms);

struct kafka_message {
    const char *topic;
    int partition; /* -1: by key (murmur2, as Java clients do) */
    const char *key;
    size_t key_len;
    const char *value; /* NULL: tombstone */
    size_t value_len;
    const struct kafka_header *headers;
    size_t header_count;
    int64_t timestamp_ms; /* wall clock; 0: now */
};

/* Hand over one record; everything is copied. sent is called exactly once if and only if
 * 0 is returned. Returns 0, -EAGAIN (buffer full, try again), -EINVAL with a sentence. */
int kafka_send(struct kafka_producer *producer, const struct kafka_message *message,
               kafka_sent_fn *sent, void *arg, struct err *err)
    __attribute__((warn_unused_result));

/* Send and wait for the acknowledgement.
 * Returns 0 or what kafka_sent_fn was given. */
int kafka_send_wait(struct kafka_producer *producer, const struct kafka_message *message,
                    int64_t until_ms, int *partition, int64_t *offset, struct err *err)
    __attribute__((warn_unused_result));

#endif
