/* Design. Everything here runs on the poll thread, inside rd_kafka_consumer_poll.
 *
 * Assign: a new epoch; per partition its queue (forwarded to nowhere before
 * rd_kafka_assign), an explicit start offset, then the lane. A start that cannot be
 * looked up now is left to librdkafka, which answers with _AUTO_OFFSET_RESET on the
 * partition's queue when it has none either (auto.offset.reset=error: nothing jumps
 * silently); the poll loop then gives positions anew by assigning the whole list again
 * with explicit offsets, for seek is refused in that state. Records that a lane gets
 * twice through this are dropped in kafka_take.
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

/* --- where a partition starts --- */

static int topic_partitions(struct kafka_consumer *c, const char *name)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(c->rk, name, NULL);
    const struct rd_kafka_metadata *md = NULL;
    int count = 0;
    if (rd_kafka_metadata(c->rk, 0, topic, &md, KAFKA_LOOKUP_MS) ==
        RD_KAFKA_RESP_ERR_NO_ERROR) {
        count = md->topic_cnt == 1 ? md->topics[0].partition_cnt : 0;
        rd_kafka_metadata_destroy(md);
    }
    rd_kafka_topic_destroy(topic);
    return count;
}

/* "born=6" as put there by our commits. */
static int read_birth(const rd_kafka_topic_partition_t *entry)
{
    char text[24];
    if (!entry->metadata || entry->metadata_size >= sizeof text) {
        return 0;
    }
    memcpy(text, entry->metadata, entry->metadata_size);
    text[entry->metadata_size] = '\0';
    return strncmp(text, "born=", 5) == 0 ? (int)strtol(text + 5, NULL, 10) : 0;
}

/* A source partition without a committed offset: is the group new, or was the partition
 * added later? Returns true when the start policy decides, false for "from the
 * beginning". On -1 it cannot be told now. */
static int is_new_group(struct kafka_consumer *c, const char *topic, int id)
{
    int count = topic_partitions(c, topic);
    if (count <= 0) {
        return -1;
    }
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(count);
    rd_kafka_topic_partition_list_add_range(all, topic, 0, count - 1);
    bool any = false;
    int born = 0;
    rd_kafka_resp_err_t code = rd_kafka_committed(c->rk, all, KAFKA_LOOKUP_MS);
    for (int i = 0; i < all->cnt && !code; i++) {
        any = any || all->elems[i].offset >= 0;
        born = born ? born : read_birth(&all->elems[i]);
    }
    rd_kafka_topic_partition_list_destroy(all);
    if (code) {
        return -1;
    }
    if (!any) {
        c->born = count;
        return 1;
    }
    c->born = born ? born : c->born;
    return id < born;
}

static void say_start(struct kafka_partition *p, int64_t start, int64_t low, int64_t high)
{
    LOG(LOG_INFO, "new group on this partition", LS("topic", p->topic),
        LI("partition", p->id), LI("starts_at", start), LI("skips_events", start - low),
        LI("end", high), LEND);
}

/* The offset for a partition with these watermarks, or RD_KAFKA_OFFSET_INVALID when it
 * cannot be told. */
static int64_t choose_start(struct kafka_consumer *c, struct kafka_partition *p,
                            int64_t committed, int64_t low, int64_t high)
{
    if (committed >= low && committed <= high) {
        return committed;
    }
    if (committed >= 0) {
        if (c->options.on_gap == KAFKA_GAP_HOLD) {
            LOG(LOG_ERROR,
                "committed offset is out of range, the partition is held (kafka.on_gap)",
                LS("topic", p->topic), LI("partition", p->id), LI("committed", committed),
                LI("first", low), LI("end", high), LEND);
            return RD_KAFKA_OFFSET_INVALID;
        }
        metric_add(p->gaps, committed < low ? (double)(low - committed) : 1);
        LOG(LOG_ERROR,
            "committed offset is out of range, going on from the first there is",
            LS("topic", p->topic), LI("partition", p->id), LI("committed", committed),
            LI("first", low), LI("end", high), LEND);
        return low;
    }
    if (!p->source) {
        return low;
    }
    int is_new = is_new_group(c, p->topic, p->id);
    if (is_new < 0) {
        return RD_KAFKA_OFFSET_INVALID;
    }
    int64_t start = is_new && !c->options.start_earliest ? high : low;
    say_start(p, start, low, high);
    return start;
}

