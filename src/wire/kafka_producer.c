/* Design. One client and one thread that serves delivery reports. A fatal error of the
 * idempotent producer is not the end: the serving thread makes the client anew under the
 * lock; what was in flight has been reported as failed by then, and whoever sent it
 * decides whether to send again. */
#include "wire/kafka_producer.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "sync/waitgroup.h"
#include "wire/kafka_lib.h"

enum {
    SERVE_MS = 100,
    MESSAGE_TIMEOUT_MS = 30000,
    BUFFER_BYTES = 32 << 20,
    FLUSH_MS = 1500,
    REFUSED_LOOK_MS = 250
};

struct kafka_producer {
    pthread_t thread;
    atomic_bool stop;
    atomic_bool refused; /* authentication failed; cleared by the next acknowledgement */
    /* read-only after start */
    char *brokers;
    char *client_id;
    char timeout_text[24];
    char buffer_text[24];
    struct kafka_property *properties;
    size_t property_count;
    /* replaced under the write lock, by the serving thread only */
    pthread_rwlock_t lock;
    rd_kafka_t *rk;
};

/* One record on its way: who wants to know. */
struct sent {
    kafka_sent_fn *fn;
    void *arg;
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void)rk;
    struct kafka_producer *p = opaque;
    struct sent *sent = m->_private;
    int rc = kafka_errno(m->err);
    if (rc == 0) {
        atomic_store(&p->refused, false);
    } else if (rc == -ETIMEDOUT && atomic_load(&p->refused)) {
        rc = -EACCES;
    }
    char why[KAFKA_ERROR_TEXT_MAX];
    snprintf(why, sizeof why, "topic %s: %s", rd_kafka_topic_name(m->rkt),
             rd_kafka_err2str(m->err));
    if (kafka_is_refusal(m->err)) {
        char refusal[KAFKA_ERROR_TEXT_MAX];
        kafka_refusal_text(why, refusal, sizeof refusal);
        memcpy(why, refusal, sizeof why);
    }
    sent->fn(sent->arg, rc, m->partition, m->offset, rc == 0 ? "" : why);
    free(sent);
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    struct kafka_producer *p = opaque;
    if (kafka_refuses((rd_kafka_resp_err_t)code, reason)) {
        atomic_store(&p->refused, true);
    }
    if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) { /* each of them was told of */
        LOG(LOG_WARN, "kafka producer", LS("text", reason), LEND);
    }
}

static rd_kafka_t *make_client(struct kafka_producer *p, struct err *err)
{
    /* batch.size: a consumer's fetch limit never cuts a batch, so one batch per partition
     * is the floor of its memory. message.max.bytes: a parked record is the event and its
     * story. */
    const struct kafka_property ours[] = {
        {"bootstrap.servers", p->brokers},
        {"client.id", p->client_id},
        {"acks", "all"},
        {"enable.idempotence", "true"},
        {"batch.size", "65536"},
        {"message.max.bytes", "4194304"},
        {"message.timeout.ms", p->timeout_text},
        {"queue.buffering.max.kbytes", p->buffer_text},
        {"partitioner", "murmur2_random"},
        {"socket.timeout.ms", "10000"},
        {"socket.nagle.disable", "true"},
        {"socket.keepalive.enable", "true"},
        {"reconnect.backoff.max.ms", "1000"},
        {"topic.metadata.propagation.max.ms", "5000"},
        {"log.connection.close", "false"},
        {NULL, NULL},
    };
    rd_kafka_conf_t *conf = kafka_conf(ours, p->properties, p->property_count, err);
    if (!conf) {
        return NULL;
    }
    rd_kafka_conf_set_opaque(conf, p);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_error_cb(conf, on_error);
    char why[KAFKA_ERROR_TEXT_MAX];
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!rk) {
        err_set(err, -EINVAL, "kafka producer: %s", why);
        rd_kafka_conf_destroy(conf);
    }
    return rk;
}

static void end_all(rd_kafka_t *rk)
{
    rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(rk, FLUSH_MS);
}

static void replace_client(struct kafka_producer *p)
{
    struct err err = ERR_INIT;
    LOG(LOG_WARN, "kafka producer failed fatally, making it anew", LEND);
    rd_kafka_t *fresh = make_client(p, &err);
    ASSERT(fresh != NULL); /* the same configuration was taken before */
    MUST(pthread_rwlock_wrlock(&p->lock));
    rd_kafka_t *old = p->rk;
    p->rk = fresh;
    MUST(pthread_rwlock_unlock(&p->lock));
    end_all(old);
    kafka_destroy(old, 0);
}

static void *serve(void *arg)
{
    struct kafka_producer *p = arg;
    char why[KAFKA_ERROR_TEXT_MAX];
    while (!atomic_load(&p->stop)) {
        rd_kafka_poll(p->rk, SERVE_MS);
        if (rd_kafka_fatal_error(p->rk, why, sizeof why)) {
            replace_client(p);
        }
    }
    return NULL;
}

static struct kafka_property *copy_properties(const struct kafka_property *from, size_t n)
{
    struct kafka_property *to = mem_array(n, sizeof *to);
    for (size_t i = 0; i < n; i++) {
        to[i].name = mem_strdup(from[i].name);
        to[i].value = mem_strdup(from[i].value);
    }
    return to;
}

static void producer_free(struct kafka_producer *p)
{
    for (size_t i = 0; i < p->property_count; i++) {
        free((char *)p->properties[i].name);
        free((char *)p->properties[i].value);
    }
    free(p->properties);
    free(p->brokers);
    free(p->client_id);
    MUST(pthread_rwlock_destroy(&p->lock));
    free(p);
}

