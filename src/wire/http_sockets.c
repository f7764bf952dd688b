#include "wire/http_sockets.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"

enum { DRAIN_READS_MAX = 16, DRAIN_BYTES = 4096 };

struct interest {
    bool connection;     /* opened for one, not closed yet */
    uint32_t wanted;     /* by libcurl */
    uint32_t registered; /* with epoll; 0: not there */
};

struct http_sockets {
    int epoll_fd;
    struct interest *by_fd; /* as many as the process has descriptors */
    size_t count;
};

struct http_sockets *http_sockets_new(int epoll_fd)
{
    struct http_sockets *sockets = mem_zalloc(sizeof(*sockets));
    sockets->epoll_fd = epoll_fd;
    return sockets;
}

void http_sockets_free(struct http_sockets *sockets)
{
    free(sockets->by_fd);
    free(sockets);
}

static struct interest *interest_of(struct http_sockets *sockets, int fd)
{
    size_t i = (size_t)fd;
    ASSERT(fd >= 0);
    if (i >= sockets->count) {
        size_t count = (i + 64) / 64 * 64 + 64;
        sockets->by_fd = mem_resize(sockets->by_fd, count * sizeof(*sockets->by_fd));
        memset(sockets->by_fd + sockets->count, 0,
               (count - sockets->count) * sizeof(*sockets->by_fd));
        sockets->count = count;
    }
    return &sockets->by_fd[i];
}

void http_sockets_opened(struct http_sockets *sockets, int fd)
{
    *interest_of(sockets, fd) = (struct interest){.connection = true};
}

void http_sockets_close(struct http_sockets *sockets, int fd)
{
    *interest_of(sockets, fd) = (struct interest){.connection = false};
    close(fd); /* epoll forgets it by itself */
}

static void unregister(struct http_sockets *sockets, int fd, struct interest *interest)
{
    if (interest->registered != 0) {
        epoll_ctl(sockets->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        interest->registered = 0;
    }
}

static void enlist(struct http_sockets *sockets, int fd, uint64_t tag,
                   struct interest *interest, uint32_t events)
{
    if (interest->registered == events) {
        return;
    }
    struct epoll_event event = {.events = events, .data.u64 = tag};
    int rc = -1;
    if (interest->registered != 0) { /* fails when it was closed without our knowing */
        rc = epoll_ctl(sockets->epoll_fd, EPOLL_CTL_MOD, fd, &event);
    }
    if (rc != 0) {
        ASSERT(epoll_ctl(sockets->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0);
    }
    interest->registered = events;
}

void http_sockets_want(struct http_sockets *sockets, int fd, uint64_t tag,
                       uint32_t events)
{
    struct interest *interest = interest_of(sockets, fd);
    interest->wanted = events;
    if (events != 0) {
        enlist(sockets, fd, tag, interest, events);
    } else if (interest->connection && interest->registered != 0) {
        enlist(sockets, fd, tag, interest, EPOLLIN); /* idle: watched on */
    } else {
        unregister(sockets, fd, interest);
    }
}

bool http_sockets_expected(struct http_sockets *sockets, int fd)
{
    struct interest *interest = interest_of(sockets, fd);
    if (interest->wanted != 0) {
        return true;
    }
    unregister(sockets, fd, interest);
    if (interest->connection) {
        char bytes[DRAIN_BYTES];
        int reads = 0;
        while (reads < DRAIN_READS_MAX &&
               recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0) {
            reads++;
        }
        shutdown(fd, SHUT_RDWR);
    }
    return false;
}
