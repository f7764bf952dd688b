/* Design. This file is the loop's thread; what it turns is in wire/http_call.c (a call's
 * way), wire/http_pool.c and wire/http_transfer.c.
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
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/now.h"
#include "wire/http_inside.h"

enum {
    IN_FLIGHT_MAX = 4096,
    EVENTS_MAX = 256,    /* taken from epoll at a time; the rest at the next turn */
    SLEEP_MAX_MS = 60000 /* epoll_wait takes an int */
};

/* ---- the loop ---- */

static int sleep_ms(struct http *http)
{
    if (http->ring_first != NULL && http_running(http) < http->in_flight) {
        return 0;
    }
    int64_t until_us = transfers_next_timer_us(http->transfers);
    if (http->heap.count > 0 && http->heap.calls[0]->due_ms <= until_us / 1000) {
        until_us = http->heap.calls[0]->due_ms * 1000;
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
    if (http->inbox.first != NULL || http->asks != NULL || http->gone_fresh ||
        http->stopping) {
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
        http_pools_sweep(http);
        http_calls_take(http);
        if (http->stop_seen) {
            http_calls_end_all(http);
        }
        http_calls_finish(http);
        http_calls_start(http);
        transfers_run_timers(http->transfers);
        http_calls_finish(http);
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
    http_pools_free(http);
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
    http_wake_locked(http);
    MUST(pthread_mutex_unlock(&http->mu));
    MUST(pthread_join(http->thread, NULL));
    http_free(http);
}
