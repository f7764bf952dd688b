/* W3C trace context: the `traceparent` header. Pure apart from randomness; any thread. */
#ifndef EVENT_TRACEPARENT_H
#define EVENT_TRACEPARENT_H

#include <stdbool.h>
#include <stddef.h>

enum { TRACEPARENT_LEN = 55, TRACEPARENT_MAX = 56 };

/* Read a header's bytes. A later version counts if its first fields read as ours; what
 * comes out is version 00 with the two flags we know. Returns false, out untouched, when
 * it is invalid: the whole header is then ignored. */
bool traceparent_parse(const char *bytes, size_t len, char out[TRACEPARENT_MAX]);

/* The context of a call made because of `parent`: the same trace and flags, a new parent
 * id. "" starts a new, sampled trace. */
void traceparent_child(const char *parent, char out[TRACEPARENT_MAX]);

#endif
