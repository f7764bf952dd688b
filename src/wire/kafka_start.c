/* Design. Where a partition starts. Everything runs on the poll thread, so one look takes
 * KAFKA_LOOKUP_MS at most, however many partitions and whatever the broker does; what
 * cannot be told by then is left to librdkafka. It starts from the committed offset or,
 * when it has none that fits (auto.offset.reset=error: nothing jumps silently), says so
 * on the partition's queue; the poll loop then looks again and assigns the whole list
 * with explicit offsets, for seek is refused in that state. Records that a lane gets
 * twice through this are dropped in kafka_take.
 *
 * The order of what is believed: the position this process holds, the committed offset,
 * and only then the policy for a new group.
 *
 * A group is born when it first looks at its source topic; each of its commits there says
 * with how many partitions and when ("born=6@1700000000000"). A partition without an
 * offset that is numbered above was added later and is read from its beginning. One below
 * lost its first member before that could commit, or its topic was made anew: it starts
 * at the group's birth, not at today's end. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "base/str.h"
#include "wire/kafka_consumer.h"

enum { LOOKUP_ONE_MS = 1000, BIRTH_TEXT_MAX = 48 };

/* One look at the starts of some partitions. */
struct look {
    struct kafka_consumer *c;
    int64_t until_ms;
    const char *topic; /* whose birth is known; NULL: none yet */
    bool is_new;       /* the group is born with this look */
};

static int left_ms(const struct look *look, int most_ms)
{
    int64_t left = look->until_ms - now_ms();
    return left <= 0 ? 0 : left < most_ms ? (int)left : most_ms;
}

/* --- the group's birth --- */

void kafka_start_put_birth(const struct kafka_consumer *c,
                           rd_kafka_topic_partition_t *entry)
{
    if (c->born.partitions > 0) {
        char text[BIRTH_TEXT_MAX];
        int len = snprintf(text, sizeof text, "born=%d@%lld", c->born.partitions,
                           (long long)c->born.wall_ms);
        entry->metadata = mem_dup(text, (size_t)len);
        entry->metadata_size = (size_t)len;
    }
}

/* As put there by our commits; false: it is not. */
static bool read_birth(const rd_kafka_topic_partition_t *entry, struct kafka_birth *born)
{
    char text[BIRTH_TEXT_MAX];
    if (!entry->metadata || entry->metadata_size >= sizeof text) {
        return false;
    }
    memcpy(text, entry->metadata, entry->metadata_size);
    text[entry->metadata_size] = '\0';
    char *at = strchr(text, '@');
    int64_t partitions;
    if (at) {
        *at++ = '\0';
    }
    if (!text_starts(text, "born=") ||
        text_parse_int(text + 5, 1, INT32_MAX, &partitions)) {
        return false;
    }
    born->partitions = (int)partitions;
    born->wall_ms = 0;
    return !at || text_parse_int(at, 0, INT64_MAX, &born->wall_ms) == 0;
}

static int topic_partitions(struct look *look, const char *name)
{
    int wait_ms = left_ms(look, KAFKA_LOOKUP_MS);
    const struct rd_kafka_metadata *md = NULL;
    int count = 0;
    if (wait_ms == 0) {
        return 0;
    }
    rd_kafka_topic_t *topic = rd_kafka_topic_new(look->c->rk, name, NULL);
    if (rd_kafka_metadata(look->c->rk, 0, topic, &md, wait_ms) ==
        RD_KAFKA_RESP_ERR_NO_ERROR) {
        count = md->topic_cnt == 1 ? md->topics[0].partition_cnt : 0;
        rd_kafka_metadata_destroy(md);
    }
    rd_kafka_topic_destroy(topic);
    return count;
}

/* Is the group new on this topic, and if not, when was it born? False: it cannot be told
 * now. */
static bool look_at_birth(struct look *look, const char *topic)
{
    struct kafka_consumer *c = look->c;
    if (look->topic && strcmp(look->topic, topic) == 0) {
        return true;
    }
    int count = topic_partitions(look, topic);
    int wait_ms = left_ms(look, KAFKA_LOOKUP_MS);
    if (count <= 0 || wait_ms == 0) {
        return false;
    }
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(count);
    rd_kafka_topic_partition_list_add_range(all, topic, 0, count - 1);
    rd_kafka_resp_err_t code = rd_kafka_committed(c->rk, all, wait_ms);
    bool any = false;
    struct kafka_birth born = {0};
    for (int i = 0; i < all->cnt && !code; i++) {
        any = any || all->elems[i].offset >= 0;
        code = all->elems[i].err;
        if (born.partitions == 0) {
            (void)read_birth(&all->elems[i], &born);
        }
    }
    rd_kafka_topic_partition_list_destroy(all);
    if (code) {
        return false;
    }
    look->topic = topic;
    look->is_new = !any && c->born.partitions == 0;
    if (look->is_new) {
        c->born = (struct kafka_birth){count, now_wall_ms()};
    } else if (born.partitions > 0) {
        c->born = born;
    }
    return true;
}

