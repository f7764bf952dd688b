/* Design. One thread polls. An eventfd wakes it for everything: librdkafka writes to it
 * when the consumer queue or the commit queue get something, kafka_done and
 * kafka_consumer_stop write to it too. Both queues are then emptied without waiting.
 * Lanes never touch the handle, only their partition's queue. */
#include "wire/kafka.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "wire/kafka_consumer.h"

enum {
    PREFETCH_MIN = 64 * 1024, /* a partition, below that it starves */
    FETCH_PARTITION_MAX = 1024 * 1024,
    FETCH_MAX = 8 * 1024 * 1024,
    FETCH_MIN = 1024 * 1024 + 1024, /* librdkafka wants at least message.max.bytes */
};

/* --- the client --- */

/* Is the sentence about this topic? The names of its retry topics begin with its own. */
static bool names_topic(const char *sentence, const char *topic)
{
    static const char in_names[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t len = strlen(topic);
    const char *at = strstr(sentence, topic);
    while (at && at[len] && strchr(in_names, at[len])) {
        at = strstr(at + len, topic);
    }
    return at != NULL;
}

/* An error of the client as a whole, from the poll call. */
static void client_error(struct kafka_consumer *c, rd_kafka_resp_err_t code,
                         const char *reason)
{
    if (code == RD_KAFKA_RESP_ERR__FATAL ||
        code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID) {
        LOG(LOG_ERROR, "fenced or failed fatally, stopping", LS("text", reason), LEND);
        kafka_consumer_note(c, KAFKA_FENCED, reason);
        if (c->partitions) {
            c->options.revoking(c->options.arg, true);
        }
    } else if (kafka_refuses(code, reason)) {
        kafka_consumer_note(c, KAFKA_REFUSED, reason);
    } else if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART && c->epoch == 0 &&
               names_topic(reason, c->options.topics[0])) {
        kafka_consumer_note(c, KAFKA_NO_TOPIC, reason);
    }
    LOG(LOG_WARN, "kafka consumer", LS("error", rd_kafka_err2name(code)),
        LS("text", reason), LEND);
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *consumer)
{
    (void)rk;
    client_error(consumer, (rd_kafka_resp_err_t)code, reason);
}

/* Once partitions have queues of their own librdkafka's limits count per partition, so
 * the process' share is divided. A queue that is not full may get one fetch more, so both
 * together are the share. queued.min.messages stays high: the byte limit binds alone (a
 * small one starves: a full queue sleeps 1 s). */
static void fetch_limits(const struct kafka_options *o, char queued_kb[24],
                         char partition_bytes[24], char fetch_bytes[24])
{
    uint64_t share =
        o->prefetch_bytes / (uint64_t)(o->partition_count > 0 ? o->partition_count : 1);
    share = share < PREFETCH_MIN ? PREFETCH_MIN : share;
    uint64_t one = share / 4;
    one = one < PREFETCH_MIN          ? PREFETCH_MIN
          : one > FETCH_PARTITION_MAX ? FETCH_PARTITION_MAX
                                      : one;
    uint64_t all = o->prefetch_bytes / 4;
    all = all < FETCH_MIN ? FETCH_MIN : all > FETCH_MAX ? FETCH_MAX : all;
    uint64_t queued = share < one + PREFETCH_MIN ? PREFETCH_MIN : share - one;
    snprintf(queued_kb, 24, "%llu", (unsigned long long)(queued / 1024));
    snprintf(partition_bytes, 24, "%llu", (unsigned long long)one);
    snprintf(fetch_bytes, 24, "%llu", (unsigned long long)all);
}

