/* One unit's call: made ready, started, ended. For src/fleet/work.c only. */
#ifndef FLEET_WORK_CALL_H
#define FLEET_WORK_CALL_H

#include "fleet/fleet.h"

/* Make the unit's request, unless it is ready. Returns false when that cannot be: the
 * unit has then ended as dead. config: has the secrets. Lane thread. */
bool work_call_prepare(struct config *config, struct unit *unit);

/* Hand the call to the http loop, to start at slot_ms (monotonic). has_slot: a limiter's
 * slot is spent on it. */
void work_call_start(const struct fleet *fleet, struct unit *unit, int64_t slot_ms,
                     bool has_slot);

/* The unit has ended: have the ledger know it as done, then give the verdict. Lane thread
 * or http loop, whoever has it.
 * why     borrowed until the unit has ended. status: the HTTP status, 0 without a call.
 */
void work_call_record(const struct fleet *fleet, struct unit *unit, enum verdict verdict,
                      const char *why, int status);

/* Let go of the request of a call that has failed, and keep its trace context for the
 * log: the next attempt has its own signature and span. Lane thread. */
void work_call_drop(struct unit *unit);

/* The one line of a call that failed. next: what becomes of the unit; in_ms: when. */
void work_call_log(const struct unit *unit, const char *next, int64_t in_ms);

/* How much longer than it may take a unit has been away from the lane. A call that waits
 * for room is late only when nothing is on the wire: what is there has its timeout. */
int64_t work_call_late_ms(const struct fleet *fleet, const struct unit *unit,
                          int64_t now);

#endif
