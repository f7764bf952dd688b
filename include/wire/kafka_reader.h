/* Read a piece of a topic, without a group and without a trace: each partition from one
 * offset up to another, all of them merged into one stream by the records' times (records
 * of one partition always in the order of their offsets).
 *
 * One client of its own for each reader. Memory is bounded: READER_BYTES of records
 * fetched ahead over all partitions (at least 64 KiB for each), and one record held for
 * each partition. One thread. */
#ifndef WIRE_KAFKA_READER_H
#define WIRE_KAFKA_READER_H

#include "wire/kafka.h"

struct kafka_reader;

enum { KAFKA_READER_BYTES = 16 << 20 };

struct kafka_span {
    int partition; /* each at most once */
    int64_t from;  /* when the topic begins later: from there */
    int64_t to;    /* the first not to be read */
};

/* Begin; does not wait for a broker. Returns NULL with a sentence on bad properties. */
struct kafka_reader *kafka_reader_open(const char *brokers,
                                       const struct kafka_property *properties,
                                       size_t property_count, const char *topic,
                                       const struct kafka_span *spans, size_t span_count,
                                       struct err *err);
void kafka_reader_close(struct kafka_reader *reader);

/* The next record.
 * partition, record  out: where it stands; returns owned (kafka_record_free).
 * Returns 0, -EPIPE at the end of all spans, or with a sentence -ETIMEDOUT at until_ms,
 * -EACCES, -EIO. A partition that is not there never answers. */
int kafka_reader_next(struct kafka_reader *reader, int64_t until_ms, int *partition,
                      struct kafka_record **record, struct err *err)
    __attribute__((warn_unused_result));

#endif
