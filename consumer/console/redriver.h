/* The console's redrive: one at a time, on a thread of its own, for it is paced and may
 * take long. What it does is asked for with redriver_show. */
#ifndef CONSUMER_REDRIVER_H
#define CONSUMER_REDRIVER_H

#include "ops/redrive.h"

enum { REDRIVER_TEXT_MAX = 256 };

struct redriver;

/* Which letters, how fast, who and why. */
struct redriver_order {
    char target[REDRIVER_TEXT_MAX]; /* "": any */
    char reason[REDRIVER_TEXT_MAX];
    char event[REDRIVER_TEXT_MAX];
    char who[REDRIVER_TEXT_MAX];
    char why[REDRIVER_TEXT_MAX];
    int64_t since_ms; /* 0: the beginning */
    double rate_per_s;
};
/* As options of ops/redrive; borrows the order. */
void redriver_options(const struct redriver_order *order,
                      struct redrive_options *options);

/* config  borrowed until redriver_stop. */
struct redriver *redriver_start(const struct config *config);

/* Begin. Returns 0, or -EAGAIN with a sentence when one is at work. Any thread. */
int redriver_go(struct redriver *redriver, const struct redriver_order *order,
                const struct redrive_plan *plan, struct err *err);

/* {"running","id","done","total","triggered","dead_again","waiting","error"}; owned. */
struct json_object *redriver_show(struct redriver *redriver);

/* What runs is stopped where it is; `dlq redrive --resume` goes on with it. */
void redriver_stop(struct redriver *redriver);

#endif
