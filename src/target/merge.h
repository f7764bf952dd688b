/* What configuration says of a target, over what its kind knows: the request as
 * templates, before they are compiled. */
#ifndef TARGET_MERGE_H
#define TARGET_MERGE_H

#include "target/target.h"

enum { MERGE_HEADERS_MAX = TARGET_HEADERS_MAX + KIND_HEADERS_MAX + 1 };

struct merge {
    char *url;
    struct http_header headers[MERGE_HEADERS_MAX]; /* configuration's first */
    size_t header_count;
    struct json_object *body; /* owned; NULL: the event, or none */
    bool key_in_body;
    char *token; /* memory of the header that says it */
};

/* Returns 0, or -EINVAL with a sentence that begins with the key ("targets.x.url: ...").
 * merge: merge_release in every case. */
int merge_make(const struct target_options *options, const struct kind *kind,
               struct merge *merge, struct err *err);
void merge_release(struct merge *merge);

#endif
