/* The chapters of an event's story that its dead letters tell. For src/ops/trace.c only.
 */
#ifndef OPS_TRACE_LETTERS_H
#define OPS_TRACE_LETTERS_H

#include "ops/place.h"

/* chapters  an array: one is added for each letter of this event, handled ones too.
 * Returns 0, also when there is none, or as deadletters_walk. */
int trace_letters(struct ops_place *place, const char *event_id, int64_t until_ms,
                  struct json_object *chapters, struct err *err);

#endif
