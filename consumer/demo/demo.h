/* The demo's insides, shared by the demo_*.c files: its processes, what they said so far,
 * and the books. One thread owns all of it. */
#ifndef CONSUMER_DEMO_H
#define CONSUMER_DEMO_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "../commands.h"
#include "demo_books.h"
#include "demo_children.h"

enum {
    DEMO_SOURCE_PARTITIONS = 6,
    DEMO_SIDE_PARTITIONS = 3,
    DEMO_CONSUMERS_MAX = 8,
};

#define DEMO_TOPIC  "ci.succeeded"
#define DEMO_GROUP  "demo"
#define DEMO_TARGET "cd"

/* The retry topics' waits: short, so that a failure is mended while one watches. */
extern const char *const demo_tiers[];
enum { DEMO_TIERS = 3 };

struct demo_flags {
    const char *rate; /* "20/s" */
    double rate_per_s;
    int apps;
    int consumers;
    const char *fail;    /* "2%" */
    const char *latency; /* "120ms" */
    const char *span;    /* of --for; NULL: until Ctrl-C */
    const char *seed;    /* NULL: any */
};

struct demo_consumer {
    struct child *child;
    int port; /* of its admin server; 0: not said yet */
    bool assigned;
    int partitions; /* it has now */
};

/* What is printed at most in a second, and what was not. */
struct demo_show {
    struct paint paint;
    bool quiet; /* no lines of batches and failures */
    int64_t second;
    int batch_lines;
    int other_lines;
    int64_t more_batches;
    int64_t more_events;
    int64_t more_triggered;
    int64_t more_others;
};

struct demo {
    struct demo_flags flags;
    const char *program; /* our name in messages */
    int64_t started_ms;
    /* programs and places */
    char self[PATH_MAX];
    char producer[PATH_MAX];
    char redis[PATH_MAX];
    char folder[PATH_MAX];
    char config_path[PATH_MAX + 32];
    char calls_path[PATH_MAX + 32];
    char socket_path[PATH_MAX + 32];
    /* processes */
    struct children children;
    struct child *broker;
    struct child *redis_server;
    struct child *target;
    struct child *console;
    struct child *load; /* simulate */
    struct demo_consumer consumers[DEMO_CONSUMERS_MAX];
    char bootstrap[256]; /* "": not said yet */
    int target_port;     /* 0: not said yet */
    int console_port;    /* likewise */
    /* what happened */
    int signals; /* that told us to stop */
    int signal_number;
    const struct child *culprit; /* a part that ended and without which nothing goes on;
                                    NULL: none */
    int64_t first_trigger_ms;    /* monotonic; 0: none yet */
    int owner[BOOKS_TOPICS_MAX]
             [BOOKS_PARTITIONS_MAX]; /* consumer that closed the last batch; -1: none */
    struct books books;
    struct demo_show show;
};

/* --- demo_parts.c: starting and finding --- */

/* Find the programs and make the temporary folder. Returns 0 or an exit code after saying
 * why. */
int demo_find_programs(struct demo *d);
int demo_make_folder(struct demo *d);
void demo_remove_folder(struct demo *d);

/* Start one part each. Return 0 or an exit code after saying why. */
int demo_start_broker(struct demo *d);
int demo_start_redis(struct demo *d);
int demo_start_target(struct demo *d);
int demo_start_consumers(struct demo *d); /* all at once, with the configuration */
int demo_start_console(struct demo *d);   /* after them: it reads their configuration */
int demo_start_load(struct demo *d);

/* Does Redis take connections? */
bool demo_redis_answers(const struct demo *d);

/* --- demo_hear.c: what children say and how they end --- */

/* Let the children's callbacks lead here. */
void demo_listen(struct demo *d);

/* How many of the consumers live, and how many partitions they have together. */
int demo_count_consumers(const struct demo *d);
int demo_count_partitions(const struct demo *d);

/* --- demo_judge.c --- */

/* Ask Kafka how many records each partition was given, into the books. Returns 0 or with
 * a sentence. */
int demo_count_records(struct demo *d, int64_t until_ms, struct err *err);

/* Read every living consumer's metrics into the books; what cannot be read is a fault of
 * the balance. */
void demo_read_metrics(struct demo *d);

/* Hear the target, balance the books, and print the outcome. ended: consumers ended as
 * they should. Returns the demo's exit code. */
int demo_judge(struct demo *d);

/* --- demo_show.c --- */

void demo_show_places(struct demo *d);
void demo_show_batch(struct demo *d, const struct child *child,
                     const struct books_batch *batch);
void demo_show_failure(struct demo *d, const struct child *child,
                       struct json_object *line);

/* "14:02:11 ...": a line that is always printed. */
void demo_say(struct demo *d, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same for lines that may come in crowds. */
void demo_mention(struct demo *d, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A line of a child's as a person would say it: a JSON log line by its words alone. */
void demo_add_words(struct str *out, const char *line);

/* On stderr: which part it is about, what is wrong, and its last lines. */
void demo_complain(const struct demo *d, const struct child *child, const char *what);

#endif
