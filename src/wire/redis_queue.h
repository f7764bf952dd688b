/* Commands on their way: first-in-first-out lists and a heap of deadlines, both
 * intrusive. No locks, no I/O: the owner's thread only. */
#ifndef WIRE_REDIS_QUEUE_H
#define WIRE_REDIS_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/redis.h"

struct redis_waiter;

/* A place in a fifo. */
struct redis_link {
    struct redis_link *prev;
    struct redis_link *next;
    struct redis_fifo *fifo; /* NULL: in none */
    struct redis_node *node; /* whose link it is */
};

/* One command, made by redis_send in one allocation, freed on the redis thread. */
struct redis_node {
    struct redis_link queue;  /* inbox, waiting, again or in flight */
    struct redis_link linger; /* in a fifo: it lingers */
    size_t heap_slot;         /* from 1; 0: not in the heap */
    int64_t due_ms;           /* its deadline; once it lingers, the end of that */
    int64_t linger_ms;
    redis_done_fn *done;
    void *arg;
    struct redis_waiter *waiter; /* of redis_call, until ended */
    struct redis_script *script;
    bool idempotent;
    bool ended;   /* done was called */
    bool refused; /* too many were open */
    bool load;    /* a SCRIPT LOAD of ours */
    int script_tries;
    size_t sha_offset;
    size_t len;
    char text[];
};

struct redis_fifo {
    struct redis_link *head;
    struct redis_link *tail;
    size_t count;
};

void redis_fifo_append(struct redis_fifo *fifo, struct redis_link *link);
void redis_fifo_prepend(struct redis_fifo *fifo, struct redis_link *link);
void redis_fifo_unlink(struct redis_link *link);            /* from wherever it is */
struct redis_node *redis_fifo_pop(struct redis_fifo *fifo); /* NULL when empty */
/* All of `from` after what is in `to`; from is empty then. */
void redis_fifo_move(struct redis_fifo *to, struct redis_fifo *from);

struct redis_heap {
    struct redis_node **items; /* items[0] is due first */
    size_t count;
    size_t cap;
};

void redis_heap_put(struct redis_heap *heap, struct redis_node *node);
void redis_heap_remove(struct redis_heap *heap, struct redis_node *node); /* if in it */

#endif
