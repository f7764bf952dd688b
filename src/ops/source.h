/* A walk over events of the source topic, and what the ledger knows of their units; for
 * src/ops/replay.c only. */
#ifndef OPS_SOURCE_H
#define OPS_SOURCE_H

#include "event/event.h"
#include "fleet/ledger.h"
#include "ops/place.h"
#include "wire/kafka_reader.h"

enum { SOURCE_PATIENCE_MS = 15000 };

/* What a walk says of each event, and of each unit of it. */
struct source_event {
    struct kafka_record *record;
    int partition;
    struct event event;
    enum event_outcome outcome;
    bool has_units;
};

struct source_walk {
    struct ops_place *place;
    const char *event;  /* only the one of this id; NULL: all */
    const char *target; /* a glob; NULL: all */
    /* Return 0, or what ends the walk. at: may be NULL. */
    int (*at_event)(void *arg, const struct source_event *event);
    int (*at_unit)(void *arg, const struct source_event *event, const char *target,
                   const struct ledger_record *record);
    void *arg;
};

/* Returns 0, or what a callback or the reader said. */
int source_walk(const struct source_walk *walk, const struct kafka_span *spans, size_t n,
                struct err *err);

#endif
