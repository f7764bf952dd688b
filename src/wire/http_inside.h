/* What the files of the http loop share: the loop (wire/http.c), the pools
 * (wire/http_pool.c) and the way of a call (wire/http_call.c). For src/wire/http*.c only.
 *
 * Unless it says otherwise, a function here is for the loop's thread. */
#ifndef WIRE_HTTP_INSIDE_H
#define WIRE_HTTP_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "wire/http.h"
#include "wire/http_own_tls.h"
#include "wire/http_queue.h"
#include "wire/http_transfer.h"

struct http_pool {
    /* read-only after start */
    struct http *http;
    char *name;
    int max_running;
    bool public_only;
    /* owned by loop thread */
    struct http_list waiting; /* due; as many as callers submit, in their own memory */
    int running;
    bool in_ring;
    struct http_pool *ring_next;
    struct http_group *group; /* NULL: shares the loop's connections */
    /* guarded by mu */
    struct http_pool *next;
    bool gone; /* the loop may free it, once it is not in the ring */

    /* left by any thread for the loop, which owns what it takes; NULL: nothing new */
    _Atomic(struct http_own_tls *) renewed;
};

struct http {
    /* read-only after start */
    int in_flight;
    int epoll_fd;
    int wake_fd;
    pthread_t thread;
    struct metric *in_flight_gauge; /* NULL: no metrics */
    struct metric *waiting_gauge;

    pthread_mutex_t mu;
    /* guarded by mu */
    struct http_list inbox;
    struct http_call *asks; /* linked by ask_next */
    struct http_pool *pools;
    int gone_count;
    bool gone_fresh; /* one more since the loop looked */
    bool asleep;
    bool stopping;
    bool closed; /* the loop has left; calls end on the thread that submits them */

    /* owned by loop thread */
    struct transfers *transfers;
    struct http_heap heap; /* not yet due, or waiting with a deadline */
    uint64_t order;
    struct http_pool *ring_first;
    struct http_pool *ring_last;
    struct http_list running;
    int waiting_count;
    bool stop_seen;

    atomic_int running_count; /* written by the loop only */
};

/* --- pools --- */

/* Put a pool into the ring if it has a call waiting and room. */
void http_ring_offer(struct http *http, struct http_pool *pool);
struct http_pool *http_ring_take(struct http *http); /* the ring is not empty */

/* Whose connections the pool's next call uses. */
struct http_group *http_pool_group(struct http_pool *pool);

/* Only the loop frees a pool, so that it finds each where it left it. */
void http_pools_sweep(struct http *http);
void http_pools_free(struct http *http); /* all; the loop has ended */

/* --- a call's way --- */

void http_calls_take(struct http *http);   /* what other threads handed in or asked */
void http_calls_finish(struct http *http); /* those whose transfers ended */
void http_calls_start(
    struct http *http); /* those that are due, as far as there is room */
void http_calls_end_all(struct http *http);

/* Any thread, with the lock held. */
void http_wake_locked(struct http *http);

#endif
