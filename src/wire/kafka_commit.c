/* Design. One commit is in flight at a time; what lanes finish meanwhile goes with the
 * next one. The broker does not check who owns a partition, and librdkafka stamps a
 * commit with the generation of the moment it is sent, so a late answer could speak of an
 * assignment that is over: each commit carries its epoch, and answers of older epochs are
 * dropped. Nothing here waits without a deadline: a synchronous commit can block for
 * ever. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "wire/kafka_consumer.h"

enum { TOKENS = 256 }; /* far more epochs than a late answer can lag behind */

/* An address that stands for the epoch, to travel as a commit's opaque. */
static void *token(const struct kafka_consumer *c)
{
    static char tokens[TOKENS];
    return &tokens[c->epoch % TOKENS];
}

static bool is_behind(struct kafka_partition *p)
{
    int64_t done = kafka_partition_done_offset(p);
    return done >= 0 && done != atomic_load(&p->committed);
}

static size_t count_behind(struct kafka_consumer *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->partition_count; i++) {
        n += is_behind(c->partitions[i]);
    }
    return n;
}

static rd_kafka_topic_partition_list_t *list_behind(struct kafka_consumer *c, size_t n)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);
    for (size_t i = 0; i < c->partition_count; i++) {
        struct kafka_partition *p = c->partitions[i];
        if (is_behind(p)) {
            rd_kafka_topic_partition_t *entry =
                rd_kafka_topic_partition_list_add(list, p->topic, p->id);
            entry->offset = kafka_partition_done_offset(p);
            if (p->source) {
                kafka_start_put_birth(c, entry);
            }
        }
    }
    return list;
}

void kafka_commit_start(struct kafka_consumer *c)
{
    int64_t now = now_ms();
    bool waiting = c->commit_open && now - c->commit_since_ms < KAFKA_COMMIT_STALL_MS;
    bool resting = c->commit_failed && now - c->commit_since_ms < KAFKA_COMMIT_REST_MS;
    size_t behind = waiting || resting ? 0 : count_behind(c);
    if (behind == 0) {
        return;
    }
    rd_kafka_topic_partition_list_t *list = list_behind(c, behind);
    rd_kafka_resp_err_t code =
        rd_kafka_commit_queue(c->rk, list, c->commit_queue, NULL, token(c));
    rd_kafka_topic_partition_list_destroy(list);
    c->commit_open = code == RD_KAFKA_RESP_ERR_NO_ERROR;
    c->commit_failed = code != RD_KAFKA_RESP_ERR_NO_ERROR;
    c->commit_since_ms = now;
    if (code) {
        metric_inc(c->commit_failures);
        LOG(LOG_WARN, "commit not sent", LS("text", rd_kafka_err2str(code)), LEND);
    }
}

static struct kafka_partition *find(struct kafka_consumer *c,
                                    const rd_kafka_topic_partition_t *entry)
{
    for (size_t i = 0; i < c->partition_count; i++) {
        struct kafka_partition *p = c->partitions[i];
        if (p->id == entry->partition && strcmp(p->topic, entry->topic) == 0) {
            return p;
        }
    }
    return NULL;
}

static void fail(struct kafka_consumer *c, rd_kafka_resp_err_t code)
{
    metric_inc(c->commit_failures);
    c->commit_failed = true;
    if (code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID ||
        code == RD_KAFKA_RESP_ERR__FATAL) {
        kafka_consumer_note(c, KAFKA_FENCED, rd_kafka_err2str(code));
    } else if (kafka_is_refusal(code) &&
               code != RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
        /* the fetch says that one too, and of which topic */
        kafka_consumer_note(c, KAFKA_REFUSED, rd_kafka_err2str(code));
    }
    LOG(LOG_WARN, "commit failed, the offsets go with the next one",
        LS("text", rd_kafka_err2str(code)), LEND);
}

static void answer(struct kafka_consumer *c, rd_kafka_event_t *event)
{
    if (rd_kafka_event_opaque(event) != token(c)) {
        return;
    }
    c->commit_open = false;
    c->commit_stalled = false;
    rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    bool all = code != RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int i = 0; list && i < list->cnt && !all; i++) {
        /* One that is refused (its topic is gone) must not hold up the others. */
        const rd_kafka_topic_partition_t *entry = &list->elems[i];
        struct kafka_partition *p = entry->err ? NULL : find(c, entry);
        code = entry->err ? entry->err : code;
        if (p) {
            kafka_partition_committed(p, entry->offset);
        }
    }
    if (code) {
        fail(c, code);
    } else {
        metric_inc(c->commits);
    }
}

void kafka_commit_serve(struct kafka_consumer *c, int wait_ms)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(c->commit_queue, wait_ms);
    while (event) {
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_OFFSET_COMMIT) {
            answer(c, event);
        }
        rd_kafka_event_destroy(event);
        event = rd_kafka_queue_poll(c->commit_queue, 0);
    }
}

bool kafka_commit_flush(struct kafka_consumer *c, int64_t until_ms)
{
    c->commit_failed = false;
    while (c->commit_open || count_behind(c) > 0) {
        kafka_commit_start(c);
        int64_t left_ms = until_ms - now_ms();
        if (c->commit_failed) {
            return false; /* another try in this assignment is useless */
        }
        if (left_ms <= 0) {
            c->commit_stalled = true;
            return false;
        }
        kafka_commit_serve(c, left_ms < KAFKA_POLL_MS ? (int)left_ms : KAFKA_POLL_MS);
    }
    return true;
}
