#include "wire/httpd_watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"

enum { EVENTS_MAX = 64 };

struct httpd_watch {
    /* read-only after start */
    struct httpd_watch_options options;
    int epoll_fd;
    int wake_fd;
    pthread_t thread;

    atomic_bool stopping;
};

void httpd_watch_add(struct httpd_watch *watch, int fd)
{
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.fd = fd};
    /* A kept-alive connection is registered from its earlier request. */
    if (epoll_ctl(watch->epoll_fd, EPOLL_CTL_MOD, fd, &event) != 0) {
        MUST(epoll_ctl(watch->epoll_fd, EPOLL_CTL_ADD, fd, &event));
    }
}

void httpd_watch_wake(struct httpd_watch *watch)
{
    uint64_t one = 1;
    ssize_t n = write(watch->wake_fd, &one, sizeof one);
    (void)n; /* full: it is awake already */
}

static void *run(void *arg)
{
    struct httpd_watch *watch = arg;
    const struct httpd_watch_options *options = &watch->options;
    struct epoll_event events[EVENTS_MAX];
    while (!atomic_load(&watch->stopping)) {
        int64_t wait_ms = options->alarm(options->arg);
        int n = epoll_wait(watch->epoll_fd, events, EVENTS_MAX, (int)wait_ms);
        for (int i = 0; i < n; i++) {
            uint64_t count;
            if (events[i].data.fd != watch->wake_fd) {
                options->gone(options->arg, events[i].data.fd);
            } else if (read(watch->wake_fd, &count, sizeof count) < 0) {
                ASSERT(errno == EAGAIN);
            }
        }
    }
    return NULL;
}

static void watch_free(struct httpd_watch *watch)
{
    close(watch->epoll_fd);
    close(watch->wake_fd);
    free(watch);
}

struct httpd_watch *httpd_watch_start(const struct httpd_watch_options *options,
                                      struct err *err)
{
    struct httpd_watch *watch = mem_zalloc(sizeof *watch);
    watch->options = *options;
    watch->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    watch->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = watch->wake_fd};
    if (epoll_ctl(watch->epoll_fd, EPOLL_CTL_ADD, watch->wake_fd, &event) != 0) {
        err_set(err, -EIO, "no descriptor left for the HTTP server: %s", strerror(errno));
        watch_free(watch);
        return NULL;
    }
    MUST(pthread_create(&watch->thread, NULL, run, watch));
    return watch;
}

void httpd_watch_stop(struct httpd_watch *watch)
{
    atomic_store(&watch->stopping, true);
    httpd_watch_wake(watch);
    MUST(pthread_join(watch->thread, NULL));
    watch_free(watch);
}
