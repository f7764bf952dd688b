/* The fleet's frame (ops/snapshot) as a page of text: what `status` and `top` show. */
#ifndef CONSUMER_FLEET_TEXT_H
#define CONSUMER_FLEET_TEXT_H

#include "commands.h"
#include "wire/json.h"

enum fleet_sort { FLEET_BY_NAME, FLEET_BY_LAG, FLEET_BY_RATE, FLEET_SORTS };
const char *fleet_sort_name(enum fleet_sort sort);

struct fleet_look {
    struct paint paint;
    bool offsets;         /* a row for each partition */
    enum fleet_sort sort; /* of consumers and targets; partitions by lag unless by name */
    const char *filter;   /* rows whose name holds it; NULL or "": all */
    size_t width;         /* of the terminal; 0: lines are not cut */
};

/* Append the page; each line ends with a newline. */
void fleet_text(struct json_object *frame, const struct fleet_look *look,
                struct str *out);

#endif