struct kafka_producer *kafka_producer_start(const struct kafka_producer_options *options,
                                            struct err *err)
{
    struct kafka_producer *p = mem_zalloc(sizeof *p);
    int64_t timeout_ms =
        options->message_timeout_ms ? options->message_timeout_ms : MESSAGE_TIMEOUT_MS;
    uint64_t buffer = options->buffer_bytes ? options->buffer_bytes : BUFFER_BYTES;
    snprintf(p->timeout_text, sizeof p->timeout_text, "%lld", (long long)timeout_ms);
    snprintf(p->buffer_text, sizeof p->buffer_text, "%llu",
             (unsigned long long)(buffer >> 10));
    p->brokers = mem_strdup(options->brokers);
    p->client_id = mem_strdup(options->client_id ? options->client_id : "sluice");
    p->properties = copy_properties(options->properties, options->property_count);
    p->property_count = options->property_count;
    MUST(pthread_rwlock_init(&p->lock, NULL));
    p->rk = make_client(p, err);
    if (!p->rk) {
        producer_free(p);
        return NULL;
    }
    MUST(pthread_create(&p->thread, NULL, serve, p));
    return p;
}

void kafka_producer_stop(struct kafka_producer *p, int64_t until_ms)
{
    atomic_store(&p->stop, true);
    MUST(pthread_join(p->thread, NULL));
    int64_t left_ms = until_ms - now_ms();
    rd_kafka_flush(p->rk, left_ms > 0 ? (int)left_ms : 0);
    end_all(p->rk);
    if (kafka_destroy(p->rk, 0)) {
        producer_free(p); /* else the client may still call back: leave it to the exit */
    }
}

static rd_kafka_headers_t *make_headers(const struct kafka_message *m)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(m->header_count);
    for (size_t i = 0; i < m->header_count; i++) {
        const struct kafka_header *h = &m->headers[i];
        rd_kafka_header_add(headers, h->name, -1, h->value,
                            h->value ? (ssize_t)h->len : 0);
    }
    return headers;
}

int kafka_send(struct kafka_producer *p, const struct kafka_message *m, kafka_sent_fn *fn,
               void *arg, struct err *err)
{
    struct sent *sent = mem_alloc(sizeof *sent);
    sent->fn = fn;
    sent->arg = arg;
    rd_kafka_headers_t *headers = make_headers(m);
    int partition = m->partition < 0 ? (int)RD_KAFKA_PARTITION_UA : m->partition;
    MUST(pthread_rwlock_rdlock(&p->lock));
    rd_kafka_resp_err_t code =
        rd_kafka_producev(p->rk, RD_KAFKA_V_TOPIC(m->topic),
                          RD_KAFKA_V_PARTITION(partition),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_KEY(m->key, m->key ? m->key_len : 0),
                          RD_KAFKA_V_VALUE((void *)m->value, m->value ? m->value_len : 0),
                          RD_KAFKA_V_TIMESTAMP(m->timestamp_ms),
                          RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(sent),
                          RD_KAFKA_V_END);
    MUST(pthread_rwlock_unlock(&p->lock));
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        return 0; /* the headers are librdkafka's now */
    }
    rd_kafka_headers_destroy(headers);
    free(sent);
    return err_set(err, kafka_errno(code), "topic %s: %s", m->topic,
                   rd_kafka_err2str(code));
}

/* A wait that its caller may leave: the last of the two to go frees it. */
struct wait {
    struct waitgroup wg;
    atomic_int refs;
    int rc;
    int partition;
    int64_t offset;
    char why[KAFKA_ERROR_TEXT_MAX];
};

static void wait_drop(struct wait *w)
{
    if (atomic_fetch_sub(&w->refs, 1) == 1) {
        waitgroup_release(&w->wg);
        free(w);
    }
}

static void wait_sent(void *arg, int rc, int partition, int64_t offset, const char *why)
{
    struct wait *w = arg;
    w->rc = rc;
    w->partition = partition;
    w->offset = offset;
    snprintf(w->why, sizeof w->why, "%s", why);
    waitgroup_done(&w->wg);
    wait_drop(w);
}

/* Wait for the report; a refusal is not waited out. */
static bool wait_ended(struct kafka_producer *p, struct wait *w, int64_t until_ms)
{
    int rc = -ETIMEDOUT;
    while (rc != 0 && now_ms() < until_ms && !atomic_load(&p->refused)) {
        int64_t next_ms = now_ms() + REFUSED_LOOK_MS;
        rc = waitgroup_wait(&w->wg, next_ms < until_ms ? next_ms : until_ms);
    }
    return rc == 0;
}

int kafka_send_wait(struct kafka_producer *p, const struct kafka_message *m,
                    int64_t until_ms, int *partition, int64_t *offset, struct err *err)
{
    struct wait *w = mem_zalloc(sizeof *w);
    waitgroup_init(&w->wg);
    waitgroup_add(&w->wg, 1);
    atomic_init(&w->refs, 2);
    int rc = kafka_send(p, m, wait_sent, w, err);
    if (rc) {
        waitgroup_done(&w->wg);
        atomic_store(&w->refs, 1); /* wait_sent will not come */
    } else if (wait_ended(p, w, until_ms)) {
        rc = w->rc;
        *partition = w->partition;
        *offset = w->offset;
        if (rc) {
            err_set(err, rc, "%s", w->why);
        }
    } else if (atomic_load(&p->refused)) {
        rc = err_set(err, -EACCES, "topic %s: the broker refuses our credentials",
                     m->topic);
    } else {
        rc = err_set(err, -ETIMEDOUT, "topic %s: no acknowledgement from the broker",
                     m->topic);
    }
    wait_drop(w);
    return rc;
}
