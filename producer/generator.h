/* Made-up events: the n-th of a run is the same whenever it is asked for. Pure. */
#ifndef PRODUCER_GENERATOR_H
#define PRODUCER_GENERATOR_H

#include <stdint.h>

#include "format.h"
#include "record.h"

struct generator {
    uint64_t seed;
    const char *run; /* goes into ids: two runs do not repeat each other's */
    uint64_t apps;
    double bad; /* share of broken events, 0 to 1 */
    enum format format;
};

enum generator_bad {
    BAD_TRUNCATED,
    BAD_NOT_JSON,
    BAD_UTF8,
    BAD_DEEP,
    BAD_DUPLICATE_NAME,
    BAD_NAN,
    BAD_EXPONENT,
    BAD_TYPE,
    BAD_NO_ID,
    BAD_CRLF,
    BAD_FAILURE,   /* a well-formed event of a failure */
    BAD_TOMBSTONE, /* a null value */
    BAD_CONFLICT,  /* the id of the event before, with another commit */
    GENERATOR_BADS,
};

/* Fill a record with event n, counted from 0.
 * Returns whether it is a broken one; kind: out, then. */
bool generator_make(const struct generator *generator, uint64_t n, int64_t now_ms,
                    struct record *record, enum generator_bad *kind);

/* One broken event of a kind. */
void generator_break(const struct generator *generator, uint64_t n,
                     enum generator_bad kind, struct record *record);

const char *generator_bad_name(enum generator_bad kind);

#endif
