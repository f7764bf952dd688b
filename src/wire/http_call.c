/* Design. Calls travel: inbox (any thread, under the lock) → heap of those not yet due →
 * FIFO of their pool → running → ended. Everything after the inbox belongs to the loop
 * thread.
 *
 * Recall and abort are asks: a mark on the call and a place in a list, both under the
 * lock. A call's end takes its ask back before `done`, so that the list never names a
 * call that may be gone.
 *
 * A context's cancel is an abort. The loop itself watches the context, from the moment it
 * takes the call until just before `done`, so a cancel finds the call there or does not
 * find it at all, whenever it comes. A call that waits for room stands in the heap as
 * well when its context has a deadline, and leaves both when that comes first. */
#include "wire/http_inside.h"

#include <unistd.h>

#include "base/now.h"

enum { STATE_INBOX = 1, STATE_HEAP, STATE_WAITING, STATE_RUNNING, STATE_ENDED };
enum { ASK_RECALL = 1, ASK_ABORT = 2, ASK_TOO_LATE = 4 }; /* the last: it has ended */

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
    if (call->watched) {
        ctx_unwatch(call->ctx, &call->watch);
    }
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

void http_calls_finish(struct http *http)
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
        http_ring_offer(http, call->pool);
        call_end(http, call);
        transfers_recycle(transfer);
    }
}

/* ---- a call's start ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void heap_put(struct http *http, struct http_call *call, int64_t due_ms)
{
    call->due_ms = due_ms;
    http_heap_put(&http->heap, call);
}

static void call_wait(struct http *http, struct http_call *call)
{
    call->state = STATE_WAITING;
    http_list_append(&call->pool->waiting, call);
    http->waiting_count++;
    if (call->deadline_ms != NOW_FOREVER) {
        heap_put(http, call, call->deadline_ms);
    }
    http_ring_offer(http, call->pool);
}

static void stop_waiting(struct http *http, struct http_call *call)
{
    http_list_remove(&call->pool->waiting, call);
    http->waiting_count--;
    if (call->deadline_ms != NOW_FOREVER) {
        http_heap_remove(&http->heap, call);
    }
}

static void call_recall(struct http *http, struct http_call *call)
{
    if (call->state == STATE_HEAP) {
        http_heap_remove(&http->heap, call);
    } else {
        stop_waiting(http, call);
    }
    call_end_unstarted(http, call, HTTP_END_RECALLED);
}

/* Under the context's lock, on the thread that cancels it. */
static void on_cancel(void *arg)
{
    struct http_call *call = arg;
    http_abort(call->pool->http, call);
}

/* From here on, until its end, the context's cancel is an abort. One that came before is
 * an abort at once. */
static void call_bind(struct http_call *call)
{
    call->deadline_ms = NOW_FOREVER;
    if (call->ctx != NULL) {
        call->deadline_ms = ctx_deadline_ms(call->ctx);
        call->watched = true;
        ctx_watch(call->ctx, &call->watch, on_cancel, call);
    }
}

/* Ends no call: an ask that names it may be in hand. */
static void call_place(struct http *http, struct http_call *call, int64_t now)
{
    call->order = http->order++;
    call_bind(call);
    if (call->not_before_ms <= now) {
        call_wait(http, call);
        return;
    }
    call->state = STATE_HEAP;
    heap_put(http, call, earlier(call->not_before_ms, call->deadline_ms));
}

static void call_start(struct http *http, struct http_call *call)
{
    struct http_pool *pool = call->pool;
    if (call->ctx != NULL && ctx_err(call->ctx) != 0) {
        call_end_unstarted(http, call, HTTP_END_RECALLED);
        return;
    }
    if (call->may_start != NULL && !call->may_start(call)) {
        call_end_unstarted(http, call, HTTP_END_STALE);
        return;
    }
    if (!transfers_begin(http->transfers, http_pool_group(pool), call,
                         pool->public_only)) {
        call_end(http, call);
        return;
    }
    call->started_ms = now_ms();
    call->state = STATE_RUNNING;
    http_list_append(&http->running, call);
    count_running(http, 1);
    pool->running++;
}

/* Its time has come, or that of its context while it waited. */
static void call_due(struct http *http, struct http_call *call, int64_t now)
{
    if (call->deadline_ms <= now) {
        call_recall(http, call);
        return;
    }
    http_heap_remove(&http->heap, call);
    call_wait(http, call);
}

void http_calls_start(struct http *http)
{
    int64_t now = now_ms();
    while (http->heap.count > 0 && http->heap.calls[0]->due_ms <= now) {
        call_due(http, http->heap.calls[0], now);
    }
    while (http->ring_first != NULL && http_running(http) < http->in_flight) {
        struct http_pool *pool = http_ring_take(http);
        struct http_call *call = pool->waiting.first;
        if (call != NULL) { /* else recalled since */
            stop_waiting(http, call);
            call_start(http, call);
        }
        http_ring_offer(http, pool);
    }
}

/* ---- what other threads say ---- */

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
void http_calls_take(struct http *http)
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

void http_wake_locked(struct http *http)
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
    ASSERT(call->answer_max <= HTTP_ANSWER_MAX);
    call->status = 0;
    call->started_ms = 0;
    call->ended_ms = 0;
    call->retry_after_ms = -1;
    call->answer = "";
    call->answer_len = 0;
    call->answer_headers = NULL;
    call->answer_body = NULL;
    call->error[0] = '\0';
    call->watched = false;
    call->transfer = NULL;
    MUST(pthread_mutex_lock(&http->mu));
    call->asked = 0;
    bool closed = http->closed;
    if (!closed) {
        call->state = STATE_INBOX;
        http_list_append(&http->inbox, call);
        http_wake_locked(http);
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
        http_wake_locked(http);
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

/* ---- the stop ---- */

void http_calls_end_all(struct http *http)
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
