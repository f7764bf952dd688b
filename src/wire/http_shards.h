/* The shards of the http loop: libcurl's multi handles, their sockets and timers. The
 * loop's thread only.
 *
 * A shard belongs to one group of calls, whose connections no other group's calls may
 * use; libcurl keeps its connections per multi handle. */
#ifndef WIRE_HTTP_SHARDS_H
#define WIRE_HTTP_SHARDS_H

#include <stdint.h>

#include "wire/http_lib.h"
#include "wire/http_sockets.h"

struct http_shard {
    struct http_shards *owner;
    const void *group; /* compared only */
    int index;
    CURLM *multi;
    int running;
    int64_t timer_us; /* NOW_FOREVER: none */
};

struct http_shards {
    struct http_sockets *sockets; /* borrowed */
    struct http_shard **at;       /* NULL where one was dropped */
    int count; /* at most in_flight / HTTP_SHARD_CALLS + 1, and one for each group */
};

void http_shards_release(struct http_shards *shards); /* nothing may be running */

/* One of the group's with room for another call; the first, so that few calls in flight
 * reuse few connections. */
struct http_shard *http_shards_with_room(struct http_shards *shards, const void *group);

/* Close the group's shards and all their connections. None may have calls running. */
void http_shards_drop(struct http_shards *shards, const void *group);

/* The shard that an event's tag names, or NULL when it is no more. */
struct http_shard *http_shards_of_tag(const struct http_shards *shards, uint64_t tag);

/* Ask libcurl for the timer: it tells changes only. */
void http_shard_ask_timer(struct http_shard *shard);

#endif
