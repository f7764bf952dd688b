#include "wire/http_shards.h"

#include <stdlib.h>
#include <sys/epoll.h>

#include "base/mem.h"
#include "base/now.h"
#include "wire/http.h"

enum { SHARD_CONNECTIONS_MAX = 128 }; /* open, busy and idle: two downstreams in turn */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    struct http_shard *shard = arg;
    uint64_t tag = ((uint64_t)(unsigned)shard->index << 32) | (uint32_t)fd;
    uint32_t events =
        ((what & CURL_POLL_IN) ? EPOLLIN : 0) | ((what & CURL_POLL_OUT) ? EPOLLOUT : 0);
    (void)easy;
    (void)known;
    http_sockets_want(shard->owner->sockets, fd, tag, events); /* REMOVE: none */
    return 0;
}

/* libcurl counts in whole milliseconds, cut; a timer that fires early would be lost. */
static int64_t timer_from(long timeout_ms)
{
    if (timeout_ms < 0) {
        return NOW_FOREVER;
    }
    return now_us() + (timeout_ms == 0 ? 0 : ((int64_t)timeout_ms + 1) * 1000);
}

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct http_shard *shard = arg;
    (void)multi;
    shard->timer_us = timer_from(timeout_ms);
    return 0;
}

void http_shard_ask_timer(struct http_shard *shard)
{
    long timeout_ms = -1;
    curl_multi_timeout(shard->multi, &timeout_ms);
    shard->timer_us = timer_from(timeout_ms);
}

/* A place where one was dropped, or a new one. */
static int free_index(struct http_shards *shards)
{
    int i = 0;
    while (i < shards->count && shards->at[i] != NULL) {
        i++;
    }
    if (i == shards->count) {
        shards->at =
            mem_resize(shards->at, ((size_t)i + 1) * sizeof(struct http_shard *));
        shards->at[shards->count++] = NULL;
    }
    return i;
}

static struct http_shard *shard_open(struct http_shards *shards, const void *group)
{
    struct http_shard *shard = mem_zalloc(sizeof(*shard));
    CURLM *multi = curl_multi_init();
    ASSERT(multi != NULL);
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, shard);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, shard);
    curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)SHARD_CONNECTIONS_MAX);
    shard->owner = shards;
    shard->group = group;
    shard->multi = multi;
    shard->timer_us = NOW_FOREVER;
    shard->index = free_index(shards);
    shards->at[shard->index] = shard;
    return shard;
}

static void shard_close(struct http_shard *shard)
{
    ASSERT(shard->running == 0);
    curl_multi_cleanup(shard->multi);
    shard->owner->at[shard->index] = NULL;
    free(shard);
}

struct http_shard *http_shards_with_room(struct http_shards *shards, const void *group)
{
    for (int i = 0; i < shards->count; i++) {
        struct http_shard *shard = shards->at[i];
        if (shard != NULL && shard->group == group && shard->running < HTTP_SHARD_CALLS) {
            return shard;
        }
    }
    return shard_open(shards, group);
}

void http_shards_drop(struct http_shards *shards, const void *group)
{
    for (int i = 0; i < shards->count; i++) {
        if (shards->at[i] != NULL && shards->at[i]->group == group) {
            shard_close(shards->at[i]);
        }
    }
}

struct http_shard *http_shards_of_tag(const struct http_shards *shards, uint64_t tag)
{
    int i = (int)(tag >> 32);
    return i < shards->count ? shards->at[i] : NULL;
}

void http_shards_release(struct http_shards *shards)
{
    for (int i = 0; i < shards->count; i++) {
        if (shards->at[i] != NULL) {
            shard_close(shards->at[i]);
        }
    }
    free(shards->at);
}
