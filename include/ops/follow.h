/* What becomes of units that were sent again: asked of the ledger, which the workers
 * write. One thread. */
#ifndef OPS_FOLLOW_H
#define OPS_FOLLOW_H

#include "ops/place.h"
#include "sync/ctx.h"

enum { FOLLOW_MAX = 100000 }; /* units; what is beyond is not followed */

struct follow;

struct follow *follow_new(struct ops_place *place);
void follow_free(struct follow *follow);

void follow_add(struct follow *follow, const char *target, const char *identity,
                int round);

struct follow_counts {
    int64_t triggered;
    int64_t parked; /* again: deferred or dead */
    int64_t dead;   /* among those, of units that were not dead before */
    int64_t open;   /* not taken up yet, or in hand */
};

/* Look, until none is open, the time is over or ctx ends; 0 then, and what was seen last
 * in counts. Returns 0, -EIO when Redis does not answer. */
int follow_wait(struct follow *follow, struct ctx *ctx, int64_t until_ms,
                struct follow_counts *counts, struct err *err);

#endif
