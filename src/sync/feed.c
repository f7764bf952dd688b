/* Design.
 *
 * The ring holds the frames [tail, head) by their sequence number. A subscriber has the
 * number of the next frame to look at, the frame it is in the middle of, and a count of
 * frames and bytes that are meant for it and wait for it. publish keeps that count, and
 * moves the cursor of a subscriber that waits for nothing past a frame that is not meant
 * for it: so who listens to a quiet namespace is never behind.
 *
 * A frame is freed by the last of its owners: the ring, `snapshot`, and every subscriber
 * that is in the middle of it. Bytes are copied out with no lock held: the frame is owned
 * and never changes.
 *
 * `mu` guards everything but the `reading` part of a subscriber, which belongs to the
 * thread that reads it. It is innermost, and held for a walk over the subscribers at
 * most. */
#include "sync/feed.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

enum { FIRST_FRAMES = 2 };

struct frame {
    int owners; /* guarded by mu */
    /* read-only after publishing */
    char *space; /* NULL: for everybody */
    size_t len;
    char text[];
};

struct feed_subscriber {
    struct feed *feed;
    char space[FEED_SPACE_MAX]; /* "": all; else without a slash at its end */

    /* guarded by mu */
    LIST_ENTRY(feed_subscriber) link;
    uint64_t next; /* the sequence number to look at next */
    size_t behind; /* frames in [next, head) that are meant for it */
    size_t backlog;
    bool caught_up; /* was at the head once: from then on the bounds hold */
    bool evicted;
    struct frame
        *first[FIRST_FRAMES]; /* a gap, a snapshot: read before the ring; owned */

    /* reading: of the reading thread */
    struct frame *current; /* owned, NULL: none */
    size_t offset;
};

struct feed {
    /* read-only after new */
    struct feed_options options;
    char boot[FEED_BOOT_MAX];

    pthread_mutex_t mu;
    /* guarded by mu */
    struct frame **ring;
    uint64_t tail;
    uint64_t head;
    size_t bytes;
    struct frame *snapshot; /* owned; NULL: none */
    bool closed;
    LIST_HEAD(, feed_subscriber) subscribers;
    struct feed_counts counts;
};

/* --- frames --- */

static void add_data(struct str *text, const char *data, size_t len)
{
    const char *end = data + len;
    for (;;) {
        size_t line = 0;
        while (data + line < end && data[line] != '\n' && data[line] != '\r') {
            line++;
        }
        str_add(text, "data: ");
        str_put(text, data, line);
        str_addc(text, '\n');
        if (data + line == end) {
            break;
        }
        bool both = data + line + 1 < end && data[line] == '\r' && data[line + 1] == '\n';
        data += line + (both ? 2 : 1);
    }
}

/* id: NULL for a frame that cannot be asked for again. */
static struct frame *frame_new(const struct feed_frame *from, const char *id)
{
    struct str text;
    str_init(&text);
    if (from->event) {
        ASSERT(!strpbrk(from->event, "\r\n"));
        if (id) {
            str_addf(&text, "id: %s\n", id);
        }
        str_addf(&text, "event: %s\n", from->event);
        add_data(&text, from->data, from->len);
    } else {
        str_add(&text, ": ");
        str_put(&text, from->data, from->len);
        str_addc(&text, '\n');
    }
    str_addc(&text, '\n');
    struct frame *frame = mem_alloc(sizeof *frame + text.len);
    frame->owners = 0;
    frame->space = mem_strdup(from->space);
    frame->len = text.len;
    memcpy(frame->text, text.data, text.len);
    str_release(&text);
    return frame;
}

static struct frame *own_locked(struct frame *frame)
{
    if (frame) {
        frame->owners++;
    }
    return frame;
}

static void disown_locked(struct frame *frame)
{
    if (frame && --frame->owners == 0) {
        free(frame->space);
        free(frame);
    }
}

static struct frame **slot_locked(struct feed *feed, uint64_t seq)
{
    return &feed->ring[seq % feed->options.frames_max];
}

/* A namespace holds itself and what is below it: /app1 does not hold /app10. */
static bool is_meant_for(const struct frame *frame, const char *space)
{
    size_t len = strlen(space);
    if (!frame->space || len == 0) {
        return true;
    }
    return strncmp(frame->space, space, len) == 0 &&
           (frame->space[len] == '\0' || frame->space[len] == '/');
}

/* --- the ring --- */

static void evict_locked(struct feed_subscriber *s)
{
    struct feed *feed = s->feed;
    s->evicted = true;
    feed->counts.evicted++;
    feed->counts.dropped += s->behind;
    s->behind = 0;
    s->backlog = 0;
}

