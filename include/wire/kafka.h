/* The consuming side of Kafka: one poll thread that owns the group membership, one queue
 * per assigned partition, commits with one in flight.
 *
 * Words. A *partition* handle stands for one assignment of one partition (one epoch):
 * when the group takes the partition away and gives it back, that is another handle. A
 * lane takes records from its handle and says how far it is done; the poll thread
 * commits.
 *
 * The owner supplies four functions, all called on the poll thread: `assigned` starts a
 * lane; at a revoke `revoking` tells all lanes to start nothing more, `drain` waits
 * (bounded) until what was sent has ended and the lanes have said `kafka_done` for what
 * they finished; the finished prefix is then committed and `revoked` lets go of the
 * lanes. Everything is told of the whole assignment at once (eager `range`).
 *
 * Facts this rests on, measured on librdkafka 2.0.2 and 2.8.0 with Apache Kafka 3.9.1
 * and 4.1.2: a synchronous commit can block for ever; a commit inside the revoke is
 * accepted; the broker does not check who owns a partition, so only the epoch keeps a
 * late "done" from moving the offset back; a partition queue must be forwarded before
 * assign; a held message keeps destroy from returning. librdkafka is included by
 * src/wire/kafka_lib.h alone. */
#ifndef WIRE_KAFKA_H
#define WIRE_KAFKA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/metrics.h"

struct kafka_consumer;
struct kafka_partition;

struct kafka_header {
    const char *name;
    const char *value; /* may hold any bytes; NUL-ended copy; NULL for a null value */
    size_t len;
};

/* A copied record: one block of memory, kafka_record_free. */
struct kafka_record {
    int64_t offset;
    int64_t timestamp_ms; /* wall clock: create or append time; -1: none */
    bool append_time;     /* the broker's clock */
    const char *key;      /* NULL: none */
    size_t key_len;
    const char *value; /* NULL: tombstone */
    size_t value_len;
    struct kafka_header *headers;
    size_t header_count;
};

void kafka_record_free(struct kafka_record *record);
/* The last header of that name, or NULL. */
const struct kafka_header *kafka_record_header(const struct kafka_record *record,
                                               const char *name);

struct kafka_property {
    const char *name; /* any librdkafka property; overrides ours */
    const char *value;
};

enum kafka_gap { KAFKA_GAP_SKIP, KAFKA_GAP_HOLD };

struct kafka_options {
    const char *brokers; /* "host:port,host:port" */
    const char *group;
    const char *client_id;
    const char *const *topics; /* the source topic first, then retry topics */
    size_t topic_count;
    size_t source_count; /* how many of topics start by `start_earliest`; the others
                            always from the beginning */
    bool start_earliest; /* a new group on the source topic: from the beginning, else from
                            the end */
    enum kafka_gap on_gap;   /* committed offset out of range: go on from the first there
                                is, or hold */
    uint64_t prefetch_bytes; /* for the whole process, divided by partition_count */
    int partition_count;     /* of all topics together */
    int64_t revoke_drain_ms;
    const struct kafka_property *properties;
    size_t property_count;
    struct metrics *metrics;

    /* Start a lane on a partition. */
    void (*assigned)(void *arg, struct kafka_partition *partition);
    /* Tell all lanes: start nothing more. Must not block. lost: the group has already
     * given the partitions away. */
    void (*revoking)(void *arg, bool lost);
    /* Wait until all lanes are at rest, at most until then. */
    void (*drain)(void *arg, int64_t until_ms);
    /* Let go of the lanes: they must not use the partitions' queues any more when this
     * returns; ones that still have calls open live on by themselves with kafka_done
     * switched off. */
    void (*revoked)(void *arg);
    void *arg;
};

enum kafka_state {
    KAFKA_JOINING,  /* no assignment yet */
    KAFKA_RUNNING,  /* assigned (possibly no partition) */
    KAFKA_FENCED,   /* another member has our static id, or a fatal error: stop now */
    KAFKA_REFUSED,  /* authentication or authorization refused */
    KAFKA_NO_TOPIC, /* the source topic does not exist */
};

/* Make the client and start the poll thread: it waits for a broker by itself and says so
 * in the log. Returns NULL with a sentence on bad properties. */
struct kafka_consumer *kafka_consumer_start(const struct kafka_options *options,
                                            struct err *err);

/* Leave. The lanes are already at rest: commits what is done (2 s), closes the group
 * membership (3 s; 0.5 s if the commit timed out), destroys the client in a helper thread
 * (1.5 s). Bounded in every fault; calls `revoked` before it closes. The client may be
 * leaked when it would not go: the process is about to exit. Returns 0, or -ETIMEDOUT
 * when the final commit was not confirmed. */
int kafka_consumer_stop(struct kafka_consumer *consumer);

enum kafka_state kafka_consumer_state(struct kafka_consumer *consumer);
void kafka_consumer_reason(struct kafka_consumer *consumer, char *text, size_t text_len);
int64_t kafka_consumer_poll_age_ms(
    struct kafka_consumer *consumer); /* since the poll loop last turned */
int kafka_consumer_assigned(struct kafka_consumer *consumer); /* partitions now */
/* Events behind, of all assigned partitions; looked at once a second. */
int64_t kafka_consumer_lag(struct kafka_consumer *consumer);

/* --- on a partition; any thread, mostly its lane's --- */

const char *kafka_partition_topic(const struct kafka_partition *p);
int kafka_partition_id(const struct kafka_partition *p);
bool kafka_partition_is_source(const struct kafka_partition *p);

/* Take the next record, waiting for one.
 * record  out: returns owned. Records that are gone are counted
 * (sluice_offset_gaps_total) and logged; offsets without a record are only counted
 * (sluice_offset_holes_total). Returns 0, -ETIMEDOUT at until_ms, -ECANCELED after
 * kafka_partition_wake (until the next call clears nothing: it stays so). Lane thread. */
int kafka_take(struct kafka_partition *p, int64_t until_ms, struct kafka_record **record)
    __attribute__((warn_unused_result));

/* Make kafka_take and kafka_await_window return -ECANCELED from now on. Any thread. */
void kafka_partition_wake(struct kafka_partition *p);

/* All records before next_offset are settled. An atomic store and an eventfd; never
 * blocks. Ignored when the partition's epoch is over. */
void kafka_done(struct kafka_partition *p, int64_t next_offset);

/* Wait until at most `batches` calls of kafka_done are not committed yet.
 * Returns 0, -ETIMEDOUT or -ECANCELED. */
int kafka_await_window(struct kafka_partition *p, int batches, int64_t until_ms)
    __attribute__((warn_unused_result));

/* How far behind a partition is, as last seen; -1 where not known. Any thread. */
struct kafka_lag {
    int64_t committed; /* as the broker acknowledged */
    int64_t end;       /* one past the last record, as of the last fetch */
    int64_t oldest_ms; /* age of the oldest record taken and not committed; 0: all is */
};
void kafka_partition_lag(const struct kafka_partition *p, struct kafka_lag *lag);

/* A lane that outlives its assignment keeps the handle alive; the last to let go frees
 * it. */
void kafka_partition_hold(struct kafka_partition *p);
void kafka_partition_drop(struct kafka_partition *p);

/* For `version` and the metrics. */
const char *kafka_library_version(void);
void kafka_library_features(char *text, size_t text_len); /* "gzip,snappy,ssl,sasl,..." */

#endif
