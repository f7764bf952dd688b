/* What top does for its capital keys: the same commands one would type, with the flags
 * top was started with. */
#ifndef CONSUMER_TOP_ACT_H
#define CONSUMER_TOP_ACT_H

#include "commands.h"

enum { ACT_TEXT_MAX = 128 };

struct act {
    const struct command *command; /* NULL: none is being asked for */
    char word[ACT_TEXT_MAX];       /* which target or consumer */
    char reason[ACT_TEXT_MAX];
    char span[ACT_TEXT_MAX]; /* --for; "": without */
};

/* The command of a key, or NULL: P pause, R resume, D drain. */
const struct command *act_for(const struct program *program, int key);

bool act_takes(const struct act *act, const char *flag);

/* Run it, on a terminal that has been given back; it says itself what came of it. */
void act_run(const struct act *act, const struct command_line *line);

#endif
