#include "wire/redis_connect.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"

enum { KEEPALIVE_IDLE_S = 15, KEEPALIVE_EVERY_S = 5, KEEPALIVE_TRIES = 3 };

struct redis_connector {
    /* read-only after start */
    struct redis_url url;
    struct redis_trial trial;
    char *where; /* for people: "redis:6379" or the socket's path */
    int64_t timeout_ms;
    int event_fd; /* the owner's, to say that an outcome is there */
    int nudge_fd; /* ours, to be woken by */
    pthread_t thread;

    pthread_mutex_t mu;
    pthread_cond_t ended_cond;
    /* guarded by mu */
    bool wanted; /* until the outcome is there */
    bool there;  /* until it is taken */
    bool stopping;
    bool ended;
    int64_t at_ms;
    const char *texts[REDIS_SCRIPTS_MAX];
    size_t script_count;
    struct redis_connection outcome;
};

static void nudge(int fd)
{
    uint64_t one = 1;
    ssize_t rc = write(fd, &one, sizeof one);
    (void)rc; /* full: then it is readable, which is all we want */
}

static void drain_nudges(int fd)
{
    uint64_t count;
    ssize_t rc = read(fd, &count, sizeof count);
    (void)rc;
}

static bool is_stopping(struct redis_connector *c)
{
    MUST(pthread_mutex_lock(&c->mu));
    bool stopping = c->stopping;
    MUST(pthread_mutex_unlock(&c->mu));
    return stopping;
}

static int poll_timeout(int64_t until_ms)
{
    int64_t left = until_ms - now_ms();
    if (left < 0) {
        return 0;
    }
    return left > 60000 ? 60000 : (int)left;
}

/* Wait for events on fd. Returns 0, -ETIMEDOUT or -ECANCELED. */
static int wait_for(struct redis_connector *c, int fd, short events, int64_t until_ms)
{
    for (;;) {
        struct pollfd fds[2] = {{.fd = c->nudge_fd, .events = POLLIN},
                                {.fd = fd, .events = events}};
        int n = poll(fds, fd >= 0 ? 2 : 1, poll_timeout(until_ms));
        if (n > 0 && fds[0].revents != 0) {
            drain_nudges(c->nudge_fd);
        }
        if (is_stopping(c)) {
            return -ECANCELED;
        }
        if (n > 0 && fd >= 0 && fds[1].revents != 0) {
            return 0;
        }
        if (now_ms() >= until_ms) {
            return -ETIMEDOUT;
        }
    }
}

static void set_socket_options(int fd, int family)
{
    static const struct {
        int level, name, value;
    } options[] = {{IPPROTO_TCP, TCP_NODELAY, 1},
                   {SOL_SOCKET, SO_KEEPALIVE, 1},
                   {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
                   {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_EVERY_S},
                   {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_TRIES}};
    for (size_t i = 0; family != AF_UNIX && i < sizeof options / sizeof *options; i++) {
        /* best effort: a connection without them still works */
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                         sizeof options[i].value);
    }
}

/* Returns the descriptor or a negative errno with a sentence. */
static int connect_address(struct redis_connector *c, const struct sockaddr *address,
                           socklen_t len, struct err *err)
{
    const char *where = c->where;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_set(err, -EIO, "redis %s: no socket: %s", where, strerror(errno));
    }
    set_socket_options(fd, address->sa_family);
    int failure = connect(fd, address, len) == 0 ? 0 : errno;
    if (failure == EINPROGRESS || failure == EINTR) {
        socklen_t size = sizeof failure;
        int rc = wait_for(c, fd, POLLOUT, now_ms() + c->timeout_ms);
        if (rc == -ECANCELED) {
            close(fd);
            return err_set(err, rc, "redis %s: stopped", where);
        }
        failure = ETIMEDOUT;
        if (rc == 0) {
            (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size);
        }
    }
    if (failure != 0) {
        close(fd);
        return err_set(err, -EIO, "redis %s: cannot connect: %s", where,
                       strerror(failure));
    }
    return fd;
}

static int connect_unix(struct redis_connector *c, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    ASSERT(strlen(c->url.path) < sizeof address.sun_path);
    memcpy(address.sun_path, c->url.path, strlen(c->url.path));
    return connect_address(c, (const struct sockaddr *)&address, sizeof address, err);
}

static int connect_tcp(struct redis_connector *c, struct err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(c->url.host, c->url.port, &hints, &list);
    if (rc != 0) {
        return err_set(err, -EIO, "redis %s: cannot resolve the name: %s", c->where,
                       gai_strerror(rc));
    }
    int fd = err_set(err, -EIO, "redis %s: the name has no address", c->where);
    int tried = 0;
    for (struct addrinfo *a = list; a && fd < 0 && tried < REDIS_ADDRESSES_MAX;
         a = a->ai_next) {
        fd = connect_address(c, a->ai_addr, a->ai_addrlen, err);
        tried++;
        if (fd == -ECANCELED) {
            break;
        }
    }
    freeaddrinfo(list);
    return fd;
}

