/* Design. The simple consumer: partitions are started by hand, each into a queue of its
 * own, so no group is joined or even named. To merge, the next record of every partition
 * that is not at its end must be at hand; the oldest of them goes out. A partition ends
 * with a record at or past its last offset, or with the broker's word that it has no
 * more: the last offsets of a topic need not hold records. */
#include "wire/kafka_reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "wire/kafka_lib.h"

enum { WAIT_STEP_MS = 100, SHARE_BYTES_MIN = 64 << 10, NUMBER_MAX = 24 };

struct part {
    struct kafka_span span;
    rd_kafka_queue_t *queue;
    struct kafka_record *head; /* NULL: not fetched yet, or at the end */
    bool started;
    bool ended;
};

struct kafka_reader {
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    char *name;
    struct part *parts;
    size_t count;
    bool refused;
    char reason[256]; /* of the last client error */
};

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    struct kafka_reader *r = opaque;
    r->refused = r->refused || kafka_refuses((rd_kafka_resp_err_t)code, reason);
    snprintf(r->reason, sizeof r->reason, "%s", reason);
}

static rd_kafka_t *make_client(struct kafka_reader *r, const char *brokers,
                               const struct kafka_property *properties,
                               size_t property_count, struct err *err)
{
    char ahead[NUMBER_MAX];
    char fetch[NUMBER_MAX];
    size_t share = KAFKA_READER_BYTES / (r->count ? r->count : 1);
    share = share < SHARE_BYTES_MIN ? SHARE_BYTES_MIN : share;
    snprintf(ahead, sizeof ahead, "%zu", share >> 10);
    snprintf(fetch, sizeof fetch, "%zu", share > 1 << 20 ? (size_t)1 << 20 : share);
    const struct kafka_property ours[] = {
        {"bootstrap.servers", brokers},
        {"client.id", "sluice-reader"},
        {"auto.offset.reset", "earliest"}, /* what retention took is not there to read */
        {"enable.partition.eof", "true"},
        {"enable.auto.commit", "false"},
        {"fetch.wait.max.ms", "100"},
        {"fetch.error.backoff.ms", "100"},
        {"queued.max.messages.kbytes", ahead},
        {"queued.min.messages", "100000"},
        {"max.partition.fetch.bytes", fetch},
        {"socket.timeout.ms", "10000"},
        {"reconnect.backoff.max.ms", "1000"},
        {"log.connection.close", "false"},
        {NULL, NULL},
    };
    rd_kafka_conf_t *conf = kafka_conf(ours, properties, property_count, err);
    if (!conf) {
        return NULL;
    }
    rd_kafka_conf_set_opaque(conf, r);
    rd_kafka_conf_set_error_cb(conf, on_error);
    char why[KAFKA_ERROR_TEXT_MAX];
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        err_set(err, -EINVAL, "kafka: %s", why);
    }
    return rk;
}

static void start(struct kafka_reader *r, struct part *part)
{
    part->ended = part->span.from >= part->span.to;
    if (part->ended) {
        return;
    }
    part->queue = rd_kafka_queue_new(r->rk);
    int rc = rd_kafka_consume_start_queue(r->topic, part->span.partition, part->span.from,
                                          part->queue);
    ASSERT(rc == 0);
    part->started = true;
}

struct kafka_reader *kafka_reader_open(const char *brokers,
                                       const struct kafka_property *properties,
                                       size_t property_count, const char *topic,
                                       const struct kafka_span *spans, size_t span_count,
                                       struct err *err)
{
    struct kafka_reader *r = mem_zalloc(sizeof *r);
    r->count = span_count;
    r->parts = mem_array(span_count + 1, sizeof *r->parts);
    r->name = mem_strdup(topic);
    r->rk = make_client(r, brokers, properties, property_count, err);
    r->topic = r->rk ? rd_kafka_topic_new(r->rk, topic, NULL) : NULL;
    if (!r->topic) {
        if (r->rk) {
            err_set(err, -EINVAL, "topic %s: %s", topic,
                    rd_kafka_err2str(rd_kafka_last_error()));
        }
        kafka_reader_close(r);
        return NULL;
    }
    for (size_t i = 0; i < span_count; i++) {
        r->parts[i].span = spans[i];
        start(r, &r->parts[i]);
    }
    return r;
}

