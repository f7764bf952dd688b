/* What the commands of dead letters share: their flags, filters and tables. */
#ifndef CONSUMER_DLQ_H
#define CONSUMER_DLQ_H

#include "commands.h"
#include "ops/deadletters.h"

int dlq_list_run(const struct command_line *line);
int dlq_show_run(const struct command_line *line);
int dlq_redrive_run(const struct command_line *line);
int dlq_drop_run(const struct command_line *line);
int dlq_export_run(const struct command_line *line);
extern const struct flag dlq_list_flags[];
extern const struct flag dlq_redrive_flags[];
extern const struct flag dlq_drop_flags[];
extern const struct flag dlq_export_flags[];
int replay_run(const struct command_line *line);
extern const struct flag replay_flags[];
enum { DLQ_TIMEOUT_MS = 10000, DLQ_MAX = 5000 };

/* The flags that choose letters, for the tables of flags. */
#define DLQ_FILTER_FLAGS \
    {"target", 't', "GLOB", "Only letters for these targets"}, \
        {"reason", 0, "GLOB", \
         "Only letters that died of this: http_401, conflict, ..."}, \
        {"event", 0, "ID", "Only letters of this event"}, \
        {"redrive", 0, "TASK", "Only letters that died again after this redrive"}, \
        {"since", 0, "TIME", "Died then or later: 6h (ago), or 2026-11-24T11:00:00Z"}, \
    { \
        "until", 0, "TIME", "Died before then" \
    }

/* Read them. Returns 0, or EXIT_USAGE after saying why. */
int dlq_read_filter(const struct command_line *line, struct letter_filter *filter);

/* A time that is a duration before now or RFC 3339; 0 when the flag is not given.
 * Returns 0, or EXIT_USAGE after saying why. */
int dlq_read_time(const struct command_line *line, const char *flag, int64_t *wall_ms);

/* A whole number from a flag, `absent` when it is not given. */
int dlq_read_number(const struct command_line *line, const char *flag, int64_t min,
                    int64_t max, int64_t absent, int64_t *number);

/* --rate, `absent` when it is not given. */
int dlq_read_rate(const struct command_line *line, double absent, double *rate);

/* The place, with Redis and Kafka; see command_open. */
int dlq_open(const struct command_line *line, struct config **config,
             struct ops_place *place);

/* May it act? --yes, or a terminal where somebody says y. Returns false after saying what
 * to do instead. */
bool dlq_may_act(const struct command_line *line, const char *question);

/* "1,204" */
void dlq_add_count(struct str *out, int64_t number);

void dlq_print_json(struct json_object *doc, bool pretty);

#endif
