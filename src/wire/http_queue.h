/* The places where calls wait: a list and a heap that need no memory per call but the
 * heap's array. Both are as long as callers submit, in their own memory. The owner's
 * thread only. */
#ifndef WIRE_HTTP_QUEUE_H
#define WIRE_HTTP_QUEUE_H

#include <stddef.h>

#include "wire/http.h"

struct http_list {
    struct http_call *first;
    struct http_call *last;
};

void http_list_append(struct http_list *list, struct http_call *call);
void http_list_remove(struct http_list *list, struct http_call *call);
struct http_call *http_list_pop(struct http_list *list); /* NULL when empty */

/* By due_ms, then order; calls[0] is the soonest. All zero is empty. */
struct http_heap {
    struct http_call **calls;
    size_t count;
    size_t cap;
};

void http_heap_put(struct http_heap *heap, struct http_call *call);
void http_heap_remove(struct http_heap *heap, struct http_call *call); /* O(log n) */
void http_heap_release(struct http_heap *heap);

#endif
