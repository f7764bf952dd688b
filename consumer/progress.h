/* How far a command is, on stderr: a bar on a terminal, else a line every 5 s. */
#ifndef CONSUMER_PROGRESS_H
#define CONSUMER_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/command.h"

struct progress {
    const char *verb; /* "redriven" */
    bool bar;
    int64_t began_ms;
    int64_t first; /* what was done before it began: of a resumed task */
    int64_t told_ms;
};

void progress_init(struct progress *progress, const struct command_line *line,
                   const char *verb);
void progress_tell(struct progress *progress, int64_t done, int64_t total);
void progress_end(struct progress *progress, int64_t done, int64_t total,
                  const char *word);

#endif
