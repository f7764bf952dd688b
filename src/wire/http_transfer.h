/* The transfers of the http loop: libcurl's handles, shards and callbacks, and what the
 * end of a transfer means. wire/http.c owns the queues and the thread; of the
 * loop only this file knows libcurl.
 *
 * Everything here belongs to the loop thread. A transfer that begins stays begun until it
 * was handed out by transfers_next_ended; its call's result fields are set by then, and
 * `answer` and `answer_headers` point into it until transfers_recycle. */
#ifndef WIRE_HTTP_TRANSFER_H
#define WIRE_HTTP_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/http.h"
#include "wire/http_own_tls.h"

struct transfers;

/* Calls that may use each other's connections, and nobody else's. */
struct http_group;

struct transfers_options {
    int epoll_fd; /* borrowed; events carry tags that are handed to transfers_on_event */
    int in_flight;
    const char *ca_file;    /* NULL: the system's */
    const char *user_agent; /* NULL: none */
};

/* Tags made here are below this; the loop's own begin with it. */
#define TRANSFERS_TAG_LIMIT (UINT64_C(1) << 63)

struct transfers *transfers_new(const struct transfers_options *options); /* copies */
void transfers_free(struct transfers *transfers); /* nothing may be running */

/* tls  taken. The group lives until it was left and its last call was recycled; then its
 * connections are closed. */
struct http_group *transfers_group(struct transfers *transfers, struct http_own_tls *tls);
void transfers_group_leave(struct http_group *group); /* NULL is allowed */

/* Put a call on the wire. group  NULL: the common one, with the loop's TLS. Returns false
 * when it must not be sent: call->end and call->error say why, and it was not begun. */
bool transfers_begin(struct transfers *transfers, struct http_group *group,
                     struct http_call *call, bool public_only);

/* End it now, as if its timeout had passed; it comes out of transfers_next_ended. */
void transfers_abort(struct http_call *call);

void transfers_on_event(struct transfers *transfers, uint64_t tag, uint32_t events);
void transfers_run_timers(struct transfers *transfers);
int64_t transfers_next_timer_us(const struct transfers *transfers); /* or NOW_FOREVER */

/* The next call that ended, or NULL. */
struct http_call *transfers_next_ended(struct transfers *transfers);

/* transfer  what call->transfer was; the call may be gone. */
void transfers_recycle(void *transfer);

#endif
