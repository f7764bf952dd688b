/* Design.
 *
 * Calls travel: inbox (any thread, under the lock) → heap of those not yet due → FIFO of
 * their pool → running → ended. Everything after the inbox belongs to the loop thread.
 * Pools that have a call waiting and room for it stand in a ring; each turn of the ring
 * starts one, so a pool that is full or hangs takes no other's place.
 *
 * Recall and abort are asks: a mark on the call and a place in a list, both under the
 * lock. A call's end takes its ask back before `done`, so that the list never names a
 * call that may be gone.
 *
 * The loop sleeps in epoll_wait only after it said so under the lock; who puts something
 * in while it sleeps wakes it, once, by the eventfd. Under load nobody does.
 *
 * Never early: a call's time is whole milliseconds and so is now_ms(), both cut, and the
 * sleep is rounded up. So it is late by less than one millisecond.
 *
 * The loop runs with all signals blocked, also SIGPIPE: a peer that closed is an error,
 * not the end of the process. */
#include "wire/http.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/now.h"
#include "wire/http_queue.h"
#include "wire/http_transfer.h"

enum {
    IN_FLIGHT_MAX = 4096,
    EVENTS_MAX = 256,    /* taken from epoll at a time; the rest at the next turn */
    SLEEP_MAX_MS = 60000 /* epoll_wait takes an int */
};

enum { STATE_INBOX = 1, STATE_HEAP, STATE_WAITING, STATE_RUNNING, STATE_ENDED };
enum { ASK_RECALL = 1, ASK_ABORT = 2, ASK_TOO_LATE = 4 }; /* the last: it has ended */

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
    /* guarded by mu */
    struct http_pool *next;
    bool gone; /* the loop may free it, once it is not in the ring */
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
    bool asleep;
    bool stopping;
    bool closed; /* the loop has left; calls end on the thread that submits them */

    /* owned by loop thread */
    struct transfers *transfers;
    struct http_heap heap; /* not yet due */
    uint64_t order;
    struct http_pool *ring_first;
    struct http_pool *ring_last;
    struct http_list running;
    int waiting_count;
    bool stop_seen;

    atomic_int running_count; /* written by the loop only */
};

/* ---- pools ---- */

/* Put a pool into the ring if it has a call waiting and room. */
static void ring_offer(struct http *http, struct http_pool *pool)
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

static struct http_pool *ring_take(struct http *http)
{
    struct http_pool *pool = http->ring_first;
    http->ring_first = pool->ring_next;
    http->ring_last = http->ring_first == NULL ? NULL : http->ring_last;
    pool->in_ring = false;
    return pool;
}

struct http_pool *http_pool_new(struct http *http, const char *name, int max_running,
                                bool public_only)
{
    ASSERT(max_running >= 1);
    struct http_pool *pool = mem_zalloc(sizeof(*pool));
    pool->http = http;
    pool->name = mem_strdup(name);
    pool->max_running = max_running < http->in_flight ? max_running : http->in_flight;
    pool->public_only = public_only;
    MUST(pthread_mutex_lock(&http->mu));
    pool->next = http->pools;
    http->pools = pool;
    MUST(pthread_mutex_unlock(&http->mu));
    return pool;
}

void http_pool_free(struct http_pool *pool)
{
    struct http *http = pool->http;
    MUST(pthread_mutex_lock(&http->mu));
    pool->gone = true;
    http->gone_count++;
    MUST(pthread_mutex_unlock(&http->mu));
}

static void pool_free_at(struct http_pool **link)
{
    struct http_pool *pool = *link;
    *link = pool->next;
    free(pool->name);
    free(pool);
}

/* Only the loop frees a pool, so that it finds each where it left it. */
static void free_gone_pools(struct http *http)
{
    MUST(pthread_mutex_lock(&http->mu));
    struct http_pool **link = &http->pools;
    while (http->gone_count > 0 && *link != NULL) {
        if ((*link)->gone && !(*link)->in_ring) {
            http->gone_count--;
            pool_free_at(link);
        } else {
            link = &(*link)->next;
        }
    }
    MUST(pthread_mutex_unlock(&http->mu));
}

/* ---- a call's end ---- */

int http_running(struct http *http)
{
    return atomic_load_explicit(&http->running_count, memory_order_relaxed);
}

static void count_running(struct http *http, int step)
{
    atomic_store_explicit(&http->running_count, http_running(http) + step,
                          memory_order_relaxed);
}

