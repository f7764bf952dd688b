/* The live feed: frames of text/event-stream from few publishers to many subscribers.
 *
 * A frame is rendered once and shared by all that read it. The newest frames are kept in
 * a ring, so that a subscriber that comes back with the last id it saw is served what it
 * missed, or is told honestly that there is a gap. A subscriber is a cursor: what it has
 * not read yet costs nothing of its own, and when that grows past its bounds it is
 * evicted; it can slow neither a publisher nor another subscriber. The feed has no thread
 * and calls nobody: whoever publishes wakes those that read. Any thread, except that one
 * subscriber is read by one thread at a time. */
#ifndef SYNC_FEED_H
#define SYNC_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct feed;
struct feed_subscriber;

enum {
    FEED_BOOT_MAX = 16,  /* bytes of a boot id and its NUL */
    FEED_ID_MAX = 40,    /* "<boot>-<seq>" and its NUL */
    FEED_SPACE_MAX = 256 /* bytes of a namespace and its NUL */
};

/* All must be above 0. */
struct feed_options {
    const char *boot;   /* of this process, in every id; borrowed for the call only */
    size_t frames_max;  /* the ring keeps so many frames */
    size_t bytes_max;   /* and so many bytes, but always the newest frame */
    size_t behind_max;  /* how many frames, and */
    size_t backlog_max; /* how many bytes a subscriber may be behind once it caught up */
    size_t subscribers_max;
};

struct feed *feed_new(const struct feed_options *options);
void feed_free(struct feed *feed); /* after the last feed_unsubscribe */

/* What a frame is beside its bytes. */
struct feed_frame {
    const char *space; /* "/acme/api": only those who listen there; NULL: everybody */
    const char *event; /* one word; NULL: a comment, which has no id */
    const char *data;  /* each line of it becomes a data line */
    size_t len;
    bool snapshot; /* says all there is: a new subscriber begins with the latest one */
};

/* Render and append. Never waits for a subscriber. No effect after feed_close. */
void feed_publish(struct feed *feed, const struct feed_frame *frame);

/* From here on what came before cannot be replayed: nobody was watching what the feed is
 * about. */
void feed_break(struct feed *feed);

/* Publish a last frame (NULL: none) and take no further subscriber; those that are there
 * read to the end of what there is. */
void feed_close(struct feed *feed, const struct feed_frame *last);

/* Begin to listen.
 *
 * space    "/acme": frames of /acme and of /acme/..., never of /acmes; NULL, "" or "/":
 *          all.
 * last_id  the id of the last frame seen, from the Last-Event-ID header: what came after
 *          it is read first, or a "gap" event where the ring has moved on (or the id is
 *          none of ours), and the latest snapshot. NULL: begin with that.
 * Returns NULL when the feed is closed or has subscribers_max of them. */
struct feed_subscriber *feed_subscribe(struct feed *feed, const char *space,
                                       const char *last_id);
void feed_unsubscribe(struct feed_subscriber *subscriber);

/* Is it a namespace: "" or a path that begins with '/', of bounded length, without
 * control characters? */
bool feed_space_is_valid(const char *space);

/* Copy what comes next, at most max bytes; frames may be cut anywhere.
 * Returns how many bytes; 0: nothing now; -EPIPE: evicted, or closed and read to the end.
 */
ssize_t feed_read(struct feed_subscriber *subscriber, char *out, size_t max);

bool feed_is_evicted(struct feed_subscriber *subscriber);

struct feed_counts {
    uint64_t published; /* frames, since the start */
    uint64_t evicted;   /* subscribers, since the start */
    uint64_t dropped;   /* frames that evicted subscribers did not get */
    size_t subscribers; /* now */
    size_t frames;      /* in the ring now */
    size_t bytes;
};
void feed_counts(struct feed *feed, struct feed_counts *counts);

#endif
