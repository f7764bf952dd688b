/* How much memory a worker may hold at worst: promised at the start, and before a reload.
 * Pure. */
#ifndef FLEET_MEMORY_H
#define FLEET_MEMORY_H

#include "fleet/config.h"

/* In bytes. partitions  of the source topic and the retry topics. */
uint64_t memory_bound(const struct config *config, int partitions);

#endif
