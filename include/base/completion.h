/* Completion scripts for shells, made from a program's table of commands. */
#ifndef BASE_COMPLETION_H
#define BASE_COMPLETION_H

#include "base/command.h"

/* shell  "bash", "zsh" or "fish".
 * Returns 0, or -EINVAL for another one and nothing printed. */
int completion_print(const struct program *program, const char *shell, FILE *out);

/* The command `completion SHELL` of any program. */
int completion_run(const struct command_line *line);

#endif
