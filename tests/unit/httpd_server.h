/* A server for tests of wire/httpd, and a client on plain sockets. */
#ifndef TESTS_HTTPD_SERVER_H
#define TESTS_HTTPD_SERVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "wire/httpd.h"

/* A server whose handler does what the test says, and a gate to wait for what it saw. */
struct server {
    struct httpd *httpd;
    void (*handle)(struct server *s, struct httpd_request *r);

    pthread_mutex_t mu;
    pthread_cond_t cond;
    int handled;
    int aborted;
    struct httpd_request *held; /* the last one a test wants to answer itself */
    struct str seen;            /* what the handler read */
};

static inline void on_handle(void *arg, struct httpd_request *r)
{
    struct server *s = arg;
    pthread_mutex_lock(&s->mu);
    s->handle(s, r);
    s->handled++;
    pthread_cond_broadcast(&s->cond);
    pthread_mutex_unlock(&s->mu);
}

static inline void count_aborted(struct server *s)
{
    pthread_mutex_lock(&s->mu);
    s->aborted++;
    pthread_cond_broadcast(&s->cond);
    pthread_mutex_unlock(&s->mu);
}

static inline void on_aborted(void *arg, struct httpd_request *r)
{
    assert_string_equal(httpd_method(r), "GET"); /* still readable */
    count_aborted(arg);
}

static inline void await(struct server *s, const int *counter, int value)
{
    pthread_mutex_lock(&s->mu);
    while (*counter < value) {
        pthread_cond_wait(&s->cond, &s->mu);
    }
    pthread_mutex_unlock(&s->mu);
}

static inline struct httpd_options options_of(struct server *s)
{
    return (struct httpd_options){
        .address = "127.0.0.1",
        .connections_max = 16,
        .body_max = 1000,
        .threads = 1,
        .handle = on_handle,
        .aborted = on_aborted,
        .arg = s,
    };
}

static inline void server_init(struct server *s,
                               void (*handle)(struct server *, struct httpd_request *))
{
    memset(s, 0, sizeof *s);
    s->handle = handle;
    str_init(&s->seen);
    pthread_mutex_init(&s->mu, NULL);
    pthread_cond_init(&s->cond, NULL);
}

static inline void server_start(struct server *s,
                                void (*handle)(struct server *, struct httpd_request *))
{
    server_init(s, handle);
    struct err err = ERR_INIT;
    struct httpd_options options = options_of(s);
    s->httpd = httpd_start(&options, &err);
    assert_string_equal(err.text, "");
    assert_non_null(s->httpd);
}

/* From the next request on. */
static inline void server_handle(struct server *s,
                                 void (*handle)(struct server *, struct httpd_request *))
{
    pthread_mutex_lock(&s->mu);
    s->handle = handle;
    pthread_mutex_unlock(&s->mu);
}

static inline void server_release(struct server *s)
{
    str_release(&s->seen);
    pthread_mutex_destroy(&s->mu);
    pthread_cond_destroy(&s->cond);
}

static inline void server_stop(struct server *s)
{
    httpd_stop(s->httpd);
    server_release(s);
}

static inline int dial(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static inline void say(int fd, const char *text)
{
    size_t len = strlen(text);
    assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), len);
}

/* Read until the text is there; the end of the connection ends it too. */
static inline char *hear_until(int fd, const char *text)
{
    struct str in;
    str_init(&in);
    char byte;
    while (!strstr(in.data, text) && recv(fd, &byte, 1, 0) == 1) {
        str_addc(&in, byte);
    }
    return str_take(&in);
}

static inline char *ask(int port, const char *request, const char *until)
{
    int fd = dial(port);
    say(fd, request);
    char *answer = hear_until(fd, until);
    close(fd);
    return answer;
}

static inline void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part)) {
        fail_msg("\"%s\" is not in \"%s\"", part, text);
    }
}

static inline void reply_hello(struct server *s, struct httpd_request *r)
{
    (void)s;
    static const char *const headers[] = {"Content-Type", "text/plain", "X-One", "1",
                                          NULL};
    httpd_reply(r, 202, headers, "hello", 5);
}

static inline void hold(struct server *s, struct httpd_request *r)
{
    s->held = r;
}

#endif
