/* Design. Pools that have a call waiting and room for it stand in a ring; each turn of
 * the ring starts one, so a pool that is full or hangs takes no other's place.
 *
 * A pool with TLS of its own has a group of connections of its own
 * (wire/http_transfer.h), made by the loop when a call of it starts. A renewal is left in
 * `renewed` by any thread; the loop takes it at the next start, and the group before it
 * goes with its last call. */
#include "wire/http_inside.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"

/* ---- the ring ---- */

void http_ring_offer(struct http *http, struct http_pool *pool)
{
    if (pool->in_ring || pool->waiting.first == NULL ||
        pool->running >= pool->max_running) {
        return;
    }
    pool->in_ring = true;
    pool->ring_next = NULL;
    *(http->ring_last == NULL ? &http->ring_first : &http->ring_last->ring_next) = pool;
    http->ring_last = pool;
}

struct http_pool *http_ring_take(struct http *http)
{
    struct http_pool *pool = http->ring_first;
    http->ring_first = pool->ring_next;
    http->ring_last = http->ring_first == NULL ? NULL : http->ring_last;
    pool->in_ring = false;
    return pool;
}

/* ---- TLS of its own ---- */

static void renew(struct http_pool *pool, struct http_own_tls *tls)
{
    http_own_tls_free(atomic_exchange(&pool->renewed, tls));
}

int http_pool_renew(struct http_pool *pool, const struct http_tls *tls, struct err *err)
{
    static const struct http_tls as_the_loop;
    struct http_own_tls *own = http_own_tls_new(tls != NULL ? tls : &as_the_loop, err);
    if (own == NULL) {
        return -EINVAL;
    }
    renew(pool, own);
    return 0;
}

struct http_group *http_pool_group(struct http_pool *pool)
{
    if (atomic_load(&pool->renewed) != NULL) {
        transfers_group_leave(pool->group);
        pool->group =
            transfers_group(pool->http->transfers, atomic_exchange(&pool->renewed, NULL));
    }
    return pool->group;
}

/* ---- lives ---- */

struct http_pool *http_pool_open(struct http *http,
                                 const struct http_pool_options *options, struct err *err)
{
    struct http_own_tls *own = NULL;
    ASSERT(options->max_running >= 1);
    if (options->tls != NULL) {
        own = http_own_tls_new(options->tls, err);
        if (own == NULL) {
            return NULL;
        }
    }
    struct http_pool *pool = mem_zalloc(sizeof(*pool));
    pool->http = http;
    pool->name = mem_strdup(options->name);
    pool->max_running =
        options->max_running < http->in_flight ? options->max_running : http->in_flight;
    pool->public_only = options->public_only;
    atomic_init(&pool->renewed, own);
    MUST(pthread_mutex_lock(&http->mu));
    pool->next = http->pools;
    http->pools = pool;
    MUST(pthread_mutex_unlock(&http->mu));
    return pool;
}

struct http_pool *http_pool_new(struct http *http, const char *name, int max_running,
                                bool public_only)
{
    const struct http_pool_options options = {.name = name,
                                              .max_running = max_running,
                                              .public_only = public_only};
    return http_pool_open(http, &options, NULL);
}

void http_pool_free(struct http_pool *pool)
{
    struct http *http = pool->http;
    MUST(pthread_mutex_lock(&http->mu));
    pool->gone = true;
    http->gone_count++;
    http->gone_fresh = true;
    http_wake_locked(http); /* its connections are closed now, not some time */
    MUST(pthread_mutex_unlock(&http->mu));
}

static void pool_release(struct http_pool *pool)
{
    transfers_group_leave(pool->group);
    renew(pool, NULL);
    free(pool->name);
    free(pool);
}

static struct http_pool *take_gone(struct http *http)
{
    struct http_pool *gone = NULL;
    MUST(pthread_mutex_lock(&http->mu));
    http->gone_fresh = false;
    struct http_pool **link = &http->pools;
    while (http->gone_count > 0 && *link != NULL) {
        struct http_pool *pool = *link;
        if (!pool->gone || pool->in_ring) {
            link = &pool->next;
            continue;
        }
        http->gone_count--;
        *link = pool->next;
        pool->next = gone;
        gone = pool;
    }
    MUST(pthread_mutex_unlock(&http->mu));
    return gone;
}

static void release_all(struct http_pool *pools)
{
    while (pools != NULL) {
        struct http_pool *next = pools->next;
        pool_release(pools);
        pools = next;
    }
}

void http_pools_sweep(struct http *http)
{
    release_all(take_gone(http));
}

void http_pools_free(struct http *http)
{
    release_all(http->pools);
    http->pools = NULL;
}
