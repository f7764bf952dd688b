/* Make and unmake a struct fleet: connections, targets, counters. For src/fleet/worker.c
 * only. */
#ifndef FLEET_FLEET_MAKE_H
#define FLEET_FLEET_MAKE_H

#include "fleet/fleet.h"

enum { FLEET_PRODUCER_BYTES = 32 << 20 };

/* Returns 0 or -EINVAL with a sentence; nothing is left behind then. */
int fleet_make(struct fleet *fleet, const struct config *config, struct metrics *metrics,
               struct err *err);

/* In this order: http loop, Redis (until redis_until_ms), producer (until
 * producer_until_ms), the rest. */
void fleet_unmake(struct fleet *fleet, int64_t redis_until_ms, int64_t producer_until_ms);

/* The memory limit of this process' cgroup in bytes, 0 for none. */
uint64_t fleet_memory_limit(void);

#endif
