/* A dead letter: a record of the dead-letter topic, read back. Whoever put it there: what
 * cannot be read is shown as such. Plain data, one thread. */
#ifndef OPS_LETTER_H
#define OPS_LETTER_H

#include "event/event.h"
#include "wire/kafka.h"

struct letter {
    struct kafka_record *record; /* owned; what is borrowed below points into it */
    int partition;      /* of the dead-letter topic; record->offset goes with it */
    int64_t at_ms;      /* when it was put there */
    bool foreign;       /* it has none of the headers that parking writes */
    const char *target; /* borrowed; "": it had none */
    const char *id;     /* of the event; "": not known */
    const char *reason; /* "" in a foreign one */
    const char *detail;
    const char *cut; /* what was cut of it, for its topic takes no more; NULL: nothing */
    const char *origin_topic; /* "" when not known */
    int origin_partition;
    int64_t origin_offset;
    int64_t round;
    int64_t attempts;
    int64_t first_seen_ms; /* 0: not known */
    const char *redrive; /* the task that sent it again, before it died again; or NULL */
    const char *redrive_of;
    int64_t redrives; /* how often so far */
    struct event event;
    enum event_outcome outcome;
    struct event_reason why;
};

/* A record as an event, as the worker decodes it. topic, partition, offset: where it was
 * first read. ev: out, event_release in every case. */
enum event_outcome letter_decode(const struct kafka_record *record, const char *topic,
                                 int partition, int64_t offset, struct event *ev,
                                 struct event_reason *why);

/* record  taken. */
void letter_read(struct letter *letter, int partition, const char *topic,
                 struct kafka_record *record);
void letter_release(struct letter *letter);

/* A header that is a text, or NULL. */
const char *letter_header(const struct kafka_record *record, const char *name);

/* Which letters; what is NULL or 0 does not matter. */
struct letter_filter {
    const char *target; /* globs */
    const char *reason;
    const char *event;   /* an event's id */
    const char *redrive; /* died again after this task */
    int64_t since_ms;    /* put there then or later */
    int64_t until_ms;    /* before then */
    bool handled;        /* also those that were redriven or dropped */
    /* Of those that are so far meant: is this one, too? NULL: yes. */
    bool (*also)(void *arg, const struct letter *letter);
    void *arg;
};
bool letter_matches(const struct letter *letter, const struct letter_filter *filter);

/* Why it cannot be sent again, as half a sentence; NULL: it can. target: is there one of
 * that name? */
const char *letter_unfit(const struct letter *letter, bool target_is_there);

/* Where it lies, whose it is and why it died, in a few members. Returns owned. */
struct json_object *letter_summary(const struct letter *letter);

/* The same and its story, its headers, its body (parsed when it is JSON), without
 * credentials. Returns owned. */
struct json_object *letter_json(const struct letter *letter);

/* As `sluice-producer publish` and `explain` read it: {"key","headers","value"}; headers
 * without ours. Returns owned. */
struct json_object *letter_envelope(const struct letter *letter);

#endif