static rd_kafka_t *make_client(struct kafka_consumer *c, struct err *err)
{
    const struct kafka_options *o = &c->options;
    char queued_kb[24];
    char partition_bytes[24];
    char fetch_bytes[24];
    fetch_limits(o, queued_kb, partition_bytes, fetch_bytes);
    const struct kafka_property ours[] = {
        {"bootstrap.servers", o->brokers},
        {"group.id", o->group},
        {"client.id", o->client_id},
        {"partition.assignment.strategy", "range"},
        {"session.timeout.ms", "15000"},
        {"heartbeat.interval.ms", "1000"},
        {"max.poll.interval.ms", "120000"},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "error"},
        {"enable.partition.eof", "true"}, /* to know that only a hole is left */
        {"allow.auto.create.topics", "false"},
        {"reconnect.backoff.max.ms", "1000"},
        {"socket.timeout.ms", "10000"},
        {"socket.keepalive.enable", "true"},
        {"socket.nagle.disable", "true"},
        {"fetch.wait.max.ms", "100"},
        {"queued.min.messages", "100000"},
        {"queued.max.messages.kbytes", queued_kb},
        {"max.partition.fetch.bytes", partition_bytes},
        {"fetch.max.bytes", fetch_bytes},
        {"check.crcs", "true"},
        {"log.connection.close", "false"},
        {NULL, NULL},
    };
    rd_kafka_conf_t *conf = kafka_conf(ours, o->properties, o->property_count, err);
    if (!conf) {
        return NULL;
    }
    /* A user's message.max.bytes is for producing; librdkafka also holds fetch.max.bytes
     * against it. */
    char why[KAFKA_ERROR_TEXT_MAX];
    rd_kafka_conf_set(conf, "message.max.bytes", "1048576", why, sizeof why);
    rd_kafka_conf_set_opaque(conf, c);
    rd_kafka_conf_set_rebalance_cb(conf, kafka_group_rebalance);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        err_set(err, -EINVAL, "kafka: %s", why);
        return NULL;
    }
    rd_kafka_poll_set_consumer(rk);
    return rk;
}

static int subscribe(struct kafka_consumer *c, struct err *err)
{
    rd_kafka_topic_partition_list_t *topics =
        rd_kafka_topic_partition_list_new((int)c->options.topic_count);
    for (size_t i = 0; i < c->options.topic_count; i++) {
        rd_kafka_topic_partition_list_add(topics, c->options.topics[i],
                                          RD_KAFKA_PARTITION_UA);
    }
    rd_kafka_resp_err_t code = rd_kafka_subscribe(c->rk, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    return code ? err_set(err, kafka_errno(code), "subscribe: %s", rd_kafka_err2str(code))
                : 0;
}

/* --- the poll thread --- */

static void drain_consumer_queue(struct kafka_consumer *c)
{
    rd_kafka_message_t *m = rd_kafka_consumer_poll(c->rk, 0);
    while (m) {
        if (m->err) {
            client_error(c, m->err, rd_kafka_message_errstr(m));
        } else {
            /* cannot be: every partition has its own queue */
            LOG(LOG_ERROR, "stray record, it will be delivered again after a restart",
                LI("partition", m->partition), LI("offset", m->offset), LEND);
        }
        rd_kafka_message_destroy(m);
        m = rd_kafka_consumer_poll(c->rk, 0);
    }
}

static void wait_for_work(struct kafka_consumer *c)
{
    struct pollfd fd = {.fd = c->wake_fd, .events = POLLIN};
    if (poll(&fd, 1, KAFKA_POLL_MS) > 0) {
        uint64_t count;
        ssize_t n = read(c->wake_fd, &count, sizeof count);
        (void)n;
    }
}

static void close_group(struct kafka_consumer *c)
{
    int64_t until_ms =
        now_ms() + (c->commit_stalled ? KAFKA_CLOSE_AFTER_STALL_MS : KAFKA_CLOSE_MS);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(c->rk);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(c->rk, queue);
    if (error) {
        rd_kafka_error_destroy(error);
        until_ms = 0;
    }
    while (!rd_kafka_consumer_closed(c->rk) && now_ms() < until_ms) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(c->rk, 50);
        if (m) {
            rd_kafka_message_destroy(m);
        }
    }
    rd_kafka_queue_destroy(queue);
}

static void *poll_main(void *arg)
{
    struct kafka_consumer *c = arg;
    while (!atomic_load(&c->stop)) {
        wait_for_work(c);
        atomic_store(&c->turned_ms, now_ms());
        drain_consumer_queue(c);
        kafka_commit_serve(c, 0);
        kafka_commit_start(c);
        kafka_start_fix(c);
        if (now_ms() - c->lag_ms >= 1000) {
            c->lag_ms = now_ms();
            kafka_group_lag(c);
        }
    }
    if (atomic_load(&c->state) != KAFKA_FENCED) {
        kafka_commit_flush(c, now_ms() + KAFKA_COMMIT_LAST_MS);
    }
    c->released = true;
    kafka_group_release(c);
    close_group(c);
    return NULL;
}

/* --- start and stop --- */

static void copy_options(struct kafka_consumer *c, const struct kafka_options *from)
{
    struct kafka_options *o = &c->options;
    *o = *from;
    o->brokers = mem_strdup(from->brokers);
    o->group = mem_strdup(from->group);
    o->client_id = mem_strdup(from->client_id);
    const char **topics = mem_array(from->topic_count, sizeof *topics);
    for (size_t i = 0; i < from->topic_count; i++) {
        topics[i] = mem_strdup(from->topics[i]);
    }
    o->topics = topics;
}

