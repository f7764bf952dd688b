/* What gates woke, so that it can be asked for afterwards: a list in Redis
 * (`ops:{g}:wakings`) of the last WAKINGS_MAX, each a JSON document that ops does not
 * look into. Any thread. */
#ifndef OPS_WAKINGS_H
#define OPS_WAKINGS_H

#include "ops/place.h"

enum { WAKINGS_MAX = 100, WAKINGS_BYTES_MAX = 16 * 1024 };

/* Best effort, not waited for; one that is longer than WAKINGS_BYTES_MAX is left out. */
void wakings_note(struct ops_place *place, struct json_object *doc);

/* The newest first.
 * list  out: an array, owned. Returns 0 or as redis_ask. */
int wakings_read(struct ops_place *place, int64_t until_ms, struct json_object **list,
                 struct err *err) __attribute__((warn_unused_result));

#endif
