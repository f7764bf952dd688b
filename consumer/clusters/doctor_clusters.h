/* The doctor's checks of the clusters; ops does not know of them. Blocks. */
#ifndef CONSUMER_DOCTOR_CLUSTERS_H
#define CONSUMER_DOCTOR_CLUSTERS_H

#include "ops/doctor.h"

/* One check for each cluster of the configuration, added at the end. */
void doctor_examine_clusters(const struct config *config, int64_t timeout_ms,
                             struct doctor *doctor);

#endif
