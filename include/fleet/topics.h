/* The topics of a fleet: which there must be, which there are, how missing ones are made.
 *
 * The source topic belongs to whoever publishes and is never made here. Retry topics are
 * delay tiers with broker time (due = append time + tier) and room for larger records
 * than the source; one more, of CONFIG_REDRIVE_DELAY, takes what operators send again.
 * They and the dead-letter topic are ours. */
#ifndef FLEET_TOPICS_H
#define FLEET_TOPICS_H

#include "fleet/config.h"
#include "wire/kafka_admin.h"

enum { TOPICS_SIDE_PARTITIONS = 3 };

/* What a retry or dead-letter topic is created with: name, value, ..., NULL. */
const char *const *topics_retry_config(void);
const char *const *topics_dead_config(void);

struct topics {
    char **names; /* to subscribe to: the source first, then every retry topic of the
                     group, also of tiers that are not configured any more; owned */
    size_t count;
    int partitions; /* of all of them */
};

/* Look, and create the retry and dead-letter topics that are missing.
 * Returns 0; -ETIMEDOUT (no broker answered yet, try again), -ENOENT (no source topic),
 * -EACCES, -EIO; with a sentence that names the next step. Blocks until until_ms at most.
 */
int topics_ready(const struct config *config, struct kafka_admin *admin, int64_t until_ms,
                 struct topics *topics, struct err *err);
void topics_release(struct topics *topics);

#endif
