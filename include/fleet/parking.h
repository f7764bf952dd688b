/* Where deferred and dead units wait: produced with acks=all, and only then counted. */
#ifndef FLEET_PARKING_H
#define FLEET_PARKING_H

#include "fleet/fleet.h"

enum { PARKING_LAST_MS = 1000, PARKING_RETRY_MS = 500, PARKING_CUT_BYTES = 16 * 1024 };

/* Park every unit of the batch whose verdict is deferred or dead, and tell the ledger.
 *
 * Tries for ever, so that nothing is committed past a unit that could not be parked; says
 * so in the log. When the lane is told to stop, acknowledgements are waited for
 * PARKING_LAST_MS more, and units without one become VERDICT_RETURNED. Lane thread. */
void parking_park(struct lane *lane, const struct fleet *fleet,
                  struct batch_of_events *batch);

/* The round the ledger is told of a unit that was parked in that round. A dead letter
 * lies above every deferred one (one that goes round for so long stays below), and above
 * itself when it was sent again and died again. Pure. */
int parking_round(int round, enum verdict verdict);

/* The tier a unit goes to that was called in so many rounds before this one, at least so
 * long from now; SIZE_MAX: its budget does not reach. One that was not called in this
 * round (the breaker was open, it is held) has not earned a longer wait than last time.
 * Pure. */
size_t parking_tier(const struct config *config, const struct config_target *target,
                    int rounds, bool called, int64_t at_least_ms, int64_t age_ms);

#endif
