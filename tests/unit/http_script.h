/* A small HTTP server for tests, told what to do by a function, and a call that remembers
 * how it ended.
 *
 * Include after cmocka.h. One thread per connection reads a whole request and hands it to
 * `act`, which writes what it likes to the socket and says whether to read another. What
 * waits in a script waits on the server's stop, never on a clock. */
#ifndef HTTP_SCRIPT_H
#define HTTP_SCRIPT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/now.h"
#include "wire/http.h"

enum { SCRIPT_CONNECTIONS_MAX = 512, SCRIPT_LOG_MAX = 1024, SCRIPT_TEXT_MAX = 8192 };

/* ---- a gate: threads wait for a count to be reached ---- */

struct gate {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    int count;
};

static inline void gate_init(struct gate *g)
{
    MUST(pthread_mutex_init(&g->mu, NULL));
    MUST(pthread_cond_init(&g->cond, NULL));
    g->count = 0;
}

static inline void gate_release(struct gate *g)
{
    MUST(pthread_cond_destroy(&g->cond));
    MUST(pthread_mutex_destroy(&g->mu));
}

static inline int gate_count(struct gate *g)
{
    MUST(pthread_mutex_lock(&g->mu));
    int count = g->count;
    MUST(pthread_mutex_unlock(&g->mu));
    return count;
}

static inline void gate_pass(struct gate *g)
{
    MUST(pthread_mutex_lock(&g->mu));
    g->count++;
    MUST(pthread_cond_broadcast(&g->cond));
    MUST(pthread_mutex_unlock(&g->mu));
}

static inline void gate_wait(struct gate *g, int count)
{
    MUST(pthread_mutex_lock(&g->mu));
    while (g->count < count) {
        MUST(pthread_cond_wait(&g->cond, &g->mu));
    }
    MUST(pthread_mutex_unlock(&g->mu));
}

/* ---- the server ---- */

struct script;

/* nth  of the connection's requests, from 1. Returns whether to keep the connection. */
typedef bool script_fn(struct script *script, int fd, int nth);

struct script {
    int listen_fd;
    int port;
    int stop_fd; /* readable for ever once the server stops */
    script_fn *act;
    script_fn *accepted; /* NULL, or called before the first read, nth 0 */
    pthread_t thread;
    pthread_t workers[SCRIPT_CONNECTIONS_MAX];
    int worker_count; /* accept thread only */
    struct gate connections;
    struct gate requests;
    struct gate closed; /* connections that the server ended */
    struct gate held;   /* scripts that wait in script_hold */
    struct gate let_go; /* script_let_go opens it */

    pthread_mutex_t mu;
    /* guarded by mu */
    int active;
    int active_max;
    char log[SCRIPT_LOG_MAX][64]; /* request lines in order of arrival */
    int log_count;
    char last[SCRIPT_TEXT_MAX]; /* the last whole request */
};

struct script_connection {
    struct script *script;
    int fd;
};

static inline void script_send(int fd, const char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        ssize_t n = send(fd, text, left, MSG_NOSIGNAL);
        if (n <= 0) {
            return;
        }
        text += n;
        left -= (size_t)n;
    }
}

/* Returns false when the server stops. */
static inline bool script_pause(struct script *s, int ms)
{
    struct pollfd stop = {.fd = s->stop_fd, .events = POLLIN};
    return poll(&stop, 1, ms) == 0;
}

/* Wait until the server stops or script_let_go. */
static inline void script_hold(struct script *s)
{
    gate_pass(&s->held);
    while (gate_count(&s->let_go) == 0 && script_pause(s, 2)) {
    }
}

static inline void script_let_go(struct script *s)
{
    gate_pass(&s->let_go);
}