/* The oldest frame leaves. Who still needed it is too late. */
static void drop_oldest_locked(struct feed *feed)
{
    struct frame **slot = slot_locked(feed, feed->tail);
    struct feed_subscriber *s;
    LIST_FOREACH(s, &feed->subscribers, link)
    {
        if (s->next != feed->tail || s->evicted) {
            continue;
        }
        if (is_meant_for(*slot, s->space)) {
            evict_locked(s);
        } else {
            s->next++;
        }
    }
    feed->bytes -= (*slot)->len;
    disown_locked(*slot);
    *slot = NULL;
    feed->tail++;
}

/* Account a new frame, which is at head, to a subscriber. */
static void offer_locked(struct feed_subscriber *s, const struct frame *frame)
{
    const struct feed_options *options = &s->feed->options;
    if (s->evicted) {
        return;
    }
    if (is_meant_for(frame, s->space)) {
        s->behind++;
        s->backlog += frame->len;
    } else if (s->behind == 0) {
        s->next = s->feed->head + 1;
    }
    if (s->caught_up && (s->behind > options->behind_max ||
                         /* one frame alone may be larger than the bound */
                         (s->backlog > options->backlog_max && s->behind > 1))) {
        evict_locked(s);
    }
}

static void append_locked(struct feed *feed, struct frame *frame)
{
    const struct feed_options *options = &feed->options;
    struct feed_subscriber *s;
    LIST_FOREACH(s, &feed->subscribers, link)
    {
        offer_locked(s, frame);
    }
    while (feed->tail < feed->head && (feed->head - feed->tail >= options->frames_max ||
                                       feed->bytes + frame->len > options->bytes_max)) {
        drop_oldest_locked(feed);
    }
    *slot_locked(feed, feed->head) = own_locked(frame);
    feed->bytes += frame->len;
    feed->head++;
    feed->counts.published++;
}

static void set_snapshot_locked(struct feed *feed, struct frame *frame)
{
    disown_locked(feed->snapshot);
    feed->snapshot = own_locked(frame);
}

/* The id is part of the text, and the text is part of the order: publishers take turns
 * here. */
static void publish_locked(struct feed *feed, const struct feed_frame *from)
{
    char id[FEED_ID_MAX];
    snprintf(id, sizeof id, "%s-%" PRIu64, feed->boot, feed->head);
    struct frame *frame = frame_new(from, id);
    append_locked(feed, frame);
    if (from->snapshot) {
        set_snapshot_locked(feed, frame);
    }
}

void feed_publish(struct feed *feed, const struct feed_frame *frame)
{
    MUST(pthread_mutex_lock(&feed->mu));
    if (!feed->closed) {
        publish_locked(feed, frame);
    }
    MUST(pthread_mutex_unlock(&feed->mu));
}

void feed_break(struct feed *feed)
{
    MUST(pthread_mutex_lock(&feed->mu));
    set_snapshot_locked(feed, NULL);
    while (feed->tail < feed->head) {
        drop_oldest_locked(feed);
    }
    /* One number is burnt: the last frame's id is no place to go on from. */
    feed->head++;
    feed->tail++;
    struct feed_subscriber *s;
    LIST_FOREACH(s, &feed->subscribers, link)
    {
        s->next = feed->head;
    }
    MUST(pthread_mutex_unlock(&feed->mu));
}

void feed_close(struct feed *feed, const struct feed_frame *last)
{
    MUST(pthread_mutex_lock(&feed->mu));
    if (!feed->closed && last) {
        publish_locked(feed, last);
    }
    feed->closed = true;
    MUST(pthread_mutex_unlock(&feed->mu));
}

/* --- lives --- */

struct feed *feed_new(const struct feed_options *options)
{
    ASSERT(options->frames_max > 0 && options->bytes_max > 0 && options->behind_max > 0 &&
           options->backlog_max > 0 && options->subscribers_max > 0);
    ASSERT(strlen(options->boot) < FEED_BOOT_MAX);
    struct feed *feed = mem_zalloc(sizeof *feed);
    feed->options = *options;
    feed->options.boot = NULL;
    snprintf(feed->boot, sizeof feed->boot, "%s", options->boot);
    feed->ring = mem_array(options->frames_max, sizeof(struct frame *));
    MUST(pthread_mutex_init(&feed->mu, NULL));
    feed->head = feed->tail = 1;
    return feed;
}

void feed_free(struct feed *feed)
{
    ASSERT(LIST_EMPTY(&feed->subscribers));
    disown_locked(feed->snapshot);
    while (feed->tail < feed->head) {
        drop_oldest_locked(feed);
    }
    MUST(pthread_mutex_destroy(&feed->mu));
    free(feed->ring);
    free(feed);
}

/* --- subscribers --- */

