/* What the trigger of one event at one target is called: the same at every try, another
 * when it is sent again on purpose. Pure; any thread. */
#ifndef EVENT_TRIGGER_H
#define EVENT_TRIGGER_H

#include "event/event.h"
#include "wire/crypto.h"

enum { TRIGGER_NAME_MAX = sizeof("sluice-") + CRYPTO_HEX128_LEN - 1 };

/* Append the idempotency key: "<target>/<event id>", and "/<task>" of what is sent again
 * on purpose. '%' and bytes outside 0x21-0x7e stand as %XX, so that no two ids become one
 * key and it may stand in a header. */
void trigger_add_key(const struct event *ev, const char *target, struct str *out);

/* The same as 32 hex digits, and as "sluice-<32 hex>": a DNS label, for systems where the
 * name of a run is what makes it happen once. */
void trigger_id(const struct event *ev, const char *target, char hex[CRYPTO_HEX128_LEN]);
void trigger_name(const struct event *ev, const char *target,
                  char name[TRIGGER_NAME_MAX]);

#endif
