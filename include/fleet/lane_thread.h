/* A lane's thread: takes a batch, works it behind the barrier, parks what failed, says
 * how far it is done. */
#ifndef FLEET_LANE_THREAD_H
#define FLEET_LANE_THREAD_H

#include "fleet/lane.h"

/* Start a lane on a partition. It runs until lane_stop and the end of its batch, then
 * calls fleet->rested. */
struct lane *lane_start(const struct fleet *fleet, struct kafka_partition *partition);

/* Join the thread (which must have called rested) and free the lane. */
void lane_free(struct lane *lane);

#endif
