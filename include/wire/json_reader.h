/* From bytes to a tree, in one pass: what json_parse does after its size check. Use
 * "wire/json.h". Any thread. */
#ifndef WIRE_JSON_READER_H
#define WIRE_JSON_READER_H

#include <stddef.h>

#include "base/err.h"

struct json_object;
struct json_how;

/* Returns 0 with a tree owned by the caller, or -EBADMSG with a sentence. */
int json_reader_read(const struct json_how *how, const char *bytes, size_t len,
                     struct json_object **doc, struct err *err)
    __attribute__((warn_unused_result));

#endif
