/* Kafka in memory, at the seam of wire/kafka.h and wire/kafka_producer.h: what a lane
 * needs of them, and nothing of librdkafka (which ThreadSanitizer cannot run). A test
 * program that includes this must not need the real ones. */
#ifndef TESTS_UNIT_FAKE_KAFKA_H
#define TESTS_UNIT_FAKE_KAFKA_H

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/now.h"
#include "wire/kafka.h"
#include "wire/kafka_producer.h"

enum { FAKE_RECORDS_MAX = 256, FAKE_PATIENCE_MS = 20000 };

/* A record that was parked, as a reader of the topic would see it. */
struct fake_sent {
    char topic[128];
    char key[128];
    char *value;
    size_t value_len;
    struct kafka_header headers[96];
    size_t header_count;
};

struct kafka_partition {
    const char *topic;
    int id;
    bool source;
    pthread_mutex_t mu;
    pthread_cond_t cond;
    /* guarded by mu */
    struct kafka_record *queue[FAKE_RECORDS_MAX];
    size_t head;
    size_t count;
    bool woken;
    int64_t done; /* -1: nothing */
};

/* A record that was handed over and gets no answer yet. */
struct fake_asked {
    kafka_sent_fn *sent;
    void *arg;
};

/* One producer per test program; fails as often as told. */
struct fake_broker {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    /* guarded by mu */
    struct fake_sent sent[FAKE_RECORDS_MAX];
    size_t sent_count;
    int fail_rc; /* answer of the next fail_count records */
    int fail_count;
    int refused; /* how many were failed */
    bool silent; /* takes records and does not answer */
    struct fake_asked asked[FAKE_RECORDS_MAX];
    size_t asked_count;
};
static struct fake_broker fake_broker;

static inline void fake_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    MUST(pthread_condattr_init(&attr));
    MUST(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
    MUST(pthread_cond_init(cond, &attr));
    MUST(pthread_condattr_destroy(&attr));
}

static inline bool fake_wait(pthread_cond_t *cond, pthread_mutex_t *mu, int64_t until_ms)
{
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                             .tv_nsec = (long)(until_ms % 1000) * 1000000};
    return pthread_cond_timedwait(cond, mu, &until) == 0;
}

/* --- the test's side --- */

static inline struct kafka_partition *fake_partition_new(const char *topic, bool source)
{
    struct kafka_partition *p = mem_zalloc(sizeof *p);
    p->topic = topic;
    p->source = source;
    p->done = -1;
    MUST(pthread_mutex_init(&p->mu, NULL));
    fake_cond_init(&p->cond);
    return p;
}

static inline void fake_partition_free(struct kafka_partition *p)
{
    for (; p->head < p->count; p->head++) {
        kafka_record_free(p->queue[p->head]);
    }
    MUST(pthread_cond_destroy(&p->cond));
    MUST(pthread_mutex_destroy(&p->mu));
    free(p);
}

/* headers: name, value, ..., NULL; may be NULL. */
static inline void fake_publish(struct kafka_partition *p, const char *key,
                                const char *value, const char *const *headers)
{
    struct kafka_record *r = mem_zalloc(sizeof *r + 16 * sizeof(struct kafka_header));
    r->headers = (struct kafka_header *)(r + 1);
    for (size_t i = 0; headers && headers[i]; i += 2) {
        r->headers[r->header_count++] =
            (struct kafka_header){headers[i], headers[i + 1], strlen(headers[i + 1])};
    }
    r->timestamp_ms = now_wall_ms();
    r->key = key;
    r->key_len = key ? strlen(key) : 0;
    r->value = value;
    r->value_len = value ? strlen(value) : 0;
    MUST(pthread_mutex_lock(&p->mu));
    r->offset = (int64_t)p->count;
    p->queue[p->count++] = r;
    MUST(pthread_cond_broadcast(&p->cond));
    MUST(pthread_mutex_unlock(&p->mu));
}

