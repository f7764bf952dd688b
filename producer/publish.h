/* What `publish` was asked to do, shared by its two ways: one event from flags, or lines.
 */
#ifndef PRODUCER_PUBLISH_H
#define PRODUCER_PUBLISH_H

#include "cluster.h"
#include "format.h"

struct publish {
    const struct command_line *line;
    struct cluster cluster;
    enum format format;
    bool convert;       /* --format was given: lines take it too */
    const char *key;    /* NULL: from the event */
    bool print;         /* show the record, send nothing */
    bool json;          /* results as JSON */
    bool quiet;         /* no line per event */
    bool check;         /* refuse what a consumer could not use */
    bool keep_going;    /* past events that are refused */
    const char *parent; /* traceparent to go on from; may be NULL */
};

/* --- publish_record.c --- */

/* Add the headers of -H. Returns 0 or an exit code after saying why. */
int publish_headers(const struct publish *publish, struct record *record);

/* Set the record's key from the flag, else from these facts. */
void publish_key(const struct publish *publish, const struct facts *facts,
                 struct record *record);

/* "acme/api 3f9c2e1 id=..." of an event; with --json the members that say so. */
void publish_describe(const struct publish *publish, char *const *field, struct str *out);

void publish_print(const struct publish *publish, const struct record *record);

/* "✓ ci.succeeded[4]@18231 acme/api ..." or its JSON. what: of publish_describe. */
void publish_say_sent(const struct publish *publish, int partition, int64_t offset,
                      const char *what);

/* --- publish_lines.c --- */

/* JSON lines from a file or "-". Returns the exit code. */
int publish_lines(struct publish *publish, const char *path);

#endif