/* Close with a reset instead of a FIN. */
static inline void script_reset(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static inline size_t script_body_len(const char *head)
{
    const char *at = strcasestr(head, "\r\ncontent-length:");
    return at == NULL ? 0 : (size_t)strtoul(at + 17, NULL, 10);
}

/* Read one request; false at the end of the connection or when the server stops. */
static inline bool script_read(struct script *s, int fd, char text[SCRIPT_TEXT_MAX])
{
    size_t len = 0;
    for (;;) {
        struct pollfd fds[2] = {{.fd = fd, .events = POLLIN},
                                {.fd = s->stop_fd, .events = POLLIN}};
        text[len] = '\0';
        const char *end = strstr(text, "\r\n\r\n");
        if (end != NULL && len >= (size_t)(end - text) + 4 + script_body_len(text)) {
            return true;
        }
        if (poll(fds, 2, -1) < 0 || fds[1].revents != 0 || len == SCRIPT_TEXT_MAX - 1) {
            return false;
        }
        ssize_t n = recv(fd, text + len, SCRIPT_TEXT_MAX - 1 - len, 0);
        if (n <= 0) {
            return false;
        }
        len += (size_t)n;
    }
}

static inline void script_note(struct script *s, const char *text, int step)
{
    MUST(pthread_mutex_lock(&s->mu));
    s->active += step;
    if (step > 0) {
        s->active_max = s->active > s->active_max ? s->active : s->active_max;
        snprintf(s->last, sizeof(s->last), "%s", text);
        if (s->log_count < SCRIPT_LOG_MAX) {
            snprintf(s->log[s->log_count++], sizeof(s->log[0]), "%.*s",
                     (int)strcspn(text, "\r"), text);
        }
    }
    MUST(pthread_mutex_unlock(&s->mu));
}

/* Before a test reads log, last or active_max of requests that were answered. */
static inline struct script *script_look(struct script *s)
{
    MUST(pthread_mutex_lock(&s->mu));
    MUST(pthread_mutex_unlock(&s->mu));
    return s;
}

static inline void *script_serve(void *arg)
{
    struct script_connection *c = arg;
    struct script *s = c->script;
    char *text = mem_alloc(SCRIPT_TEXT_MAX);
    bool keep = s->accepted == NULL || s->accepted(s, c->fd, 0);
    for (int nth = 1; keep && script_read(s, c->fd, text); nth++) {
        script_note(s, text, 1);
        gate_pass(&s->requests);
        keep = s->act(s, c->fd, nth);
        script_note(s, text, -1);
    }
    close(c->fd);
    gate_pass(&s->closed);
    free(text);
    free(c);
    return NULL;
}

static inline void *script_accept(void *arg)
{
    struct script *s = arg;
    for (;;) {
        struct pollfd fds[2] = {{.fd = s->listen_fd, .events = POLLIN},
                                {.fd = s->stop_fd, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 || fds[1].revents != 0) {
            return NULL;
        }
        struct script_connection *c = mem_zalloc(sizeof(*c));
        c->script = s;
        c->fd = accept(s->listen_fd, NULL, NULL);
        ASSERT(c->fd >= 0 && s->worker_count < SCRIPT_CONNECTIONS_MAX);
        gate_pass(&s->connections);
        MUST(pthread_create(&s->workers[s->worker_count++], NULL, script_serve, c));
    }
}

static inline struct script *script_start(script_fn *act, script_fn *accepted)
{
    struct script *s = mem_zalloc(sizeof(*s));
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->act = act;
    s->accepted = accepted;
    gate_init(&s->connections);
    gate_init(&s->requests);
    gate_init(&s->closed);
    gate_init(&s->held);
    gate_init(&s->let_go);
    MUST(pthread_mutex_init(&s->mu, NULL));
    s->stop_fd = eventfd(0, EFD_CLOEXEC);
    s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT(s->stop_fd >= 0 && s->listen_fd >= 0);
    MUST(bind(s->listen_fd, (struct sockaddr *)&address, len));
    MUST(listen(s->listen_fd, SCRIPT_CONNECTIONS_MAX));
    MUST(getsockname(s->listen_fd, (struct sockaddr *)&address, &len));
    s->port = ntohs(address.sin_port);
    MUST(pthread_create(&s->thread, NULL, script_accept, s));
    return s;
}

static inline void script_stop(struct script *s)
{
    uint64_t one = 1;
    ASSERT(write(s->stop_fd, &one, sizeof(one)) == sizeof(one));
    MUST(pthread_join(s->thread, NULL));
    for (int i = 0; i < s->worker_count; i++) {
        MUST(pthread_join(s->workers[i], NULL));
    }
    close(s->listen_fd);
    close(s->stop_fd);
    gate_release(&s->connections);
    gate_release(&s->requests);
    gate_release(&s->closed);
    gate_release(&s->held);
    gate_release(&s->let_go);
    MUST(pthread_mutex_destroy(&s->mu));
    free(s);
}

static inline bool script_answer_ok(struct script *s, int fd, int nth)
{
    (void)s;
    (void)nth;
    script_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    return true;
}

static inline bool script_hang(struct script *s, int fd, int nth)
{
    (void)fd;
    (void)nth;
    script_hold(s);
    return false;
}

static inline bool script_hold_then_ok(struct script *s, int fd, int nth)
{
    script_hold(s);
    return script_answer_ok(s, fd, nth);
}

/* ---- a call that remembers ---- */

enum { PROBE_TIMEOUT_MS = 20000 };

struct probe {
    struct http_call call;
    char url[256];
    struct gate *gate;                 /* passed once by done */
    atomic_int done_count;             /* must end as 1 */
    char *answer;                      /* copy */
    char header[128];                  /* the answer's x-test */
    void (*then)(struct probe *probe); /* NULL, or called in done, before the gate */
    void *arg;
};

static inline void probe_done(struct http_call *call)
{
    struct probe *p = call->arg;
    p->answer = mem_dup(call->answer, call->answer_len);
    http_answer_header(call, "X-Test", p->header, sizeof(p->header));
    atomic_fetch_add(&p->done_count, 1);
    if (p->then != NULL) {
        p->then(p);
    }
    gate_pass(p->gate);
}

/* A POST of {} to the server's path; the caller may change the call before submitting. */
static inline void probe_init(struct probe *p, struct http_pool *pool, int port,
                              const char *path, struct gate *gate)
{
    memset(p, 0, sizeof(*p));
    snprintf(p->url, sizeof(p->url), "http://127.0.0.1:%d%s", port, path);
    p->gate = gate;
    p->call.pool = pool;
    p->call.method = "POST";
    p->call.url = p->url;
    p->call.body = "{}";
    p->call.body_len = 2;
    p->call.timeout_ms = PROBE_TIMEOUT_MS;
    p->call.connect_timeout_ms = PROBE_TIMEOUT_MS;
    p->call.done = probe_done;
    p->call.arg = p;
}

static inline void probe_release(struct probe *p)
{
    free(p->answer);
}

static inline void check_end(struct probe *p, enum http_end end, int status,
                             const char *error)
{
    if (p->call.end != end || p->call.status != status ||
        strcmp(p->call.error, error) != 0) {
        print_message("end %d status %d error '%s'\n", p->call.end, p->call.status,
                      p->call.error);
    }
    assert_int_equal(p->call.end, end);
    assert_int_equal(p->call.status, status);
    assert_string_equal(p->call.error, error);
    assert_int_equal(atomic_load(&p->done_count), 1);
}

/* ---- the three together, for tests of one call after the other ---- */

struct stage {
    struct script *script;
    struct http *http;
    struct http_pool *pool;
    struct gate done;
    int calls;
};

static inline void stage_open(struct stage *b, script_fn *act, int in_flight)
{
    struct http_options options = {.in_flight = in_flight, .user_agent = "test/1"};
    struct err err = ERR_INIT;
    b->script = script_start(act, NULL);
    b->http = http_start(&options, &err);
    ASSERT(b->http != NULL);
    b->pool = http_pool_new(b->http, "all", in_flight, false);
    gate_init(&b->done);
    b->calls = 0;
}

/* The loop stops first: hanging scripts would keep the server from ending its calls. */
static inline void stage_close(struct stage *b)
{
    http_stop(b->http);
    script_stop(b->script);
    gate_release(&b->done);
}

static inline void stage_probe(struct stage *b, struct probe *p, const char *path)
{
    probe_init(p, b->pool, b->script->port, path, &b->done);
}

static inline void stage_call(struct stage *b, struct probe *p)
{
    http_submit(b->http, &p->call);
    gate_wait(&b->done, ++b->calls);
}

/* Did done run once for each? */
static inline bool probes_done_once(struct probe *probes, int n)
{
    for (int i = 0; i < n; i++) {
        if (atomic_load(&probes[i].done_count) != 1) {
            return false;
        }
    }
    return true;
}

static inline int count_ends(const struct probe *probes, int n, enum http_end end)
{
    int count = 0;
    for (int i = 0; i < n; i++) {
        count += probes[i].call.end == end;
    }
    return count;
}

static inline struct probe *probes_new(struct stage *b, int n)
{
    struct probe *probes = mem_array((size_t)n, sizeof(*probes));
    for (int i = 0; i < n; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/%d", i);
        stage_probe(b, &probes[i], path);
    }
    return probes;
}

static inline void probes_free(struct probe *probes, int n)
{
    for (int i = 0; i < n; i++) {
        probe_release(&probes[i]);
    }
    free(probes);
}

#endif
