/* Git credentials out of documents: Devtron's `gitOptions` can travel on the bus.
 *
 * A member of that name (letters of either case, as Go reads them) is cut at any depth,
 * also out of JSON text inside a string and inside a data_base64; such text that cannot
 * be read is replaced as a whole. So is what stands before the host of a URL,
 * https://user:token@host, wherever it stands. What is left can be decoded as before.
 * Plain data: one thread at a time. */
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

/* Text in which URLs bring no user: any user of http and ftp, for a token may be all
 * there is, and one with a password of ssh, git and svn. Returns whether there were any;
 * else out is left alone. */
bool redact_url_users(const char *text, size_t len, struct str *out);

/* The bytes of a record with credentials cut out; see event_redact. */
void redact_bytes(const char *bytes, size_t len, struct str *out);

#endif
