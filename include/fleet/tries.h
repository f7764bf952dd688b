/* What became of each call of a unit: kept in the unit for this round, and as text in the
 * header of a parked record for the rounds before. Plain data and pure functions. */
#ifndef FLEET_TRIES_H
#define FLEET_TRIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum {
    TRIES_KEPT = 6,        /* of a round: the first ones, and the last */
    TRIES_TEXT_MAX = 4096, /* of all rounds; the oldest are cut away */
    TRY_REASON_MAX = 32,
    TRY_CONSUMER_MAX = 64,
};

struct try_kept {
    int64_t at_wall_ms; /* the call started */
    int32_t took_ms;
    int status;                  /* HTTP status; 0: no answer came */
    char reason[TRY_REASON_MAX]; /* as attempt_result.reason; "" for a success */
};

struct tries {
    struct try_kept kept[TRIES_KEPT];
    int count; /* also of those not kept */
};

void tries_add(struct tries *tries, const struct try_kept *one);
size_t tries_kept(const struct tries *tries); /* how many of kept are valid */

/* The tries of earlier rounds and then these, "1764012127560+212:503:http_503@c-3" each
 * and a space between two; appended to out. before: as read from a record's header; ""
 * for none. */
void tries_print(const char *before, const struct tries *tries, const char *consumer,
                 struct str *out);

/* Take the next one off a text. consumer: out. Returns false at its end; what cannot be
 * read is passed over. */
bool tries_next(const char **text, struct try_kept *one, char consumer[TRY_CONSUMER_MAX]);

#endif
