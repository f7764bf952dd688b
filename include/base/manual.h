/* A manual page, man(7), made from a program's table of commands. */
#ifndef BASE_MANUAL_H
#define BASE_MANUAL_H

#include "base/command.h"

/* see_also  "sluice.yaml(5)"; one line. */
void manual_print(const struct program *program, const char *version,
                  const char *see_also, FILE *out);

/* Text for roff: backslashes and a leading dot or quote are escaped. */
void manual_text(const char *text, FILE *out);

#endif