/* --- what the partitions hold --- */

/* Ask for offsets by time (or RD_KAFKA_OFFSET_BEGINNING, RD_KAFKA_OFFSET_END): in and out
 * in the list. Not rd_kafka_query_watermark_offsets: that one heeds no timeout once its
 * request is out. False: no answer, for none of them. */
static bool ask_offsets(struct look *look, rd_kafka_topic_partition_list_t *list,
                        int most_ms)
{
    int wait_ms = left_ms(look, most_ms);
    return wait_ms > 0 && rd_kafka_offsets_for_times(look->c->rk, list, wait_ms) ==
                              RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* First and end offset of each entry; in `first` and `end`, which are made here. An entry
 * that could not be told has an error. */
struct ranges {
    rd_kafka_topic_partition_list_t *first;
    rd_kafka_topic_partition_list_t *end;
};

static bool ask_ranges(struct look *look, const rd_kafka_topic_partition_list_t *list,
                       int most_ms, struct ranges *r)
{
    r->first = rd_kafka_topic_partition_list_copy(list);
    r->end = rd_kafka_topic_partition_list_copy(list);
    for (int i = 0; i < list->cnt; i++) {
        r->first->elems[i].offset = RD_KAFKA_OFFSET_BEGINNING;
        r->end->elems[i].offset = RD_KAFKA_OFFSET_END;
    }
    return ask_offsets(look, r->first, most_ms) && ask_offsets(look, r->end, most_ms);
}

static void ranges_release(struct ranges *r)
{
    rd_kafka_topic_partition_list_destroy(r->first);
    rd_kafka_topic_partition_list_destroy(r->end);
}

/* The first offset of that time or later; RD_KAFKA_OFFSET_INVALID: it cannot be told now.
 */
static int64_t offset_at(struct look *look, const struct kafka_partition *p,
                         int64_t wall_ms, int64_t end)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, p->topic, p->id)->offset = wall_ms;
    bool told = ask_offsets(look, list, LOOKUP_ONE_MS) && !list->elems[0].err;
    int64_t offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    if (!told) {
        return RD_KAFKA_OFFSET_INVALID;
    }
    return offset >= 0 ? offset : end; /* no record so late: the end */
}

/* --- the start --- */

/* Retention overtook us, or the topic was made anew. */
static int64_t jump(struct kafka_consumer *c, struct kafka_partition *p, int64_t from,
                    int64_t low, int64_t high)
{
    if (c->options.on_gap == KAFKA_GAP_HOLD) {
        LOG(LOG_ERROR, "offset is out of range, the partition is held (kafka.on_gap)",
            LS("topic", p->topic), LI("partition", p->id), LI("offset", from),
            LI("first", low), LI("end", high), LEND);
        return RD_KAFKA_OFFSET_INVALID;
    }
    metric_add(p->gaps, from < low ? (double)(low - from) : 1);
    LOG(LOG_ERROR, "offset is out of range, going on from the first there is",
        LS("topic", p->topic), LI("partition", p->id), LI("offset", from),
        LI("first", low), LI("end", high), LEND);
    return low;
}

static int64_t policy_start(struct look *look, struct kafka_partition *p, int64_t low,
                            int64_t high)
{
    struct kafka_consumer *c = look->c;
    if (!look_at_birth(look, p->topic)) {
        return RD_KAFKA_OFFSET_INVALID;
    }
    bool added = !look->is_new && p->id >= c->born.partitions;
    int64_t start = low;
    if (!c->options.start_earliest && !added) {
        start = look->is_new || c->born.wall_ms == 0
                    ? high
                    : offset_at(look, p, c->born.wall_ms, high);
    }
    if (start >= 0) {
        LOG(LOG_INFO,
            look->is_new ? "new group on this partition"
            : added      ? "partition added later"
                         : "partition without an offset, from the group's birth on",
            LS("topic", p->topic), LI("partition", p->id), LI("starts_at", start),
            LI("skips_events", start - low), LI("end", high), LEND);
    }
    return start;
}

/* The offset for a partition with these watermarks, or RD_KAFKA_OFFSET_INVALID when it
 * cannot be told. */
static int64_t choose_start(struct look *look, struct kafka_partition *p,
                            int64_t committed, int64_t low, int64_t high)
{
    int64_t from = atomic_load(&p->next);
    from = from >= 0 ? from : committed;
    if (from >= 0) {
        return from >= low && from <= high ? from : jump(look->c, p, from, low, high);
    }
    return p->source ? policy_start(look, p, low, high) : low;
}

/* Fill in the starts of the entries from `at` on as far as these ranges tell; committed
 * as looked up. A new start is committed at once, so that a partition that moves before
 * its first batch skips nothing. */