static void take_ask_back(struct http *http, struct http_call *call)
{
    MUST(pthread_mutex_lock(&http->mu));
    if (call->asked != 0) {
        struct http_call **link = &http->asks;
        while (*link != call) {
            link = &(*link)->ask_next;
        }
        *link = call->ask_next;
    }
    call->asked = ASK_TOO_LATE;
    MUST(pthread_mutex_unlock(&http->mu));
}

/* The last touch: done may free the call. */
static void call_end(struct http *http, struct http_call *call)
{
    call->state = STATE_ENDED;
    call->ended_ms = now_ms();
    take_ask_back(http, call);
    call->done(call);
}

static void call_end_unstarted(struct http *http, struct http_call *call,
                               enum http_end end)
{
    call->end = end;
    call_end(http, call);
}

static void finish_ended(struct http *http)
{
    for (;;) {
        struct http_call *call = transfers_next_ended(http->transfers);
        if (call == NULL) {
            return;
        }
        void *transfer = call->transfer;
        http_list_remove(&http->running, call);
        count_running(http, -1);
        call->pool->running--;
        ring_offer(http, call->pool);
        call_end(http, call);
        transfers_recycle(http->transfers, transfer);
    }
}

/* ---- a call's start ---- */

static void call_wait(struct http *http, struct http_call *call)
{
    call->state = STATE_WAITING;
    http_list_append(&call->pool->waiting, call);
    http->waiting_count++;
    ring_offer(http, call->pool);
}

static void call_place(struct http *http, struct http_call *call, int64_t now)
{
    call->order = http->order++;
    if (call->not_before_ms <= now) {
        call_wait(http, call);
        return;
    }
    call->state = STATE_HEAP;
    http_heap_put(&http->heap, call);
}

static void call_start(struct http *http, struct http_call *call)
{
    struct http_pool *pool = call->pool;
    if (call->may_start != NULL && !call->may_start(call)) {
        call_end_unstarted(http, call, HTTP_END_STALE);
        return;
    }
    if (!transfers_begin(http->transfers, call, pool->public_only)) {
        call_end(http, call);
        return;
    }
    call->started_ms = now_ms();
    call->state = STATE_RUNNING;
    http_list_append(&http->running, call);
    count_running(http, 1);
    pool->running++;
}

static void start_waiting(struct http *http)
{
    int64_t now = now_ms();
    while (http->heap.count > 0 && http->heap.calls[0]->not_before_ms <= now) {
        struct http_call *call = http->heap.calls[0];
        http_heap_remove(&http->heap, call);
        call_wait(http, call);
    }
    while (http->ring_first != NULL && http_running(http) < http->in_flight) {
        struct http_pool *pool = ring_take(http);
        struct http_call *call = http_list_pop(&pool->waiting);
        if (call != NULL) { /* else recalled since */
            http->waiting_count--;
            call_start(http, call);
        }
        ring_offer(http, pool);
    }
}

/* ---- what other threads say ---- */

static void call_recall(struct http *http, struct http_call *call)
{
    if (call->state == STATE_HEAP) {
        http_heap_remove(&http->heap, call);
    } else {
        http_list_remove(&call->pool->waiting, call);
        http->waiting_count--;
    }
    call_end_unstarted(http, call, HTTP_END_RECALLED);
}

static void answer_ask(struct http *http, struct http_call *call, int asked)
{
    if (call->state == STATE_HEAP || call->state == STATE_WAITING) {
        call_recall(http, call);
    } else if (call->state == STATE_RUNNING && (asked & ASK_ABORT)) {
        transfers_abort(call);
    }
}

/* Submits are placed before the ask that was read with them, for a call is submitted
 * before it is recalled. */
static void take_inbox(struct http *http)
{
    int64_t now = now_ms();
    for (;;) {
        MUST(pthread_mutex_lock(&http->mu));
        struct http_list fresh = http->inbox;
        http->inbox = (struct http_list){NULL, NULL};
        struct http_call *ask = http->asks;
        int asked = 0;
        if (ask != NULL) {
            http->asks = ask->ask_next;
            asked = ask->asked;
            ask->asked = 0;
        }
        http->asleep = false;
        http->stop_seen = http->stopping;
        MUST(pthread_mutex_unlock(&http->mu));
        for (struct http_call *call = http_list_pop(&fresh); call != NULL;
             call = http_list_pop(&fresh)) {
            call_place(http, call, now);
        }
        if (ask == NULL) {
            return;
        }
        answer_ask(http, ask, asked);
    }
}

