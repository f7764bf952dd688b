#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "wire/kafka_consumer.h"

/* --- life --- */

struct kafka_partition *kafka_partition_new(struct kafka_consumer *c, const char *topic,
                                            int id)
{
    struct kafka_partition *p = mem_zalloc(sizeof *p);
    p->consumer = c;
    p->topic = mem_strdup(topic);
    p->id = id;
    for (size_t i = 0; i < c->options.source_count; i++) {
        p->source = p->source || strcmp(topic, c->options.topics[i]) == 0;
    }
    p->epoch = c->epoch;
    p->gaps = metrics_series(c->gap_family, topic, NULL, NULL, NULL);
    p->assigned = metrics_series(c->assigned_family, topic, NULL, NULL, NULL);
    metric_add(p->assigned, 1);
    p->holes = metrics_series(c->hole_family, topic, NULL, NULL, NULL);
    char number[16];
    snprintf(number, sizeof number, "%d", id);
    p->lag_events = metrics_series(c->lag_events_family, topic, number, NULL, NULL);
    p->lag_seconds = metrics_series(c->lag_seconds_family, topic, number, NULL, NULL);
    atomic_init(&p->refs, 1);
    atomic_init(&p->next, -1);
    atomic_init(&p->committed, -1);
    atomic_init(&p->end, -1);
    atomic_init(&p->oldest_wall_ms, -1);
    p->done = -1;
    p->empty_from = -1;
    p->empty_to = -1;
    pthread_condattr_t attr;
    MUST(pthread_condattr_init(&attr));
    MUST(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
    MUST(pthread_cond_init(&p->cond, &attr));
    MUST(pthread_condattr_destroy(&attr));
    MUST(pthread_mutex_init(&p->mu, NULL));
    /* Before rd_kafka_assign: a queue forwarded a second later has lost its messages to
     * the main one. */
    p->queue = rd_kafka_queue_get_partition(c->rk, topic, id);
    rd_kafka_queue_forward(p->queue, NULL);
    return p;
}

void kafka_partition_end(struct kafka_partition *p)
{
    struct kafka_consumer *c = p->consumer;
    kafka_partition_wake(p);
    MUST(pthread_mutex_lock(&p->mu));
    p->over = true;
    MUST(pthread_mutex_unlock(&p->mu));
    metric_add(p->assigned, -1);
    metrics_drop(c->lag_events_family, p->lag_events);
    metrics_drop(c->lag_seconds_family, p->lag_seconds);
}

void kafka_partition_hold(struct kafka_partition *p)
{
    atomic_fetch_add(&p->refs, 1);
}

void kafka_partition_drop(struct kafka_partition *p)
{
    if (atomic_fetch_sub(&p->refs, 1) != 1) {
        return;
    }
    ASSERT(!p->queue);
    MUST(pthread_cond_destroy(&p->cond));
    MUST(pthread_mutex_destroy(&p->mu));
    free(p->topic);
    free(p);
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
    int64_t oldest = atomic_load(&p->oldest_wall_ms);
    int64_t age_ms = now_wall_ms() - oldest;
    lag->committed = atomic_load(&p->committed);
    lag->end = atomic_load(&p->end);
    lag->oldest_ms = oldest <= 0 ? oldest : age_ms > 0 ? age_ms : 0;
}

/* --- the position --- */

/* Between the next expected offset and `to` there is no record. Once all before it is
 * done, so is the hole. */
static void skip(struct kafka_partition *p, int64_t to)
{
    MUST(pthread_mutex_lock(&p->mu));
    int64_t from = atomic_load(&p->next);
    atomic_store(&p->next, to);
    p->empty_from = p->empty_to == from && from >= 0 ? p->empty_from : from;
    p->empty_to = to;
    int64_t done = p->done;
    bool is_next = done >= 0 && done == p->empty_from;
    MUST(pthread_mutex_unlock(&p->mu));
    if (is_next) {
        kafka_done(p, done);
    }
}

void kafka_partition_starts(struct kafka_partition *p, int64_t start, int64_t committed)
{
    int64_t from = atomic_load(&p->next);
    if (from >= 0 && start >= from) {
        if (start > from) {
            skip(p, start);
        }
        return;
    }
    MUST(pthread_mutex_lock(&p->mu));
    p->pending_count = 0; /* of a topic that was made anew: they mean nothing now */
    p->empty_from = -1;
    p->empty_to = -1;
    p->done = start;
    MUST(pthread_mutex_unlock(&p->mu));
    atomic_store(&p->next, start);
    if (committed == start) {
        atomic_store(&p->committed, start);
    } else {
        kafka_done(p, start);
    }
}

/* --- taking --- */

/* Returns true when the message is the next one, false when it was delivered before
 * (positions were given anew while the lane held it). An offset that jumps is a hole:
 * records that are gone before they are read end in an error, not in a jump. */
static bool advance(struct kafka_partition *p, const rd_kafka_message_t *m)
{
    int64_t expected = atomic_load(&p->next);
    if (expected >= 0 && m->offset < expected) {
        return false;
    }
    if (expected >= 0 && m->offset > expected) {
        metric_add(p->holes, (double)(m->offset - expected));
    }
    atomic_store(&p->next, m->offset + 1);
    return true;
}

/* The end was reached: what lies between the last record and it is a hole. */
static void reach_end(struct kafka_partition *p, int64_t end)
{
    int64_t expected = atomic_load(&p->next);
    if (expected >= 0 && end > expected) {
        metric_add(p->holes, (double)(end - expected));
        skip(p, end);
    }
}

static void take_error(struct kafka_partition *p, const rd_kafka_message_t *m)
{
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        reach_end(p, m->offset);
        return;
    }
    if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) {
        atomic_store(&p->needs_start, true);
        kafka_consumer_wake(p->consumer);
        return;
    }
    if (kafka_is_refusal(m->err)) {
        char why[KAFKA_ERROR_TEXT_MAX];
        snprintf(why, sizeof why, "topic %s: %s", p->topic, rd_kafka_message_errstr(m));
        kafka_consumer_note(p->consumer, KAFKA_REFUSED, why);
    }
    LOG(LOG_WARN, "kafka partition error", LS("topic", p->topic), LI("partition", p->id),
        LS("text", rd_kafka_message_errstr(m)), LEND);
}

