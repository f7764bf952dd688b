/* Records on their way to Kafka, at most OUTBOX_MAX at a time, reported in the order they
 * were put in. One thread puts and takes. */
#ifndef PRODUCER_OUTBOX_H
#define PRODUCER_OUTBOX_H

#include "wire/kafka_producer.h"

struct outbox;

enum { OUTBOX_MAX = 1024 };

struct outbox_result {
    long number; /* as given */
    char *what;  /* as given; borrowed for the call */
    int rc;      /* as of kafka_sent_fn */
    int partition;
    int64_t offset;
    char why[256];
};

/* report runs on the thread that puts and takes. The producer is borrowed. */
struct outbox *outbox_new(struct kafka_producer *producer,
                          void (*report)(void *arg, const struct outbox_result *result),
                          void *arg);

/* Everything must have been taken. */
void outbox_free(struct outbox *outbox);

/* Send; waits for room by reporting what comes first. what: taken.
 * Returns 0 or -EINVAL with a sentence (then it is not reported). */
int outbox_put(struct outbox *outbox, const struct kafka_message *message, long number,
               char *what, struct err *err);

/* Report what has ended, in order. wait: until nothing is open. */
void outbox_take(struct outbox *outbox, bool wait);

#endif
