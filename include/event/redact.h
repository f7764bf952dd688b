/* Git credentials out of documents: Devtron's `gitOptions` can travel on the bus.
 *
 * A member of that name (letters of either case, as Go reads them) is cut at any depth,
 * also out of JSON text inside a string and inside a data_base64; such text that cannot
 * be read is replaced as a whole. What is left can be decoded as before. Plain data: one
 * thread at a time. */
#ifndef EVENT_REDACT_H
#define EVENT_REDACT_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/json.h"

/* May these bytes hold credentials? Quick; true also for what it cannot see through
 * (escapes, base64). */
bool redact_suspects(const char *bytes, size_t len);

/* Cut them out. Returns whether there were any. */
bool redact_document(struct json_object *doc);

/* The bytes of a record with credentials cut out; see event_redact. */
void redact_bytes(const char *bytes, size_t len, struct str *out);

#endif
