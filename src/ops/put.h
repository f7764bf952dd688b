/* Members of a JSON object; what is not known is null, never a made-up 0. */
#ifndef OPS_PUT_H
#define OPS_PUT_H

#include <stdio.h>

#include "wire/json.h"

static inline void put_text(struct json_object *o, const char *name, const char *text)
{
    json_object_object_add(o, name, json_object_new_string(text));
}

static inline void put_flag(struct json_object *o, const char *name, bool flag)
{
    json_object_object_add(o, name, json_object_new_boolean(flag));
}

/* Below 0: not known. */
static inline void put_count(struct json_object *o, const char *name, int64_t value)
{
    json_object_object_add(o, name, value < 0 ? NULL : json_object_new_int64(value));
}

/* A number with so many digits after the point. */
static inline struct json_object *real_of(double value, int digits)
{
    char text[64];
    snprintf(text, sizeof text, "%.*f", digits, value);
    return json_object_new_double_s(value, text);
}

/* Below 0: not known. */
static inline void put_real(struct json_object *o, const char *name, double value)
{
    json_object_object_add(o, name, value < 0 ? NULL : real_of(value, 1));
}

#endif
