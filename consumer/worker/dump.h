/* What a worker is doing, into the log: for who has nothing but a signal. */
#ifndef CONSUMER_DUMP_H
#define CONSUMER_DUMP_H

#include "fleet/worker.h"

void dump_worker(struct worker *worker);

#endif