static int send_questions(struct redis_connector *c, struct redis_stream *stream,
                          const struct redis_handshake *hs, int64_t until_ms,
                          struct err *err)
{
    size_t sent = 0;
    while (sent < hs->out.len) {
        ssize_t n =
            redis_stream_send(stream, hs->out.data + sent, hs->out.len - sent, err);
        int rc = n < 0 ? (int)n : 0;
        sent += n < 0 ? 0 : (size_t)n;
        if (rc == -EAGAIN) {
            rc = wait_for(c, redis_stream_fd(stream), POLLOUT, until_ms);
            rc = rc != 0 ? err_set(err, rc, "no answer to the handshake") : 0;
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* Feed what has come. Returns 0 also when nothing has. */
static int receive(struct redis_stream *stream, struct redis_reader *reader,
                   struct err *err)
{
    char bytes[REDIS_STREAM_BYTES];
    ssize_t n = redis_stream_recv(stream, bytes, sizeof bytes, err);
    if (n > 0) {
        return redis_reader_feed(reader, bytes, (size_t)n, err);
    }
    return n == -EAGAIN ? 0 : (int)n;
}

static int read_answers(struct redis_connector *c, struct redis_handshake *hs,
                        struct redis_reader *reader, struct redis_connection *con,
                        int64_t until_ms)
{
    while (!redis_handshake_is_answered(hs)) {
        struct redis_reply *reply;
        int rc = redis_reader_next(reader, &reply, &con->err);
        if (rc == 0 && reply) {
            rc = redis_handshake_take(hs, reply, con);
            redis_reply_free(reply);
        } else if (rc == 0) {
            rc = wait_for(c, redis_stream_fd(con->stream), POLLIN, until_ms);
            rc = rc != 0 ? err_set(&con->err, rc, "no answer to the handshake")
                         : receive(con->stream, reader, &con->err);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int shake_hands(struct redis_connector *c, const char *const *texts, size_t n,
                       int64_t until_ms, struct redis_connection *con)
{
    struct redis_handshake hs;
    struct redis_reader *reader = redis_reader_new();
    redis_handshake_init(&hs, &c->url, texts, n, &c->trial);
    int rc = send_questions(c, con->stream, &hs, until_ms, &con->err);
    if (rc == 0) {
        rc = read_answers(c, &hs, reader, con, until_ms);
    }
    if (rc == 0 && redis_handshake_begin_trial(&hs)) {
        rc = send_questions(c, con->stream, &hs, until_ms, &con->err);
        rc = rc != 0 ? rc : read_answers(c, &hs, reader, con, until_ms);
    }
    if (rc == -EIO && hs.answered == 0 && !c->url.tls && !c->url.path) {
        err_set(&con->err, rc, "%s (a TLS port wants rediss:// in redis.url)",
                con->err.text);
    }
    redis_handshake_release(&hs);
    redis_reader_free(reader);
    return rc;
}

/* The handshake of TLS, where the URL says so. */
static int secure(struct redis_connector *c, int64_t until_ms,
                  struct redis_connection *con)
{
    short events = 0;
    int rc = c->url.tls ? redis_stream_secure(con->stream, &c->url, &con->err) : 0;
    if (rc == 0) {
        rc = redis_stream_greet(con->stream, &events, &con->err);
    }
    while (rc == -EAGAIN) {
        rc = wait_for(c, redis_stream_fd(con->stream), events, until_ms);
        rc = rc != 0
                 ? err_set(&con->err, rc,
                           "no answer to the handshake of TLS (is this its TLS port?)")
                 : redis_stream_greet(con->stream, &events, &con->err);
    }
    return rc;
}

static void make_connection(struct redis_connector *c, const char *const *texts, size_t n,
                            struct redis_connection *con)
{
    memset(con, 0, sizeof *con);
    int fd = c->url.path ? connect_unix(c, &con->err) : connect_tcp(c, &con->err);
    if (fd < 0) {
        return;
    }
    int64_t until_ms = now_ms() + c->timeout_ms;
    con->stream = redis_stream_new(fd);
    int rc = secure(c, until_ms, con);
    if (rc == 0) {
        rc = shake_hands(c, texts, n, until_ms, con);
    }
    if (rc != 0) {
        con->refused = con->refused || rc == -EACCES || rc == -EINVAL;
        err_wrap(&con->err, "redis %s", c->where);
        redis_stream_close(con->stream);
        con->stream = NULL;
    }
}

/* Sleep until a connection is wanted and its time has come. Returns false at stop. */
static bool next_job(struct redis_connector *c, const char **texts, size_t *n)
{
    for (;;) {
        MUST(pthread_mutex_lock(&c->mu));
        bool stopping = c->stopping;
        int64_t at_ms = c->wanted ? c->at_ms : NOW_FOREVER;
        *n = c->script_count;
        memcpy(texts, c->texts, sizeof c->texts);
        MUST(pthread_mutex_unlock(&c->mu));
        if (stopping) {
            return false;
        }
        if (at_ms <= now_ms()) {
            return true;
        }
        struct pollfd fd = {.fd = c->nudge_fd, .events = POLLIN};
        int timeout = at_ms == NOW_FOREVER ? -1 : poll_timeout(at_ms);
        if (poll(&fd, 1, timeout) > 0) {
            drain_nudges(c->nudge_fd);
        }
    }
}

static void *connector_main(void *arg)
{
    struct redis_connector *c = arg;
    const char *texts[REDIS_SCRIPTS_MAX];
    size_t n;
    while (next_job(c, texts, &n)) {
        struct redis_connection con;
        make_connection(c, texts, n, &con);
        MUST(pthread_mutex_lock(&c->mu));
        c->outcome = con;
        c->wanted = false;
        c->there = true;
        MUST(pthread_mutex_unlock(&c->mu));
        nudge(c->event_fd);
    }
    MUST(pthread_mutex_lock(&c->mu));
    c->ended = true;
    MUST(pthread_cond_signal(&c->ended_cond));
    MUST(pthread_mutex_unlock(&c->mu));
    return NULL;
}

struct redis_connector *redis_connector_start(const struct redis_url *url,
                                              const struct redis_trial *trial,
                                              int64_t timeout_ms, int event_fd)
{
    struct redis_connector *c = mem_zalloc(sizeof *c);
    /* copied, for the thread may outlive its owner in a stuck resolver */
    redis_url_copy(&c->url, url);
    c->trial = (struct redis_trial){trial->text, mem_strdup(trial->key)};
    struct str where;
    str_init(&where);
    if (url->path) {
        str_add(&where, url->path);
    } else {
        str_addf(&where, "%s:%s", url->host, url->port);
    }
    c->where = str_take(&where);
    str_release(&where);
    c->timeout_ms = timeout_ms;
    c->event_fd = fcntl(event_fd, F_DUPFD_CLOEXEC, 0);
    c->nudge_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ASSERT(c->event_fd >= 0 && c->nudge_fd >= 0);
    pthread_condattr_t attr;
    MUST(pthread_condattr_init(&attr));
    MUST(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
    MUST(pthread_mutex_init(&c->mu, NULL));
    MUST(pthread_cond_init(&c->ended_cond, &attr));
    MUST(pthread_condattr_destroy(&attr));
    MUST(pthread_create(&c->thread, NULL, connector_main, c));
    return c;
}

void redis_connector_want(struct redis_connector *c, int64_t at_ms,
                          const char *const *texts, size_t n)
{
    ASSERT(n <= REDIS_SCRIPTS_MAX);
    MUST(pthread_mutex_lock(&c->mu));
    ASSERT(!c->wanted && !c->there);
    c->wanted = true;
    c->at_ms = at_ms;
    c->script_count = n;
    memcpy(c->texts, texts, n * sizeof *texts);
    MUST(pthread_mutex_unlock(&c->mu));
    nudge(c->nudge_fd);
}

bool redis_connector_take(struct redis_connector *c, struct redis_connection *connection)
{
    MUST(pthread_mutex_lock(&c->mu));
    bool there = c->there;
    if (there) {
        *connection = c->outcome;
        c->there = false;
    }
    MUST(pthread_mutex_unlock(&c->mu));
    return there;
}

/* Wait for the thread's last word. Returns false when it is stuck. */
static bool wait_ended(struct redis_connector *c, int64_t until_ms)
{
    struct timespec until = {.tv_sec = until_ms / 1000,
                             .tv_nsec = until_ms % 1000 * 1000000};
    int rc = 0;
    MUST(pthread_mutex_lock(&c->mu));
    c->stopping = true;
    nudge(c->nudge_fd);
    while (!c->ended && rc == 0) {
        rc = pthread_cond_timedwait(&c->ended_cond, &c->mu, &until);
    }
    bool ended = c->ended;
    MUST(pthread_mutex_unlock(&c->mu));
    return ended;
}

void redis_connector_stop(struct redis_connector *c, int64_t until_ms)
{
    if (!wait_ended(c, until_ms)) {
        LOG(LOG_WARN, "redis resolver is stuck and is left behind", LS("redis", c->where),
            LEND);
        return;
    }
    MUST(pthread_join(c->thread, NULL));
    if (c->there) {
        redis_stream_close(c->outcome.stream);
    }
    close(c->event_fd);
    close(c->nudge_fd);
    MUST(pthread_mutex_destroy(&c->mu));
    MUST(pthread_cond_destroy(&c->ended_cond));
    redis_url_release(&c->url);
    free((char *)c->trial.key);
    free(c->where);
    free(c);
}
