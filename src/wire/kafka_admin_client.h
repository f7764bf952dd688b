/* The admin client's inside; for src/wire/kafka_admin.c and kafka_groups.c only. */
#ifndef WIRE_KAFKA_ADMIN_CLIENT_H
#define WIRE_KAFKA_ADMIN_CLIENT_H

#include "wire/kafka_admin.h"
#include "wire/kafka_lib.h"

enum { KAFKA_ADMIN_STEP_MS = 1000, KAFKA_ADMIN_REQUEST_MS_MAX = 60000 };

struct kafka_admin {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    bool refused; /* the caller's thread only: callbacks run in rd_kafka_poll */
    char reason[ERR_TEXT_MAX - 32]; /* of the last client error */
};

/* What is left until then, within [1, most_ms]. */
int kafka_admin_left_ms(int64_t until_ms, int most_ms);

/* One admin request's options, with the time that is left. Returns owned. */
rd_kafka_AdminOptions_t *kafka_admin_options(struct kafka_admin *admin,
                                             rd_kafka_admin_op_t op, int ms);

/* librdkafka's mock cluster names a controller that is none of its brokers: what only a
 * real broker answers would wait until the deadline, and spoil the client for what comes
 * after. */
bool kafka_admin_has_controller(struct kafka_admin *admin, int64_t until_ms);

#endif
