/* The commands of sluice-producer: each takes its words, does its work and returns an
 * exit code. */
#ifndef PRODUCER_COMMANDS_H
#define PRODUCER_COMMANDS_H

#include "base/command.h"

int publish_run(const struct command_line *line);
int simulate_run(const struct command_line *line);
int topics_ensure_run(const struct command_line *line);
int topics_list_run(const struct command_line *line);
int validate_run(const struct command_line *line);
int mock_cd_run(const struct command_line *line);

extern const struct flag publish_flags[];
extern const struct flag simulate_flags[];
extern const struct flag topics_ensure_flags[];
extern const struct flag topics_list_flags[];
extern const struct flag validate_flags[];
extern const struct flag mock_cd_flags[];

#endif