bool feed_space_is_valid(const char *space)
{
    size_t len = strlen(space);
    if (len >= FEED_SPACE_MAX || (len > 0 && space[0] != '/')) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)space[i] < ' ' || space[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

/* "<boot>-<seq>" of this feed, whose next frame is still there (or still to come). */
static bool can_go_on_locked(const struct feed *feed, const char *id, uint64_t *next)
{
    size_t boot = strlen(feed->boot);
    int64_t seq;
    if (strncmp(id, feed->boot, boot) != 0 || id[boot] != '-' ||
        text_parse_int(id + boot + 1, 1, INT64_MAX - 1, &seq) != 0) {
        return false;
    }
    *next = (uint64_t)seq + 1;
    return *next >= feed->tail && *next <= feed->head;
}

static struct frame *gap_frame(void)
{
    static const char data[] =
        "{\"why\":\"what came after your last id is not kept any more\"}";
    const struct feed_frame gap = {.event = "gap", .data = data, .len = sizeof data - 1};
    return frame_new(&gap, NULL);
}

static void count_backlog_locked(struct feed_subscriber *s)
{
    for (uint64_t seq = s->next; seq < s->feed->head; seq++) {
        const struct frame *frame = *slot_locked(s->feed, seq);
        if (is_meant_for(frame, s->space)) {
            s->behind++;
            s->backlog += frame->len;
        }
    }
}

static void begin_locked(struct feed_subscriber *s, const char *last_id)
{
    struct feed *feed = s->feed;
    if (last_id && can_go_on_locked(feed, last_id, &s->next)) {
        count_backlog_locked(s);
        return;
    }
    s->next = feed->head;
    s->first[0] = last_id ? own_locked(gap_frame()) : NULL;
    s->first[1] = own_locked(feed->snapshot);
}

struct feed_subscriber *feed_subscribe(struct feed *feed, const char *space,
                                       const char *last_id)
{
    struct feed_subscriber *s = mem_zalloc(sizeof *s);
    s->feed = feed;
    size_t len = space ? strlen(space) : 0;
    ASSERT(len < sizeof s->space);
    while (len > 0 && space[len - 1] == '/') {
        len--;
    }
    if (len > 0) {
        memcpy(s->space, space, len);
    }
    MUST(pthread_mutex_lock(&feed->mu));
    bool welcome =
        !feed->closed && feed->counts.subscribers < feed->options.subscribers_max;
    if (welcome) {
        begin_locked(s, last_id);
        LIST_INSERT_HEAD(&feed->subscribers, s, link);
        feed->counts.subscribers++;
    }
    MUST(pthread_mutex_unlock(&feed->mu));
    if (!welcome) {
        free(s);
        return NULL;
    }
    return s;
}

void feed_unsubscribe(struct feed_subscriber *s)
{
    struct feed *feed = s->feed;
    MUST(pthread_mutex_lock(&feed->mu));
    LIST_REMOVE(s, link);
    feed->counts.subscribers--;
    disown_locked(s->first[0]);
    disown_locked(s->first[1]);
    disown_locked(s->current);
    MUST(pthread_mutex_unlock(&feed->mu));
    free(s);
}

/* The next frame that is meant for it, owned, or NULL. */
static struct frame *take_locked(struct feed_subscriber *s)
{
    for (size_t i = 0; i < FIRST_FRAMES; i++) {
        struct frame *frame = s->first[i];
        if (frame) {
            s->first[i] = NULL;
            return frame;
        }
    }
    while (s->next < s->feed->head) {
        struct frame *frame = *slot_locked(s->feed, s->next++);
        if (is_meant_for(frame, s->space)) {
            s->behind--;
            s->backlog -= frame->len;
            return own_locked(frame);
        }
    }
    s->caught_up = true;
    return NULL;
}

/* Let go of the frame that was read, take the next. Returns 1 when there is one, else as
 * feed_read. */
static int turn(struct feed_subscriber *s)
{
    struct feed *feed = s->feed;
    MUST(pthread_mutex_lock(&feed->mu));
    disown_locked(s->current);
    s->current = s->evicted ? NULL : take_locked(s);
    s->offset = 0;
    int rc = s->current ? 1 : s->evicted || feed->closed ? -EPIPE : 0;
    MUST(pthread_mutex_unlock(&feed->mu));
    return rc;
}

ssize_t feed_read(struct feed_subscriber *s, char *out, size_t max)
{
    size_t n = 0;
    while (n < max) {
        if (!s->current || s->offset == s->current->len) {
            int rc = turn(s);
            if (rc <= 0) {
                return n > 0 ? (ssize_t)n : rc;
            }
        }
        size_t left = s->current->len - s->offset;
        size_t part = left < max - n ? left : max - n;
        memcpy(out + n, s->current->text + s->offset, part);
        s->offset += part;
        n += part;
    }
    return (ssize_t)n;
}

bool feed_is_evicted(struct feed_subscriber *s)
{
    MUST(pthread_mutex_lock(&s->feed->mu));
    bool evicted = s->evicted;
    MUST(pthread_mutex_unlock(&s->feed->mu));
    return evicted;
}

void feed_counts(struct feed *feed, struct feed_counts *counts)
{
    MUST(pthread_mutex_lock(&feed->mu));
    *counts = feed->counts;
    counts->frames = (size_t)(feed->head - feed->tail);
    counts->bytes = feed->bytes;
    MUST(pthread_mutex_unlock(&feed->mu));
}
