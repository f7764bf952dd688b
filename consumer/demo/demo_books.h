/* The demo's books: what each worker says in its log and in its metrics, what Kafka holds
 * and what the target took, and whether the four agree. Pure: no I/O, no clock, one
 * thread. */
#ifndef CONSUMER_DEMO_BOOKS_H
#define CONSUMER_DEMO_BOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "wire/json.h"

enum {
    BOOKS_WORKERS_MAX = 16,
    BOOKS_TOPICS_MAX = 8,
    BOOKS_PARTITIONS_MAX = 16,
    BOOKS_SPANS_MAX = 32, /* pieces of a partition that are settled out of order */
    BOOKS_TOPIC_NAME_MAX = 250,
};

enum books_verdict {
    BOOKS_TRIGGERED,
    BOOKS_DUPLICATE,
    BOOKS_SKIPPED,
    BOOKS_DEFERRED,
    BOOKS_DEAD,
    BOOKS_RETURNED,
    BOOKS_VERDICTS,
};

/* --- a batch, as a worker logs it --- */

struct books_batch {
    const char *topic; /* borrowed from the document */
    int64_t partition;
    int64_t offset; /* of its first event */
    int64_t events;
    int64_t settled; /* the first so many of them */
    int64_t verdicts[BOOKS_VERDICTS];
    int64_t took_ms;
};

/* Returns false when the line is no batch. */
bool books_read_batch(struct json_object *line, struct books_batch *batch);

/* --- offsets that are settled --- */

struct books_cover {
    struct {
        int64_t from;
        int64_t to;           /* one past */
    } spans[BOOKS_SPANS_MAX]; /* ascending, with gaps between them */
    size_t count;
    bool overflown; /* there were more gaps: too little is counted as settled */
};

void books_cover_add(struct books_cover *cover, int64_t from, int64_t to);
/* How many offsets of [0, end) are not settled. */
int64_t books_cover_missing(const struct books_cover *cover, int64_t end);

/* --- all together --- */

struct books_partition {
    struct books_cover cover;
    int64_t end; /* Kafka's: how many records it was given */
    /* of the workers whose metrics were read */
    int64_t read;
    int64_t settled;
    int64_t returned;
};

struct books_topic {
    char name[BOOKS_TOPIC_NAME_MAX];
    bool source;
    int partitions;
    struct books_partition partition[BOOKS_PARTITIONS_MAX];
};

struct books_worker {
    char name[24];
    bool died; /* not asked to: its metrics are gone */
    bool scraped;
    /* as logged */
    int64_t logged_events;
    int64_t logged_settled;
    int64_t logged[BOOKS_VERDICTS];
    /* as counted */
    int64_t read;
    int64_t settled;
    int64_t returned;
    int64_t in_flight_events;
    int64_t in_flight_units;
    int64_t counted[BOOKS_VERDICTS];
    int64_t unanswered; /* calls that ended without an answer */
};

/* What others say: the publisher, the target, and Kafka of the dead letters. */
struct books_outside {
    int64_t acknowledged;  /* events, to the publisher */
    int64_t accepted;      /* calls, by the target's log */
    int64_t accepted_keys; /* units among them */
    int64_t accepted_stat; /* calls, by the target's /stats */
    int64_t keys_accepted_twice;
    int64_t dead; /* records of the dead-letter topic */
};

struct books {
    struct books_topic topics[BOOKS_TOPICS_MAX]; /* that the workers read */
    size_t topic_count;
    struct books_worker workers[BOOKS_WORKERS_MAX];
    size_t worker_count;
    struct books_outside outside;
};

struct books_topic *books_topic(struct books *books, const char *name); /* or NULL */

/* Enter a batch. Returns false for a topic or partition that is not in the books. */
bool books_enter_batch(struct books *books, struct books_worker *worker,
                       const struct books_batch *batch);

/* Enter a worker's whole exposition (GET /metrics), once. */
void books_enter_metrics(struct books *books, struct books_worker *worker,
                         const char *text);

/* Records that no worker has settled, of the source topic or of the others. */
int64_t books_unsettled(const struct books *books, bool source);

struct books_balance {
    int64_t published;
    int64_t triggered;
    int64_t duplicate;
    int64_t skipped;
    int64_t dead;
    int64_t waiting; /* published and not settled, or in a retry topic: not lost */
    int64_t lost;
    struct str faults; /* a line each; "" when the books balance */
    struct str notes;  /* what is unusual and explained, a line each */
};

/* One target takes every event, so that a record is a unit.
 * balance: books_balance_release. */
void books_balance(const struct books *books, struct books_balance *balance);
void books_balance_release(struct books_balance *balance);

/* --- small tools --- */

/* One sample of a text exposition. All borrowed from the text. */
struct books_sample {
    const char *name;
    size_t name_len;
    const char *labels; /* what is inside the braces */
    size_t labels_len;
    double value;
};

/* The next sample at *text, which moves on. Returns false at the end. */
bool books_next_sample(const char **text, struct books_sample *sample);
bool books_sample_is(const struct books_sample *sample, const char *name);
/* Returns false when there is no such label; value: cut to len. */
bool books_sample_label(const struct books_sample *sample, const char *label, char *value,
                        size_t len);

/* The smallest value that at least `share` of all are not above (nearest rank). Sorts.
 * 0 of none. */
int64_t books_quantile(int64_t *values, size_t n, double share);

/* "1,240". */
void books_add_number(struct str *out, int64_t number);

#endif
