/* What a service manager is told (systemd's Type=notify): one datagram a message to
 * $NOTIFY_SOCKET. Without that variable every call does nothing.
 *
 * notify_ready and notify_reloading belong to the main thread, the others to the
 * watchdog. A manager that does not read holds a call for half a second at most. */
#ifndef CONSUMER_NOTIFY_H
#define CONSUMER_NOTIFY_H

#include <stdint.h>

#include "fleet/worker.h"

struct notify;

/* Reads the environment: NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID. */
struct notify *notify_open(void);
void notify_close(struct notify *notify);

/* Configuration, secrets and admin port are good. Kafka and Redis may still be waited
 * for: an outage must not fail the start of a service. Also the end of a reload. */
void notify_ready(struct notify *notify);
void notify_reloading(struct notify *notify);

/* What is seen of the worker: the status line when it has changed, and a sign of life
 * twice per watchdog interval, as long as the poll loop turns.
 * status  NULL while there is no worker. */
void notify_worker(struct notify *notify, const struct worker_status *status,
                   int64_t at_ms);

/* The stop has begun and is going on. */
void notify_draining(struct notify *notify, int64_t at_ms);

#endif
