/* Work one batch's units to their verdicts: claim, grant, call, retry, in chains; the
 * barrier.
 *
 * Linear code around one timed wait. While calls are out the lane wakes for what nobody
 * else owns: renew a lease, claim again what another held, ask grants for a retry, start
 * the next of a chain. A success wakes no one but the last one. */
#ifndef FLEET_WORK_H
#define FLEET_WORK_H

#include "fleet/fleet.h"

/* Returns when every unit has ended (the barrier is open). Units that must be parked have
 * their verdict but are not parked yet. Lane thread. */
void work_run(struct lane *lane, const struct plan *plan, struct batch_of_events *batch);

#endif
