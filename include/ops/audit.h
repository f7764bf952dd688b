/* Who did what to the fleet, when and why: a line in the log of whoever acts, a notice on
 * the fleet's recent stream (`ops:{g}:recent`), which tap and the console show, and an
 * entry of the list `ops:{g}:acts`, where it can be asked for by who did not wait. */
#ifndef OPS_AUDIT_H
#define OPS_AUDIT_H

#include "ops/place.h"

struct audit {
    const char
        *kind; /* "pause", "resume", "drain", "reload", "redrive", "drop", "replay" */
    const char *what; /* a target, a consumer, a task */
    const char *why;  /* as the operator said; NULL: did not */
    const char *text; /* the whole in words */
    int64_t order;    /* the number of the order it gave (ops/control); 0: none */
};

enum { AUDIT_ACTS_MAX = 100, AUDIT_KEPT_DAYS = 30 };

/* Best effort, not waited for; the place knows who. */
void audit_write(struct ops_place *place, const struct audit *audit);

/* The latest of them, newest first: {"at_ms","kind","who","what","why","text","order"}.
 * acts  out: an array; returns owned (json_free), NULL on failure. Returns 0, or as
 * redis_ask. */
int audit_read(struct ops_place *place, int64_t until_ms, struct json_object **acts,
               struct err *err);

#endif
