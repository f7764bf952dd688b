/* A target to measure against: answers every request with 200, keeps connections open,
 * waits `delay_ms` before each answer, and costs as little as it can.
 *
 *   target [delay_ms [threads]]     prints its port; ends when its standard input does,
 * and prints how many requests it took
 *
 * Each thread has its own epoll and all share the listening socket. The delay is the same
 * for all, so the answers that wait form a queue: the first is always the next one due.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/now.h"

enum { BUFFER_BYTES = 8192, EVENTS_MAX = 256, DELAY_MAX_MS = 60000, THREADS_MAX = 16 };

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                             "Content-Length: 11\r\n\r\n{\"ok\":true}";

static atomic_long taken; /* requests, all threads */

struct connection {
    int fd;
    size_t len;
    int64_t due_us; /* of the answer that waits */
    struct connection *next;
    char buffer[BUFFER_BYTES];
};

struct server {
    int listen_fd;
    int epoll_fd;
    int64_t delay_us;
    struct connection *first; /* answers that wait, the soonest first */
    struct connection *last;
};

/* Returns the length of the whole request at the head of the buffer, 0 if it is not all
 * there yet. */
static size_t request_len(const struct connection *c)
{
    const char *end = memmem(c->buffer, c->len, "\r\n\r\n", 4);
    if (end == NULL) {
        return 0;
    }
    size_t head = (size_t)(end - c->buffer) + 4;
    const char *at = strcasestr(c->buffer, "\r\ncontent-length:");
    size_t body = at != NULL && at < end ? (size_t)strtoul(at + 17, NULL, 10) : 0;
    return c->len >= head + body ? head + body : 0;
}

static void send_answer(const struct connection *c)
{
    /* A small answer on an idle connection fits; a peer that is gone shows at the next
     * read. */
    ssize_t n = send(c->fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)n;
}

/* One request at a time per connection, as HTTP/1.1 clients that do not pipeline send. */
static void take_request(struct server *s, struct connection *c)
{
    if (request_len(c) == 0) {
        return;
    }
    c->len = 0;
    atomic_fetch_add_explicit(&taken, 1, memory_order_relaxed);
    if (s->delay_us == 0) {
        send_answer(c);
        return;
    }
    c->due_us = now_us() + s->delay_us;
    c->next = NULL;
    if (s->last == NULL) {
        s->first = c;
    } else {
        s->last->next = c;
    }
    s->last = c;
}

static void drop(struct server *s, struct connection *c)
{
    struct connection *before = NULL;
    for (struct connection *w = s->first; w != NULL; before = w, w = w->next) {
        if (w == c) {
            *(before == NULL ? &s->first : &before->next) = c->next;
            s->last = s->last == c ? before : s->last;
            break;
        }
    }
    close(c->fd);
    free(c);
}

static void on_readable(struct server *s, struct connection *c)
{
    ssize_t n = recv(c->fd, c->buffer + c->len, BUFFER_BYTES - 1 - c->len, MSG_DONTWAIT);
    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            drop(s, c);
        }
        return;
    }
    c->len += (size_t)n;
    c->buffer[c->len] = '\0';
    take_request(s, c);
}

static void on_connect(struct server *s)
{
    int one = 1;
    int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return; /* another thread was first */
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    struct connection *c = mem_zalloc(sizeof(*c));
    c->fd = fd;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    MUST(epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event));
}

/* Send what is due. Returns how long until the next one, NULL for ever. */
static const struct timespec *answer_due(struct server *s, struct timespec *wait)
{
    while (s->first != NULL) {
        int64_t left_us = s->first->due_us - now_us();
        if (left_us > 0) {
            wait->tv_sec = left_us / 1000000;
            wait->tv_nsec = left_us % 1000000 * 1000;
            return wait;
        }
        struct connection *c = s->first;
        s->first = c->next;
        s->last = s->first == NULL ? NULL : s->last;
        send_answer(c);
    }
    return NULL;
}

static void *serve(void *arg)
{
    struct server *s = arg;
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        struct timespec wait;
        int n = epoll_pwait2(s->epoll_fd, events, EVENTS_MAX, answer_due(s, &wait), NULL);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == NULL) {
                on_connect(s);
            } else {
                on_readable(s, events[i].data.ptr);
            }
        }
    }
    return NULL;
}

static int listen_on_loopback(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT(fd >= 0);
    MUST(bind(fd, (struct sockaddr *)&address, len));
    MUST(listen(fd, 4096));
    MUST(getsockname(fd, (struct sockaddr *)&address, &len));
    *port = ntohs(address.sin_port);
    return fd;
}

int main(int argc, char **argv)
{
    long delay_ms = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    long threads = argc > 2 ? strtol(argv[2], NULL, 10) : 2;
    int port = 0;
    char byte;
    if (delay_ms < 0 || delay_ms > DELAY_MAX_MS || threads < 1 || threads > THREADS_MAX) {
        fprintf(stderr, "usage: target [delay_ms [threads]]\n");
        return 64;
    }
    int listen_fd = listen_on_loopback(&port);
    for (long i = 0; i < threads; i++) {
        pthread_t thread;
        struct server *s = mem_zalloc(sizeof(*s));
        s->listen_fd = listen_fd;
        s->delay_us = delay_ms * 1000;
        s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = NULL};
        MUST(epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, listen_fd, &event));
        MUST(pthread_create(&thread, NULL, serve, s));
    }
    printf("%d\n", port);
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    printf("%ld\n", atomic_load(&taken));
    return 0;
}
