/* Ctrl-C in a command that acts: the first one ends its context, so that it stops between
 * two steps and says how to go on; a second one ends the process at once. */
#ifndef CONSUMER_INTERRUPT_H
#define CONSUMER_INTERRUPT_H

#include "sync/ctx.h"

struct interrupt;

/* Before any other thread is started: the signals must be theirs blocked, too. */
struct interrupt *interrupt_start(void);
struct ctx *interrupt_ctx(struct interrupt *interrupt);
void interrupt_stop(struct interrupt *interrupt);

#endif