static void set_starts(struct look *look, rd_kafka_topic_partition_list_t *list,
                       struct kafka_partition **partitions,
                       const rd_kafka_topic_partition_list_t *committed,
                       const struct ranges *r, int at)
{
    for (int i = 0; i < r->first->cnt; i++) {
        const rd_kafka_topic_partition_t *first = &r->first->elems[i];
        const rd_kafka_topic_partition_t *end = &r->end->elems[i];
        struct kafka_partition *p = partitions[at + i];
        int64_t known = committed->elems[at + i].offset;
        if (committed->elems[at + i].err || first->err || end->err || first->offset < 0 ||
            end->offset < 0) {
            continue;
        }
        int64_t start = choose_start(look, p, known, first->offset, end->offset);
        if (start >= 0) {
            list->elems[at + i].offset = start;
            atomic_store(&p->needs_start, false);
            kafka_partition_starts(p, start, known);
        }
    }
}

/* One by one: a partition without a leader keeps the answer for all from coming. */
static void set_starts_singly(struct look *look, rd_kafka_topic_partition_list_t *list,
                              struct kafka_partition **partitions,
                              const rd_kafka_topic_partition_list_t *committed)
{
    for (int i = 0; i < list->cnt && left_ms(look, 1) > 0; i++) {
        rd_kafka_topic_partition_list_t *one = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(one, partitions[i]->topic, partitions[i]->id);
        struct ranges r;
        if (ask_ranges(look, one, LOOKUP_ONE_MS / 2, &r)) {
            set_starts(look, list, partitions, committed, &r, i);
        }
        ranges_release(&r);
        rd_kafka_topic_partition_list_destroy(one);
    }
}

void kafka_start_find(struct kafka_consumer *c, rd_kafka_topic_partition_list_t *list,
                      struct kafka_partition **partitions)
{
    struct look look = {.c = c, .until_ms = now_ms() + KAFKA_LOOKUP_MS};
    rd_kafka_topic_partition_list_t *committed = rd_kafka_topic_partition_list_copy(list);
    rd_kafka_resp_err_t code = rd_kafka_committed(c->rk, committed, KAFKA_LOOKUP_MS);
    for (int i = 0; i < list->cnt; i++) {
        struct kafka_birth born;
        list->elems[i].offset = RD_KAFKA_OFFSET_INVALID;
        if (!code && partitions[i]->source && read_birth(&committed->elems[i], &born)) {
            c->born = born;
        }
    }
    if (code) {
        LOG(LOG_WARN, "committed offsets cannot be looked up yet",
            LS("text", rd_kafka_err2str(code)), LEND);
    } else if (list->cnt > 0) {
        struct ranges r;
        if (ask_ranges(&look, list, LOOKUP_ONE_MS, &r)) {
            set_starts(&look, list, partitions, committed, &r, 0);
        } else {
            set_starts_singly(&look, list, partitions, committed);
        }
        ranges_release(&r);
    }
    rd_kafka_topic_partition_list_destroy(committed);
}

/* Those that need a start, beginning with another one each time: one whose leader is gone
 * must not use up the time of all others. */
static size_t find_lost(struct kafka_consumer *c, struct kafka_partition **lost,
                        rd_kafka_topic_partition_list_t *list)
{
    size_t n = 0;
    c->fix_first++;
    for (size_t i = 0; i < c->partition_count; i++) {
        struct kafka_partition *p =
            c->partitions[(i + c->fix_first) % c->partition_count];
        if (atomic_load(&p->needs_start)) {
            rd_kafka_topic_partition_list_add(list, p->topic, p->id);
            lost[n++] = p;
        }
    }
    return n;
}

void kafka_start_fix(struct kafka_consumer *c)
{
    bool any = false;
    for (size_t i = 0; i < c->partition_count; i++) {
        any = any || atomic_load(&c->partitions[i]->needs_start);
    }
    if (!any || c->released || now_ms() - c->fixed_ms < KAFKA_FIX_EVERY_MS ||
        rd_kafka_assignment_lost(c->rk)) {
        return;
    }
    struct kafka_partition **lost =
        mem_array(c->partition_count, sizeof(struct kafka_partition *));
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    size_t n = find_lost(c, lost, list);
    kafka_start_find(c, list, lost);
    bool fixed = false;
    for (size_t i = 0; i < n; i++) {
        fixed = fixed || !atomic_load(&lost[i]->needs_start);
    }
    rd_kafka_topic_partition_list_destroy(list);
    free(lost);
    if (fixed) {
        rd_kafka_topic_partition_list_t *all =
            rd_kafka_topic_partition_list_new((int)c->partition_count);
        for (size_t i = 0; i < c->partition_count; i++) {
            struct kafka_partition *p = c->partitions[i];
            int64_t next = atomic_load(&p->next);
            rd_kafka_topic_partition_list_add(all, p->topic, p->id)->offset =
                next >= 0 && !atomic_load(&p->needs_start) ? next
                                                           : RD_KAFKA_OFFSET_INVALID;
        }
        rd_kafka_assign(c->rk, all);
        rd_kafka_topic_partition_list_destroy(all);
    }
    c->fixed_ms = now_ms();
}
