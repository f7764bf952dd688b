/* One unit's call: made ready, started, ended. For src/fleet/work.c only. */
#ifndef FLEET_WORK_CALL_H
#define FLEET_WORK_CALL_H

#include "fleet/fleet.h"

/* Make the unit's request, unless it is ready. Returns false when that cannot be: the
 * unit has then ended as dead. Lane thread. */
bool work_call_prepare(const struct fleet *fleet, struct unit *unit);

/* Hand the call to the http loop, to start at slot_ms (monotonic). has_slot: a limiter's
 * slot is spent on it. */
void work_call_start(const struct fleet *fleet, struct unit *unit, int64_t slot_ms,
                     bool has_slot);

#endif
