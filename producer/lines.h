/* A file read line by line, knowing whether the next line would have to be waited for.
 * One thread. */
#ifndef PRODUCER_LINES_H
#define PRODUCER_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

enum { LINE_BYTES_MAX = 8 * 1024 * 1024 };

struct lines {
    const char *name; /* "events.jsonl", "stdin"; borrowed */
    int fd;
    long number;   /* of the line given last, from 1 */
    bool too_long; /* the line given last was longer than LINE_BYTES_MAX: it is cut */
    struct str in;
    size_t at; /* what is before was given */
    bool ended;
};

/* path: "-" is standard input. Returns 0 or -ENOENT with a sentence. */
int lines_open(struct lines *lines, const char *path, struct err *err);
void lines_close(struct lines *lines);

/* The next line without its end.
 * text  out: borrowed until the next call.
 * Returns 1, 0 at the end, or -EIO with a sentence. */
int lines_next(struct lines *lines, const char **text, size_t *len, struct err *err);

/* Everything that is still to come, as it is. Returns 0, or -EIO with a sentence, also
 * for more than max bytes. */
int lines_read_all(struct lines *lines, size_t max, struct str *out, struct err *err);

/* Would lines_next have to wait for more? */
bool lines_would_wait(struct lines *lines);

#endif