/* Fill in the start of one partition; committed as looked up. A new start is committed at
 * once, so that a partition that moves before its first batch skips nothing. Returns
 * false when the broker did not answer. */
static bool set_start(struct kafka_consumer *c, struct kafka_partition *p,
                      rd_kafka_topic_partition_t *entry, int64_t committed)
{
    int64_t low = 0;
    int64_t high = 0;
    if (rd_kafka_query_watermark_offsets(c->rk, p->topic, p->id, &low, &high,
                                         KAFKA_LOOKUP_MS)) {
        return false;
    }
    int64_t start = choose_start(c, p, committed, low, high);
    if (start < 0) {
        return true;
    }
    entry->offset = start;
    atomic_store(&p->next, start);
    atomic_store(&p->needs_start, false);
    if (committed == start) {
        kafka_partition_committed(p, start);
    } else {
        kafka_done(p, start);
    }
    return true;
}

/* Look up and set the starts of the entries that belong to partitions[]. The first
 * look-up that is not answered ends it, for the whole group waits; the rest begin where
 * librdkafka finds their committed offset, or ask again (kafka_group_fix). */
static void set_starts(struct kafka_consumer *c, rd_kafka_topic_partition_list_t *list,
                       struct kafka_partition **partitions)
{
    rd_kafka_topic_partition_list_t *committed = rd_kafka_topic_partition_list_copy(list);
    bool answered = rd_kafka_committed(c->rk, committed, KAFKA_LOOKUP_MS) ==
                    RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_topic_partition_t *found = &committed->elems[i];
        int born = answered ? read_birth(found) : 0;
        c->born = born && partitions[i]->source ? born : c->born;
        list->elems[i].offset = RD_KAFKA_OFFSET_INVALID;
        if (answered && !found->err) {
            answered = set_start(c, partitions[i], &list->elems[i], found->offset);
        }
    }
    if (!answered) {
        LOG(LOG_WARN, "offsets cannot be looked up yet", LEND);
    }
    rd_kafka_topic_partition_list_destroy(committed);
}

void kafka_group_fix(struct kafka_consumer *c)
{
    bool any = false;
    for (size_t i = 0; i < c->partition_count; i++) {
        any = any || atomic_load(&c->partitions[i]->needs_start);
    }
    if (!any || c->released || now_ms() - c->fixed_ms < KAFKA_FIX_EVERY_MS) {
        return;
    }
    c->fixed_ms = now_ms();
    rd_kafka_topic_partition_list_t *lost = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_t *all =
        rd_kafka_topic_partition_list_new((int)c->partition_count);
    bool fixed = false;
    for (size_t i = 0; i < c->partition_count; i++) {
        struct kafka_partition *p = c->partitions[i];
        rd_kafka_topic_partition_t *entry =
            rd_kafka_topic_partition_list_add(all, p->topic, p->id);
        if (!atomic_load(&p->needs_start)) {
            int64_t next = atomic_load(&p->next);
            entry->offset = next >= 0 ? next : RD_KAFKA_OFFSET_INVALID;
            continue;
        }
        lost->cnt = 0;
        rd_kafka_topic_partition_list_add(lost, p->topic, p->id);
        set_starts(c, lost, &p);
        entry->offset = lost->elems[0].offset;
        fixed = fixed || !atomic_load(&p->needs_start);
    }
    if (fixed) {
        rd_kafka_assign(c->rk, all);
    }
    rd_kafka_topic_partition_list_destroy(lost);
    rd_kafka_topic_partition_list_destroy(all);
}

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
    set_starts(c, list, c->partitions);
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
        metric_set(p->lag_events, (double)lag);
        if (lag == 0) {
            metric_set(p->lag_seconds, 0);
        } else if (oldest > 0) {
            metric_set(p->lag_seconds,
                       wall > oldest ? (double)(wall - oldest) / 1000 : 0);
        }
    }
}