/* With the lock held. */
static void wake_locked(struct http *http)
{
    if (!http->asleep) {
        return;
    }
    uint64_t one = 1;
    http->asleep = false;
    ASSERT(write(http->wake_fd, &one, sizeof(one)) == sizeof(one));
}

void http_submit(struct http *http, struct http_call *call)
{
    ASSERT(call->pool != NULL && call->pool->http == http);
    ASSERT(call->timeout_ms > 0 && call->done != NULL);
    call->status = 0;
    call->started_ms = 0;
    call->ended_ms = 0;
    call->retry_after_ms = -1;
    call->answer = "";
    call->answer_len = 0;
    call->answer_headers = NULL;
    call->error[0] = '\0';
    call->transfer = NULL;
    MUST(pthread_mutex_lock(&http->mu));
    call->asked = 0;
    bool closed = http->closed;
    if (!closed) {
        call->state = STATE_INBOX;
        http_list_append(&http->inbox, call);
        wake_locked(http);
    }
    MUST(pthread_mutex_unlock(&http->mu));
    if (closed) {
        call_end_unstarted(http, call, HTTP_END_RECALLED);
    }
}

static void ask(struct http *http, struct http_call *call, int what)
{
    MUST(pthread_mutex_lock(&http->mu));
    if (!http->closed && call->asked != ASK_TOO_LATE) {
        if (call->asked == 0) {
            call->ask_next = http->asks;
            http->asks = call;
        }
        call->asked |= what;
        wake_locked(http);
    }
    MUST(pthread_mutex_unlock(&http->mu));
}

void http_recall(struct http *http, struct http_call *call)
{
    ask(http, call, ASK_RECALL);
}

void http_abort(struct http *http, struct http_call *call)
{
    ask(http, call, ASK_ABORT);
}

/* ---- the loop ---- */

static int sleep_ms(struct http *http)
{
    if (http->ring_first != NULL && http_running(http) < http->in_flight) {
        return 0;
    }
    int64_t until_us = transfers_next_timer_us(http->transfers);
    if (http->heap.count > 0 && http->heap.calls[0]->not_before_ms <= until_us / 1000) {
        until_us = http->heap.calls[0]->not_before_ms * 1000;
    }
    if (until_us == NOW_FOREVER) {
        return SLEEP_MAX_MS;
    }
    int64_t left_us = until_us - now_us();
    if (left_us <= 0) {
        return 0;
    }
    int64_t left_ms = (left_us + 999) / 1000;
    return left_ms < SLEEP_MAX_MS ? (int)left_ms : SLEEP_MAX_MS;
}

static void wait_for_events(struct http *http)
{
    struct epoll_event events[EVENTS_MAX];
    int timeout_ms = sleep_ms(http);
    MUST(pthread_mutex_lock(&http->mu));
    if (http->inbox.first != NULL || http->asks != NULL || http->stopping) {
        timeout_ms = 0;
    }
    http->asleep = timeout_ms > 0;
    MUST(pthread_mutex_unlock(&http->mu));
    int n = epoll_wait(http->epoll_fd, events, EVENTS_MAX, timeout_ms);
    for (int i = 0; i < n; i++) {
        if (events[i].data.u64 == TRANSFERS_TAG_LIMIT) {
            uint64_t count;
            ASSERT(read(http->wake_fd, &count, sizeof(count)) == sizeof(count));
        } else {
            transfers_on_event(http->transfers, events[i].data.u64, events[i].events);
        }
    }
}

static void end_all(struct http *http)
{
    while (http->heap.count > 0) {
        call_recall(http, http->heap.calls[http->heap.count - 1]);
    }
    MUST(pthread_mutex_lock(&http->mu));
    struct http_pool *pool =
        http->pools; /* grows at its head, and only this thread frees */
    MUST(pthread_mutex_unlock(&http->mu));
    for (; pool != NULL; pool = pool->next) {
        while (pool->waiting.first != NULL) {
            call_recall(http, pool->waiting.first);
        }
    }
    for (struct http_call *call = http->running.first; call != NULL; call = call->next) {
        transfers_abort(call);
    }
}