int kafka_take(struct kafka_partition *p, int64_t until_ms, struct kafka_record **record)
{
    for (;;) {
        if (atomic_load(&p->woken)) {
            return -ECANCELED;
        }
        int64_t left_ms = until_ms - now_ms();
        int wait_ms = left_ms <= 0 ? 0 : left_ms < 1000 ? (int)left_ms : 1000;
        rd_kafka_message_t *m = rd_kafka_consume_queue(p->queue, wait_ms);
        if (!m) {
            if (left_ms <= 0) {
                return -ETIMEDOUT;
            }
            continue;
        }
        if (m->err) {
            take_error(p, m);
        } else if (advance(p, m)) {
            *record = kafka_record_copy(m);
            rd_kafka_message_destroy(m);
            if (atomic_load(&p->open_wall_ms) == 0 && (*record)->timestamp_ms > 0) {
                atomic_store(&p->open_wall_ms, (*record)->timestamp_ms);
            }
            return 0;
        }
        rd_kafka_message_destroy(m);
    }
}

void kafka_partition_wake(struct kafka_partition *p)
{
    atomic_store(&p->woken, true);
    MUST(pthread_mutex_lock(&p->mu));
    if (p->queue && !p->over) {
        rd_kafka_queue_yield(p->queue);
    }
    MUST(pthread_cond_broadcast(&p->cond));
    MUST(pthread_mutex_unlock(&p->mu));
}

/* --- done and the window --- */

void kafka_done(struct kafka_partition *p, int64_t next_offset)
{
    MUST(pthread_mutex_lock(&p->mu));
    /* beyond what was taken: of a topic that has been made anew since */
    bool current = !p->over && next_offset <= atomic_load(&p->next);
    if (current) {
        next_offset = next_offset == p->empty_from ? p->empty_to : next_offset;
        p->done = next_offset;
        if (p->pending_count == KAFKA_PENDING_MAX) {
            p->pending_count--; /* the last two count as one */
        }
        p->pending[p->pending_count++] =
            (struct kafka_pending){next_offset, atomic_exchange(&p->open_wall_ms, 0)};
        kafka_consumer_wake(p->consumer);
    }
    MUST(pthread_mutex_unlock(&p->mu));
}

int64_t kafka_partition_done_offset(struct kafka_partition *p)
{
    MUST(pthread_mutex_lock(&p->mu));
    int64_t done = p->done;
    MUST(pthread_mutex_unlock(&p->mu));
    return done;
}

void kafka_partition_committed(struct kafka_partition *p, int64_t committed)
{
    atomic_store(&p->committed, committed);
    MUST(pthread_mutex_lock(&p->mu));
    int kept = 0;
    for (int i = 0; i < p->pending_count; i++) {
        if (p->pending[i].next_offset > committed) {
            p->pending[kept++] = p->pending[i];
        }
    }
    p->pending_count = kept;
    MUST(pthread_cond_broadcast(&p->cond));
    MUST(pthread_mutex_unlock(&p->mu));
}

int kafka_await_window(struct kafka_partition *p, int batches, int64_t until_ms)
{
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                             .tv_nsec = (long)(until_ms % 1000) * 1000000};
    int rc = 0;
    MUST(pthread_mutex_lock(&p->mu));
    while (p->pending_count > batches && !atomic_load(&p->woken) && rc == 0) {
        rc = pthread_cond_timedwait(&p->cond, &p->mu, &until);
    }
    bool open = p->pending_count <= batches;
    MUST(pthread_mutex_unlock(&p->mu));
    return atomic_load(&p->woken) ? -ECANCELED : open ? 0 : -ETIMEDOUT;
}
