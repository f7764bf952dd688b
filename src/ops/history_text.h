/* What the history writes, as JSON text. Pure. For src/ops/history.c only. */
#ifndef OPS_HISTORY_TEXT_H
#define OPS_HISTORY_TEXT_H

#include "fleet/lane.h"

/* One event's part in one batch; appended. */
void history_chapter(const struct lane *lane, const struct batch_of_events *batch,
                     const struct batch_event *be, int64_t ended_wall_ms,
                     struct str *out);

/* "<ms when first seen>:<application>" for the index; nothing when it has none, or one
 * whose name is too long. */
void history_app(const struct batch_event *be, struct str *out);

/* How one unit ended. more: how many were left out before it. */
void history_delivery(const struct lane *lane, const struct unit *unit,
                      int64_t ended_wall_ms, int64_t more, struct str *out);

#endif