/* Returns whether the loop may leave: nothing is left, and nothing can come any more. */
static bool close_inbox(struct http *http)
{
    MUST(pthread_mutex_lock(&http->mu));
    http->closed = http->inbox.first == NULL; /* done functions may have submitted */
    bool closed = http->closed;
    MUST(pthread_mutex_unlock(&http->mu));
    return closed;
}

static void show(struct http *http)
{
    if (http->in_flight_gauge != NULL) {
        metric_set(http->in_flight_gauge, http_running(http));
        metric_set(http->waiting_gauge, http->waiting_count);
    }
}

static void *loop_main(void *arg)
{
    struct http *http = arg;
    for (;;) {
        wait_for_events(http);
        free_gone_pools(http);
        take_inbox(http);
        if (http->stop_seen) {
            end_all(http);
        }
        finish_ended(http);
        start_waiting(http);
        transfers_run_timers(http->transfers);
        finish_ended(http);
        show(http);
        if (http->stop_seen && close_inbox(http)) {
            return NULL;
        }
    }
}

/* ---- start and stop ---- */

static struct metric *gauge(struct metrics *m, const char *name, const char *help)
{
    struct metric_family *f = metrics_family(m, METRIC_GAUGE, name, "", help, NULL, 0);
    return metrics_series(f, NULL, NULL, NULL, NULL);
}

static void http_free(struct http *http)
{
    while (http->pools != NULL) {
        pool_free_at(&http->pools);
    }
    if (http->transfers != NULL) {
        transfers_free(http->transfers);
    }
    if (http->epoll_fd >= 0) {
        close(http->epoll_fd);
    }
    if (http->wake_fd >= 0) {
        close(http->wake_fd);
    }
    http_heap_release(&http->heap);
    MUST(pthread_mutex_destroy(&http->mu));
    free(http);
}

static int open_descriptors(struct http *http, struct err *err)
{
    struct epoll_event wake = {.events = EPOLLIN, .data.u64 = TRANSFERS_TAG_LIMIT};
    http->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    http->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (http->epoll_fd < 0 || http->wake_fd < 0 ||
        epoll_ctl(http->epoll_fd, EPOLL_CTL_ADD, http->wake_fd, &wake) != 0) {
        return err_set(err, -EIO, "http: no descriptors for the loop: %s",
                       strerror(errno));
    }
    return 0;
}

static int start_thread(struct http *http, struct err *err)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    MUST(pthread_sigmask(SIG_SETMASK, &all, &before));
    int rc = pthread_create(&http->thread, NULL, loop_main, http);
    MUST(pthread_sigmask(SIG_SETMASK, &before, NULL));
    return rc == 0 ? 0 : err_set(err, -EIO, "http: no thread: %s", strerror(rc));
}

struct http *http_start(const struct http_options *options, struct err *err)
{
    if (options->in_flight < 1 || options->in_flight > IN_FLIGHT_MAX) {
        err_set(err, -EINVAL, "http: in_flight is %d, not within 1 and %d",
                options->in_flight, IN_FLIGHT_MAX);
        return NULL;
    }
    if (options->ca_file != NULL && access(options->ca_file, R_OK) != 0) {
        err_set(err, -EINVAL, "http: ca file %s: %s", options->ca_file, strerror(errno));
        return NULL;
    }
    struct http *http = mem_zalloc(sizeof(*http));
    MUST(pthread_mutex_init(&http->mu, NULL));
    http->in_flight = options->in_flight;
    http->wake_fd = -1;
    if (open_descriptors(http, err) != 0) {
        http_free(http);
        return NULL;
    }
    http->transfers = transfers_new(&(struct transfers_options){
        .epoll_fd = http->epoll_fd,
        .in_flight = options->in_flight,
        .ca_file = options->ca_file,
        .user_agent = options->user_agent,
    });
    if (options->metrics != NULL) {
        http->in_flight_gauge = gauge(options->metrics, "sluice_http_in_flight",
                                      "HTTP calls on the wire now.");
        http->waiting_gauge = gauge(options->metrics, "sluice_http_waiting",
                                    "HTTP calls that are due and wait for room.");
    }
    if (start_thread(http, err) != 0) {
        http_free(http);
        return NULL;
    }
    return http;
}

void http_stop(struct http *http)
{
    if (http == NULL) {
        return;
    }
    MUST(pthread_mutex_lock(&http->mu));
    http->stopping = true;
    wake_locked(http);
    MUST(pthread_mutex_unlock(&http->mu));
    MUST(pthread_join(http->thread, NULL));
    http_free(http);
}
