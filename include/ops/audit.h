/* Who did what to the fleet, when and why: a line in the log of whoever acts, and a
 * notice on the fleet's recent stream (`ops:{g}:recent`), which tap and the console show.
 */
#ifndef OPS_AUDIT_H
#define OPS_AUDIT_H

#include "ops/place.h"

struct audit {
    const char
        *kind; /* "pause", "resume", "drain", "reload", "redrive", "drop", "replay" */
    const char *what; /* a target, a consumer, a task */
    const char *why;  /* as the operator said; NULL: did not */
    const char *text; /* the whole in words */
};

/* Best effort, not waited for; the place knows who. */
void audit_write(struct ops_place *place, const struct audit *audit);

#endif
