/* Design. Everything here runs on the poll thread, inside rd_kafka_consumer_poll.
 *
 * Assign: a new epoch; per partition its queue (forwarded to nowhere before
 * rd_kafka_assign), an explicit start offset where it can be told (kafka_start.c), then
 * the lane.
 *
 * Revoke: the whole group stands still until its slowest member is through. Lanes start
 * nothing more, what was sent may end, the finished prefix is committed, and
 * rd_kafka_assign(NULL) is called in every path: without it the group and the close
 * block. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "wire/kafka_consumer.h"

/* --- assign and revoke --- */

static void on_assign(struct kafka_consumer *c, rd_kafka_topic_partition_list_t *list)
{
    metric_inc(c->rebalances[0]);
    kafka_group_release(c); /* nothing, unless librdkafka assigned twice */
    c->epoch++;
    c->commit_open = false;
    c->commit_failed = false;
    c->partitions = mem_array((size_t)list->cnt + 1, sizeof(struct kafka_partition *));
    c->partition_count = (size_t)list->cnt;
    for (int i = 0; i < list->cnt; i++) {
        c->partitions[i] =
            kafka_partition_new(c, list->elems[i].topic, list->elems[i].partition);
    }
    kafka_start_find(c, list, c->partitions);
    rd_kafka_assign(c->rk, list);
    atomic_store(&c->assigned, list->cnt);
    kafka_consumer_note(c, KAFKA_RUNNING, "");
    LOG(LOG_INFO, "assigned", LI("partitions", list->cnt), LI("epoch", c->epoch), LEND);
    for (size_t i = 0; i < c->partition_count; i++) {
        c->options.assigned(c->options.arg, c->partitions[i]);
    }
}

void kafka_group_release(struct kafka_consumer *c)
{
    if (!c->partitions) {
        return;
    }
    for (size_t i = 0; i < c->partition_count; i++) {
        kafka_partition_end(c->partitions[i]);
    }
    c->options.revoked(c->options.arg);
    for (size_t i = 0; i < c->partition_count; i++) {
        struct kafka_partition *p = c->partitions[i];
        /* What is left in the queue keeps its memory, and a held message keeps destroy
         * from returning. */
        for (rd_kafka_message_t *m = rd_kafka_consume_queue(p->queue, 0); m;
             m = rd_kafka_consume_queue(p->queue, 0)) {
            rd_kafka_message_destroy(m);
        }
        rd_kafka_queue_destroy(p->queue);
        p->queue = NULL;
        kafka_partition_drop(p);
    }
    free(c->partitions);
    c->partitions = NULL;
    c->partition_count = 0;
    atomic_store(&c->assigned, 0);
}

static void on_revoke(struct kafka_consumer *c)
{
    bool lost = rd_kafka_assignment_lost(c->rk);
    metric_inc(c->rebalances[lost ? 2 : 1]);
    LOG(LOG_INFO, lost ? "assignment lost" : "revoked",
        LI("partitions", c->partition_count), LI("epoch", c->epoch), LEND);
    if (c->partitions) {
        c->options.revoking(c->options.arg, lost);
        c->options.drain(c->options.arg, now_ms() + c->options.revoke_drain_ms);
        lost =
            lost || rd_kafka_assignment_lost(c->rk); /* the drain took time: look again */
        if (!lost && !kafka_commit_flush(c, now_ms() + KAFKA_COMMIT_LAST_MS)) {
            LOG(LOG_WARN,
                "not all was committed before the revoke, it will be delivered again",
                LEND);
        }
    }
    c->epoch++;
    c->commit_open = false;
    rd_kafka_assign(c->rk, NULL);
    kafka_group_release(c);
    kafka_consumer_note(c, KAFKA_JOINING, "");
}

void kafka_group_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t what,
                           rd_kafka_topic_partition_list_t *list, void *consumer)
{
    struct kafka_consumer *c = consumer;
    if (c->released) {
        rd_kafka_assign(rk, NULL);
    } else if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        on_assign(c, list);
    } else {
        on_revoke(c);
    }
}

/* --- lag --- */

void kafka_group_lag(struct kafka_consumer *c)
{
    int64_t wall = now_wall_ms();
    int64_t total = 0;
    for (size_t i = 0; i < c->partition_count; i++) {
        struct kafka_partition *p = c->partitions[i];
        int64_t low = 0;
        int64_t high = 0;
        int64_t committed = atomic_load(&p->committed);
        if (rd_kafka_get_watermark_offsets(c->rk, p->topic, p->id, &low, &high) ||
            committed < 0 || high < 0) {
            continue;
        }
        MUST(pthread_mutex_lock(&p->mu));
        int64_t oldest = p->pending_count ? p->pending[0].oldest_wall_ms : 0;
        MUST(pthread_mutex_unlock(&p->mu));
        oldest = oldest ? oldest : atomic_load(&p->open_wall_ms);
        int64_t lag = high > committed ? high - committed : 0;
        total += lag;
        atomic_store(&p->end, high);
        atomic_store(&p->oldest_wall_ms, lag == 0 ? 0 : oldest > 0 ? oldest : -1);
        metric_set(p->lag_events, (double)lag);
        if (lag == 0) {
            metric_set(p->lag_seconds, 0);
        } else if (oldest > 0) {
            metric_set(p->lag_seconds,
                       wall > oldest ? (double)(wall - oldest) / 1000 : 0);
        }
    }
    atomic_store(&c->lag, total);
}
