/* Typed flags: what base/command reads as text, read by a row of base/option. */
#ifndef PRODUCER_FLAGS_H
#define PRODUCER_FLAGS_H

#include "base/command.h"
#include "base/option.h"

/* Read the flag that is named like the row's key; when it is not given, the row's
 * default. value  out; zeroes when there is neither. Returns 0, or EXIT_USAGE after
 * saying on stderr what is expected. */
int flags_read(const struct command_line *line, const struct option *row,
               struct option_value *value) __attribute__((warn_unused_result));

/* Split "NAME=VALUE" of the i-th use of a repeated flag.
 * name, value  out: return owned, untouched when there is no i-th use.
 * Returns 0, 1 when there is no i-th use, or EXIT_USAGE after saying so. */
int flags_pair(const struct command_line *line, const char *flag, size_t i, char **name,
               char **value) __attribute__((warn_unused_result));

#endif
