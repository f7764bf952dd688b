/* Another configuration for a worker that runs, all of it or nothing. */
#ifndef CONSUMER_RELOAD_H
#define CONSUMER_RELOAD_H

#include "base/command.h"
#include "base/metrics.h"
#include "fleet/worker.h"

struct reload {
    const struct command_line *line; /* flags and files as at the start */
    struct config *config;           /* the present one; held */
    struct metric *successful;
    struct metric *at;
    enum log_level level; /* what the configuration asked for last */
};

/* config: held, as is each one that takes its place. */
void reload_init(struct reload *reload, const struct command_line *line,
                 struct config *config, struct metrics *metrics);
void reload_release(struct reload *reload);

/* Read everything again, as at the start: file, environment, flags, secrets. On any fault
 * the worker keeps what it has. Logs it.
 *
 * outcome  appended: one sentence for whoever asked.
 * Returns whether the worker works under what was read now. */
bool reload_now(struct reload *reload, struct worker *worker, struct str *outcome);

#endif
