/* The connector: makes one ready connection at a time, on a thread of its own, because
 * resolving a name blocks without limit.
 *
 * "Ready" means: connected, with TLS where the URL says so, authenticated, database
 * selected, every script loaded, the trial passed, and the server's run_id and
 * maxmemory-policy read. The owner asks with _want, is woken
 * through its eventfd and fetches the outcome with _take. Only the owner's thread calls
 * these functions. */
#ifndef WIRE_REDIS_CONNECT_H
#define WIRE_REDIS_CONNECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/redis_handshake.h"
#include "wire/redis_stream.h"
#include "wire/redis_url.h"

enum { REDIS_ADDRESSES_MAX = 8 };

struct redis_connector;

/* url, trial  copied, but for the trial's text.
 * event_fd  an eventfd that is written when an outcome is there; duplicated. */
struct redis_connector *redis_connector_start(const struct redis_url *url,
                                              const struct redis_trial *trial,
                                              int64_t timeout_ms, int event_fd);

/* Ask for a connection, not before at_ms. None may be under way.
 * texts  the scripts, borrowed for ever. */
void redis_connector_want(struct redis_connector *connector, int64_t at_ms,
                          const char *const *texts, size_t n);

/* Returns true once for each _want, when it has ended. */
bool redis_connector_take(struct redis_connector *connector,
                          struct redis_connection *connection);

/* Ends at once, unless the resolver is stuck: then, after until_ms, the thread is left
 * to end by itself with what it holds. */
void redis_connector_stop(struct redis_connector *connector, int64_t until_ms);

#endif