void kafka_reader_close(struct kafka_reader *r)
{
    if (!r) {
        return;
    }
    for (size_t i = 0; i < r->count; i++) {
        struct part *part = &r->parts[i];
        if (part->started) {
            rd_kafka_consume_stop(r->topic, part->span.partition);
            rd_kafka_queue_destroy(part->queue);
        }
        kafka_record_free(part->head);
    }
    if (r->topic) {
        rd_kafka_topic_destroy(r->topic);
    }
    if (r->rk && !kafka_destroy(r->rk, 0)) {
        return; /* its callbacks may still look at this */
    }
    free(r->parts);
    free(r->name);
    free(r);
}

static int refuse(const struct kafka_reader *r, const struct part *part,
                  rd_kafka_resp_err_t code, struct err *err)
{
    return err_set(err, kafka_errno(code), "topic %s [%d]: %s", r->name,
                   part->span.partition, rd_kafka_err2str(code));
}

/* Some errors pass: a broker that moves, a leader that is being chosen. */
static bool passes(rd_kafka_resp_err_t code)
{
    return !kafka_is_refusal(code) && kafka_errno(code) != -ENOENT;
}

/* What came on a partition's queue. */
static int look_at(struct kafka_reader *r, struct part *part,
                   const rd_kafka_message_t *message, struct err *err)
{
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        part->ended = true;
        return 0;
    }
    if (message->err) {
        snprintf(r->reason, sizeof r->reason, "%s", rd_kafka_err2str(message->err));
        return passes(message->err) ? 0 : refuse(r, part, message->err, err);
    }
    if (message->offset >= part->span.to) {
        part->ended = true;
    } else {
        part->head = kafka_record_copy(message);
    }
    return 0;
}

/* Wait until a partition has a head or is at its end. */
static int fetch(struct kafka_reader *r, struct part *part, int64_t until_ms,
                 struct err *err)
{
    while (!part->head && !part->ended) {
        rd_kafka_message_t *message = rd_kafka_consume_queue(part->queue, WAIT_STEP_MS);
        rd_kafka_poll(r->rk, 0);
        int rc = message ? look_at(r, part, message, err) : 0;
        if (message) {
            rd_kafka_message_destroy(message);
        }
        if (rc) {
            return rc;
        }
        if (r->refused) {
            return err_set(err, -EACCES, "the broker refuses our credentials: %s",
                           r->reason);
        }
        if (!part->head && !part->ended && now_ms() >= until_ms) {
            return err_set(err, -ETIMEDOUT, "topic %s [%d]: no answer in time%s%s",
                           r->name, part->span.partition, r->reason[0] ? ": " : "",
                           r->reason);
        }
    }
    return 0;
}

int kafka_reader_next(struct kafka_reader *r, int64_t until_ms, int *partition,
                      struct kafka_record **record, struct err *err)
{
    struct part *oldest = NULL;
    for (size_t i = 0; i < r->count; i++) {
        struct part *part = &r->parts[i];
        int rc = fetch(r, part, until_ms, err);
        if (rc) {
            return rc;
        }
        if (part->head &&
            (!oldest || part->head->timestamp_ms < oldest->head->timestamp_ms)) {
            oldest = part;
        }
    }
    if (!oldest) {
        return -EPIPE;
    }
    *partition = oldest->span.partition;
    *record = oldest->head;
    oldest->head = NULL;
    /* the last one: not worth waiting for the broker to say so */
    oldest->ended = (*record)->offset + 1 >= oldest->span.to;
    return 0;
}