/* Wait until the lane said that it is done up to here. */
static inline bool fake_await_done(struct kafka_partition *p, int64_t offset)
{
    int64_t until_ms = now_ms() + FAKE_PATIENCE_MS;
    MUST(pthread_mutex_lock(&p->mu));
    while (p->done < offset && fake_wait(&p->cond, &p->mu, until_ms)) {
    }
    bool there = p->done >= offset;
    MUST(pthread_mutex_unlock(&p->mu));
    return there;
}

static inline int64_t fake_done_offset(struct kafka_partition *p)
{
    MUST(pthread_mutex_lock(&p->mu));
    int64_t done = p->done;
    MUST(pthread_mutex_unlock(&p->mu));
    return done;
}

static inline void fake_broker_reset(void)
{
    static bool made;
    if (!made) {
        MUST(pthread_mutex_init(&fake_broker.mu, NULL));
        fake_cond_init(&fake_broker.cond);
        made = true;
    }
    MUST(pthread_mutex_lock(&fake_broker.mu));
    for (size_t i = 0; i < fake_broker.sent_count; i++) {
        struct fake_sent *s = &fake_broker.sent[i];
        for (size_t h = 0; h < s->header_count; h++) {
            free((char *)s->headers[h].name);
            free((char *)s->headers[h].value);
        }
        free(s->value);
    }
    fake_broker.sent_count = 0;
    fake_broker.fail_count = 0;
    fake_broker.refused = 0;
    fake_broker.silent = false;
    fake_broker.asked_count = 0;
    MUST(pthread_mutex_unlock(&fake_broker.mu));
}

static inline void fake_broker_fail(int rc, int count)
{
    MUST(pthread_mutex_lock(&fake_broker.mu));
    fake_broker.fail_rc = rc;
    fake_broker.fail_count = count;
    MUST(pthread_mutex_unlock(&fake_broker.mu));
}

static inline void fake_broker_silent(void)
{
    MUST(pthread_mutex_lock(&fake_broker.mu));
    fake_broker.silent = true;
    MUST(pthread_mutex_unlock(&fake_broker.mu));
}

/* Wait until so many records wait for their answer. */
static inline bool fake_await_asked(size_t count)
{
    int64_t until_ms = now_ms() + FAKE_PATIENCE_MS;
    MUST(pthread_mutex_lock(&fake_broker.mu));
    while (fake_broker.asked_count < count &&
           fake_wait(&fake_broker.cond, &fake_broker.mu, until_ms)) {
    }
    bool there = fake_broker.asked_count >= count;
    MUST(pthread_mutex_unlock(&fake_broker.mu));
    return there;
}

/* Answer those that wait. */
static inline void fake_broker_answer(int rc)
{
    for (size_t i = 0; i < fake_broker.asked_count; i++) {
        fake_broker.asked[i].sent(fake_broker.asked[i].arg, rc, 0, 0, "late");
    }
    fake_broker.asked_count = 0;
}

/* Wait until so many records were refused. */
static inline bool fake_await_refused(int count)
{
    int64_t until_ms = now_ms() + FAKE_PATIENCE_MS;
    MUST(pthread_mutex_lock(&fake_broker.mu));
    while (fake_broker.refused < count &&
           fake_wait(&fake_broker.cond, &fake_broker.mu, until_ms)) {
    }
    bool there = fake_broker.refused >= count;
    MUST(pthread_mutex_unlock(&fake_broker.mu));
    return there;
}

/* The i-th parked record, or NULL. Stable until fake_broker_reset. */
static inline const struct fake_sent *fake_sent_at(size_t i)
{
    MUST(pthread_mutex_lock(&fake_broker.mu));
    const struct fake_sent *sent =
        i < fake_broker.sent_count ? &fake_broker.sent[i] : NULL;
    MUST(pthread_mutex_unlock(&fake_broker.mu));
    return sent;
}

static inline const char *fake_sent_header(const struct fake_sent *sent, const char *name)
{
    for (size_t i = 0; i < sent->header_count; i++) {
        if (strcmp(sent->headers[i].name, name) == 0) {
            return sent->headers[i].value;
        }
    }
    return NULL;
}

/* --- the lane's side --- */

void kafka_record_free(struct kafka_record *record)
{
    free(record);
}

