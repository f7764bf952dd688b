/* Where an operator's command or the console stands: the configuration, a connection to
 * Redis and, when asked for, one to Kafka. One way for all of them, so that every command
 * says the same about what it cannot reach. Any thread, except open and close. */
#ifndef OPS_PLACE_H
#define OPS_PLACE_H

#include "fleet/config.h"
#include "ops/key.h"
#include "sync/ctx.h"
#include "wire/kafka_admin.h"
#include "wire/redis_ask.h"

struct ops_place {
    const struct config *config; /* borrowed; its secrets are loaded */
    struct redis *redis;
    struct kafka_admin *admin;     /* NULL until ops_place_kafka */
    struct kafka_producer *sender; /* NULL until ops_place_sender */
    char who[128];                 /* who acts, for the audit: "ann@build-7" */
    struct ctx *ctx; /* ends when nobody waits for the answer any more: then no further
                        item of a change is begun, and what is begun is finished. NULL:
                        never; borrowed */
};

/* Begin to connect to Redis; waits for nobody.
 * Returns 0, or -EINVAL with a sentence and nothing left behind. */
int ops_place_open(struct ops_place *place, const struct config *config, struct err *err);
void ops_place_close(struct ops_place *place);

/* Make the Kafka client or the producer that is not there yet; waits for nobody.
 * Returns 0, or -EINVAL with a sentence. */
int ops_place_kafka(struct ops_place *place, struct err *err);
int ops_place_sender(struct ops_place *place, struct err *err);

#endif
