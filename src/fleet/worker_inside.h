/* What a worker is made of. For src/fleet/worker.c, which works it, and worker_look.c,
 * which looks at it, only. */
#ifndef FLEET_WORKER_INSIDE_H
#define FLEET_WORKER_INSIDE_H

#include "fleet/topics.h"
#include "fleet/worker.h"

struct worker {
    const struct config *config;
    struct fleet fleet;
    struct topics topics;
    struct kafka_admin *admin;
    struct kafka_consumer *consumer;
    bool redis_checked; /* its eviction policy is known to be right */
    void (*releasing)(void *arg);
    void *releasing_arg;
    pthread_mutex_t mu;
    pthread_cond_t rested; /* a lane's thread is about to end */
    /* guarded by mu */
    int partitions; /* of all topics */
    struct lane *lanes;
    struct lane *orphans;
    bool stopping;
    int64_t returned; /* units, of lanes that are gone; from the stop on */
};

#endif