const struct kafka_header *kafka_record_header(const struct kafka_record *record,
                                               const char *name)
{
    for (size_t i = 0; i < record->header_count; i++) {
        if (strcmp(record->headers[i].name, name) == 0) {
            return &record->headers[i];
        }
    }
    return NULL;
}

const char *kafka_partition_topic(const struct kafka_partition *p)
{
    return p->topic;
}

int kafka_partition_id(const struct kafka_partition *p)
{
    return p->id;
}

bool kafka_partition_is_source(const struct kafka_partition *p)
{
    return p->source;
}

void kafka_partition_lag(const struct kafka_partition *p, struct kafka_lag *lag)
{
    (void)p;
    *lag = (struct kafka_lag){.committed = -1, .end = -1, .oldest_ms = -1};
}

void kafka_partition_hold(struct kafka_partition *p)
{
    (void)p;
}

void kafka_partition_drop(struct kafka_partition *p)
{
    (void)p;
}

void kafka_partition_wake(struct kafka_partition *p)
{
    MUST(pthread_mutex_lock(&p->mu));
    p->woken = true;
    MUST(pthread_cond_broadcast(&p->cond));
    MUST(pthread_mutex_unlock(&p->mu));
}

int kafka_take(struct kafka_partition *p, int64_t until_ms, struct kafka_record **record)
{
    MUST(pthread_mutex_lock(&p->mu));
    while (!p->woken && p->head == p->count && fake_wait(&p->cond, &p->mu, until_ms)) {
    }
    int rc = p->woken ? -ECANCELED : p->head == p->count ? -ETIMEDOUT : 0;
    if (rc == 0) {
        *record = p->queue[p->head++];
    }
    MUST(pthread_mutex_unlock(&p->mu));
    return rc;
}

void kafka_done(struct kafka_partition *p, int64_t next_offset)
{
    MUST(pthread_mutex_lock(&p->mu));
    p->done = next_offset;
    MUST(pthread_cond_broadcast(&p->cond));
    MUST(pthread_mutex_unlock(&p->mu));
}

int kafka_await_window(struct kafka_partition *p, int batches, int64_t until_ms)
{
    (void)batches;
    (void)until_ms;
    MUST(pthread_mutex_lock(&p->mu));
    bool woken = p->woken;
    MUST(pthread_mutex_unlock(&p->mu));
    return woken ? -ECANCELED : 0;
}

static inline void fake_keep(const struct kafka_message *m)
{
    struct fake_sent *s = &fake_broker.sent[fake_broker.sent_count++];
    memset(s, 0, sizeof *s);
    snprintf(s->topic, sizeof s->topic, "%s", m->topic);
    snprintf(s->key, sizeof s->key, "%.*s", (int)m->key_len, m->key ? m->key : "");
    s->value = m->value ? mem_dup(m->value, m->value_len) : NULL;
    s->value_len = m->value_len;
    for (size_t i = 0; i < m->header_count; i++) {
        s->headers[s->header_count++] =
            (struct kafka_header){mem_strdup(m->headers[i].name),
                                  mem_dup(m->headers[i].value, m->headers[i].len),
                                  m->headers[i].len};
    }
}

int kafka_send(struct kafka_producer *producer, const struct kafka_message *message,
               kafka_sent_fn *sent, void *arg, struct err *err)
{
    (void)producer;
    (void)err;
    MUST(pthread_mutex_lock(&fake_broker.mu));
    int rc = 0;
    bool silent = fake_broker.silent;
    if (silent) {
        fake_broker.asked[fake_broker.asked_count++] = (struct fake_asked){sent, arg};
    } else if (fake_broker.fail_count > 0) {
        fake_broker.fail_count--;
        fake_broker.refused++;
        rc = fake_broker.fail_rc;
    } else {
        fake_keep(message);
    }
    MUST(pthread_cond_broadcast(&fake_broker.cond));
    MUST(pthread_mutex_unlock(&fake_broker.mu));
    if (silent) {
        return 0;
    }
    sent(arg, rc, 0, 0, rc ? "refused by the test" : "");
    return 0;
}

#endif