static void consumer_free(struct kafka_consumer *c)
{
    for (size_t i = 0; i < c->options.topic_count; i++) {
        free((char *)c->options.topics[i]);
    }
    free((void *)c->options.topics);
    free((char *)c->options.brokers);
    free((char *)c->options.group);
    free((char *)c->options.client_id);
    close(c->wake_fd);
    MUST(pthread_mutex_destroy(&c->mu));
    free(c);
}

static void make_metrics(struct kafka_consumer *c)
{
    struct metrics *m = c->options.metrics;
    c->gap_family =
        metrics_family(m, METRIC_COUNTER, "sluice_offset_gaps_total", "topic",
                       "Records that were gone before they were read", NULL, 0);
    c->hole_family = metrics_family(
        m, METRIC_COUNTER, "sluice_offset_holes_total", "topic",
        "Offsets without a record: traces of transactions, compacted records", NULL, 0);
    c->assigned_family = metrics_family(m, METRIC_GAUGE, "sluice_partitions_assigned",
                                        "topic", "Partitions assigned now", NULL, 0);
    c->lag_events_family =
        metrics_family(m, METRIC_GAUGE, "sluice_consumer_lag_events", "topic,partition",
                       "Records behind the end of the partition, by the committed offset",
                       NULL, 0);
    c->lag_seconds_family =
        metrics_family(m, METRIC_GAUGE, "sluice_consumer_lag_seconds", "topic,partition",
                       "Age of the oldest record taken and not committed", NULL, 0);
    c->commits =
        metrics_series(metrics_family(m, METRIC_COUNTER, "sluice_commits_total", "",
                                      "Offset commits the broker confirmed", NULL, 0),
                       NULL, NULL, NULL, NULL);
    c->commit_failures =
        metrics_series(metrics_family(m, METRIC_COUNTER, "sluice_commit_failures_total",
                                      "", "Offset commits the broker refused", NULL, 0),
                       NULL, NULL, NULL, NULL);
    struct metric_family *rebalances =
        metrics_family(m, METRIC_COUNTER, "sluice_rebalances_total", "kind",
                       "Assignments received, revoked and lost", NULL, 0);
    static const char *const kinds[] = {"assign", "revoke", "lost"};
    for (int i = 0; i < 3; i++) {
        c->rebalances[i] = metrics_series(rebalances, kinds[i], NULL, NULL, NULL);
    }
    for (size_t i = 0; i < c->options.topic_count; i++) {
        metrics_series(c->gap_family, c->options.topics[i], NULL, NULL, NULL);
        metrics_series(c->assigned_family, c->options.topics[i], NULL, NULL, NULL);
        metrics_series(c->hole_family, c->options.topics[i], NULL, NULL, NULL);
    }
}

/* Let both queues write to the eventfd when they get something. */
static void wire_queues(struct kafka_consumer *c)
{
    static const uint64_t one = 1;
    c->commit_queue = rd_kafka_queue_new(c->rk);
    rd_kafka_queue_io_event_enable(c->commit_queue, c->wake_fd, &one, sizeof one);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(c->rk);
    rd_kafka_queue_io_event_enable(queue, c->wake_fd, &one, sizeof one);
    rd_kafka_queue_destroy(queue);
}

struct kafka_consumer *kafka_consumer_start(const struct kafka_options *options,
                                            struct err *err)
{
    struct kafka_consumer *c = mem_zalloc(sizeof *c);
    copy_options(c, options);
    c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ASSERT(c->wake_fd >= 0);
    MUST(pthread_mutex_init(&c->mu, NULL));
    atomic_init(&c->turned_ms, now_ms());
    c->rk = make_client(c, err);
    if (!c->rk) {
        consumer_free(c);
        return NULL;
    }
    make_metrics(c);
    wire_queues(c);
    if (subscribe(c, err)) {
        rd_kafka_queue_destroy(c->commit_queue);
        kafka_destroy(c->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
        consumer_free(c);
        return NULL;
    }
    MUST(pthread_create(&c->thread, NULL, poll_main, c));
    return c;
}

int kafka_consumer_stop(struct kafka_consumer *c)
{
    atomic_store(&c->stop, true);
    kafka_consumer_wake(c);
    MUST(pthread_join(c->thread, NULL));
    int rc = c->commit_stalled || c->commit_failed ? -ETIMEDOUT : 0;
    rd_kafka_queue_destroy(c->commit_queue);
    if (kafka_destroy(c->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)) {
        consumer_free(c); /* else the client may still call back: leave it to the exit */
    }
    return rc;
}
