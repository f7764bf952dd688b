/* Design.
 *
 * libmicrohttpd's loop threads read a request whole and call the handler. When the
 * handler has decided before it returns, the answer is queued at once. Otherwise the
 * connection is suspended, which takes its socket out of libmicrohttpd's epoll set, and
 * the decision resumes it later. Nobody would notice a peer that leaves in between, so a
 * thread of our own, the watcher, waits for hang-ups on the sockets of suspended
 * connections, and for the time of the next byte of trickling bodies.
 *
 * A request has two owners: the connection (until libmicrohttpd says it is completed) and
 * the handler (until it has decided); the last one out frees it. What the handler may
 * read is copied, so it stays readable after the peer has left.
 *
 * One lock, `mu`, guards the list of requests and every request's stage. libmicrohttpd's
 * suspend and resume are called under it (they take its inner locks and call nothing of
 * ours), handler functions never are. A request keeps the httpd's memory, so a decision
 * that comes after httpd_stop finds its request dropped and does no harm. */
#include "wire/httpd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/now.h"
#include "base/str.h"
#include "wire/httpd_inside.h"
#include "wire/httpd_socket.h"
#include "wire/httpd_watch.h"

enum {
    HEAD_BYTES_MAX =
        64 * 1024, /* of libmicrohttpd, a request: its head, 60 bytes more for
                      each header and query value, and what it reads into */
    DRAIN_BYTES_MAX = 256 * 1024, /* read away past body_max, so that a 413 is seen */
    STACK_BYTES = 512 * 1024,
    POLL_CONNECTIONS_MAX = 256,
};

/* --- lives --- */

static struct httpd *httpd_new(const struct httpd_options *options)
{
    struct httpd *httpd = mem_zalloc(sizeof *httpd);
    httpd->options = *options;
    httpd->owners = 1;
    MUST(pthread_mutex_init(&httpd->mu, NULL));
    return httpd;
}

/* Unlocks. */
static void disown_httpd_locked(struct httpd *httpd)
{
    bool last = --httpd->owners == 0;
    MUST(pthread_mutex_unlock(&httpd->mu));
    if (last) {
        MUST(pthread_mutex_destroy(&httpd->mu));
        free(httpd);
    }
}

static struct httpd_request *request_new(struct httpd *httpd,
                                         struct MHD_Connection *connection)
{
    struct httpd_request *r = mem_zalloc(sizeof *r);
    r->httpd = httpd;
    r->connection = connection;
    r->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
                ->connect_fd;
    r->owners = 1;
    str_init(&r->headers);
    str_init(&r->query);
    str_init(&r->body);

    MUST(pthread_mutex_lock(&httpd->mu));
    httpd->owners++;
    LIST_INSERT_HEAD(&httpd->requests, r, link);
    MUST(pthread_mutex_unlock(&httpd->mu));
    return r;
}

static void request_free(struct httpd_request *r)
{
    if (r->response) {
        MHD_destroy_response(r->response);
    }
    free(r->method);
    free(r->path);
    str_release(&r->headers);
    str_release(&r->query);
    str_release(&r->body);
    free(r);
}

/* Unlocks. */
static void disown_locked(struct httpd_request *r)
{
    struct httpd *httpd = r->httpd;
    if (--r->owners > 0) {
        MUST(pthread_mutex_unlock(&httpd->mu));
        return;
    }
    disown_httpd_locked(httpd);
    request_free(r);
}

/* --- suspended connections --- */

void httpd_resume_locked(struct httpd_request *r)
{
    ASSERT(r->suspended);
    r->suspended = false;
    MHD_resume_connection(r->connection);
}

void httpd_suspend_locked(struct httpd_request *r)
{
    r->suspended = true;
    MHD_suspend_connection(r->connection);
}

static void hold_locked(struct httpd_request *r)
{
    r->stage = HELD;
    httpd_suspend_locked(r);
    httpd_watch_add(r->httpd->watch, r->fd);
}

/* Hang-ups are rare and requests at most connections_max: a walk will do. */
static struct httpd_request *watched_locked(struct httpd *httpd, int fd)
{
    struct httpd_request *r;
    LIST_FOREACH(r, &httpd->requests, link)
    {
        if ((r->stage == HELD || r->stream.pull) && r->fd == fd) {
            break;
        }
    }
    return r;
}

static void decide_locked(struct httpd_request *r, enum decision decision)
{
    bool held = r->stage == HELD;
    r->stage = DECIDED;
    r->decision = decision;
    if (held) {
        httpd_resume_locked(r);
    }
}

/* Close without an answer. Returns whether the owner must be told; then the caller owns
 * the request too until tell_aborted. */
static bool drop_locked(struct httpd_request *r)
{
    decide_locked(r, CLOSE);
    if (r->hung) {
        return false;
    }
    r->owners++;
    return true;
}

static void tell_aborted(struct httpd_request *r)
{
    const struct httpd_options *options = &r->httpd->options;
    if (options->aborted) {
        options->aborted(options->arg, r);
    }
    MUST(pthread_mutex_lock(&r->httpd->mu));
    disown_locked(r);
}

/* --- the watcher --- */

static void on_gone(void *arg, int fd)
{
    struct httpd *httpd = arg;
    MUST(pthread_mutex_lock(&httpd->mu));
    struct httpd_request *r = watched_locked(httpd, fd);
    bool tell = false;
    if (r && httpd_socket_is_gone(fd)) {
        if (r->stage == HELD) {
            tell = drop_locked(r);
        } else {
            httpd_stream_cut_locked(r);
        }
    } else if (r) {
        httpd_watch_add(httpd->watch, fd);
    }
    MUST(pthread_mutex_unlock(&httpd->mu));
    if (tell) {
        tell_aborted(r);
    }
}

/* Resume the trickling bodies that are due. Returns how long until the next one. */
static int64_t on_alarm(void *arg)
{
    struct httpd *httpd = arg;
    int64_t now = now_ms();
    int64_t next = -1;
    MUST(pthread_mutex_lock(&httpd->mu));
    struct httpd_request *r;
    LIST_FOREACH(r, &httpd->requests, link)
    {
        if (r->every_ms == 0 || !r->suspended) {
            continue;
        }
        if (r->due_ms <= now) {
            httpd_resume_locked(r);
        } else if (next < 0 || r->due_ms - now < next) {
            next = r->due_ms - now;
        }
    }
    MUST(pthread_mutex_unlock(&httpd->mu));
    return next;
}

/* --- libmicrohttpd's side --- */

static enum MHD_Result copy_pair(void *arg, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    (void)kind;
    httpd_pairs_add(arg, name, value ? value : "");
    return MHD_YES;
}

static struct MHD_Response *response_of(const char *body, size_t len)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, (void *)(body ? body : ""),
                                        MHD_RESPMEM_MUST_COPY);
    ASSERT(response);
    return response;
}

static enum MHD_Result refuse_body(struct httpd_request *r)
{
    static const char text[] = "body too large\n";
    struct MHD_Response *response = response_of(text, sizeof text - 1);
    enum MHD_Result rc =
        MHD_queue_response(r->connection, MHD_HTTP_CONTENT_TOO_LARGE, response);
    MHD_destroy_response(response);
    return rc;
}

/* Headers are here, the body is not. A body that is said to be far too large is refused
 * before it is sent. */
static enum MHD_Result begin(struct httpd_request *r)
{
    const char *text = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND,
                                                   MHD_HTTP_HEADER_CONTENT_LENGTH);
    int64_t len;
    if (text && (text_parse_int(text, 0, INT64_MAX, &len) != 0 ||
                 (uint64_t)len > r->httpd->options.body_max + DRAIN_BYTES_MAX)) {
        return refuse_body(r);
    }
    return MHD_YES;
}

static enum MHD_Result read_body(struct httpd_request *r, const char *data, size_t *len)
{
    const size_t body_max = r->httpd->options.body_max;
    r->body_seen += *len;
    if (r->body_seen <= body_max) {
        str_put(&r->body, data, *len);
    }
    *len = 0;
    return r->body_seen <= body_max + DRAIN_BYTES_MAX ? MHD_YES : MHD_NO;
}

static enum MHD_Result carry_out(struct httpd_request *r)
{
    if (r->decision == ANSWER) {
        return MHD_queue_response(r->connection, (unsigned)r->status, r->response);
    }
    if (r->decision == RESET) {
        httpd_socket_reset(r->fd);
    }
    return MHD_NO;
}

static enum MHD_Result handle(struct httpd_request *r, const char *method,
                              const char *path)
{
    struct httpd *httpd = r->httpd;
    if (r->body_seen > httpd->options.body_max) {
        return refuse_body(r);
    }
    r->method = mem_strdup(method);
    r->path = mem_strdup(path);
    MHD_get_connection_values(r->connection, MHD_HEADER_KIND, copy_pair, &r->headers);
    MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, copy_pair, &r->query);
    MUST(pthread_mutex_lock(&httpd->mu));
    r->stage = HANDLING;
    r->owners = 2;
    MUST(pthread_mutex_unlock(&httpd->mu));
    httpd->options.handle(httpd->options.arg, r);

    bool tell = false;
    MUST(pthread_mutex_lock(&httpd->mu));
    if (r->stage == HANDLING && httpd->stopping) {
        tell = drop_locked(r);
    } else if (r->stage == HANDLING) {
        hold_locked(r);
    }
    bool decided = r->stage == DECIDED;
    MUST(pthread_mutex_unlock(&httpd->mu));
    if (tell) {
        tell_aborted(r);
        return MHD_NO;
    }
    return decided ? carry_out(r) : MHD_YES;
}

/* Called for the headers, for each piece of the body, at its end, and again after a
 * resume. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection,
                                  const char *url, const char *method,
                                  const char *version, const char *data, size_t *len,
                                  void **slot)
{
    (void)version;
    struct httpd_request *r = *slot;
    if (!r) {
        r = request_new(arg, connection);
        *slot = r;
        return begin(r);
    }
    if (*len > 0) {
        return read_body(r, data, len);
    }
    return r->stage == READING ? handle(r, method, url) : carry_out(r);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **slot,
                         enum MHD_RequestTerminationCode code)
{
    (void)connection;
    (void)code;
    struct httpd *httpd = arg;
    struct httpd_request *r = *slot;
    *slot = NULL;
    if (!r) {
        return;
    }
    MUST(pthread_mutex_lock(&httpd->mu));
    ASSERT(!r->suspended);
    LIST_REMOVE(r, link);
    r->every_ms = 0;
    r->connection = NULL;
    if (r->stream.pull) {
        MUST(pthread_mutex_unlock(&httpd->mu));
        r->stream.closed(r->stream.arg);
        MUST(pthread_mutex_lock(&httpd->mu));
    }
    disown_locked(r);
}

/* A %00 would cut the path for whoever reads it as text: such text stays as it came. */
static size_t on_unescape(void *arg, struct MHD_Connection *connection, char *text)
{
    (void)arg;
    (void)connection;
    return strstr(text, "%00") ? strlen(text) : MHD_http_unescape(text);
}

/* The next byte of a trickling body, or none yet: then the watcher resumes us. */
static ssize_t on_trickle(void *arg, uint64_t at, char *out, size_t max)
{
    (void)at;
    (void)max;
    struct httpd_request *r = arg;
    struct httpd *httpd = r->httpd;
    ssize_t n = 0;
    MUST(pthread_mutex_lock(&httpd->mu));
    if (httpd->stopping) {
        n = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (r->due_ms <= now_ms()) {
        r->due_ms = now_ms() + r->every_ms;
        *out = '.';
        n = 1;
    } else {
        httpd_suspend_locked(r);
        httpd_watch_wake(httpd->watch);
    }
    MUST(pthread_mutex_unlock(&httpd->mu));
    return n;
}

/* --- start and stop --- */

/* libmicrohttpd's epoll is edge-triggered and stops reading at a short read: it misses
 * the end of a peer that left before it was accepted, and keeps its place until the
 * idle timeout. poll tells it. With many connections poll is slow, and places are plenty.
 */
static unsigned loop_kind(const struct httpd_options *options)
{
    return options->connections_max <= POLL_CONNECTIONS_MAX
               ? MHD_USE_POLL_INTERNAL_THREAD
               : MHD_USE_EPOLL_INTERNAL_THREAD;
}

static struct MHD_Daemon *start_daemon(struct httpd *httpd, int listen_fd)
{
    const struct httpd_options *o = &httpd->options;
    struct MHD_OptionItem pool[] = {
        {MHD_OPTION_THREAD_POOL_SIZE, o->threads, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    if (o->threads <= 1) {
        pool[0].option = MHD_OPTION_END; /* the pool's least size is 2 */
    }
    return MHD_start_daemon(loop_kind(o) | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
                            on_request, httpd, MHD_OPTION_LISTEN_SOCKET, listen_fd,
                            MHD_OPTION_NOTIFY_COMPLETED, on_completed, httpd,
                            MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, NULL,
                            MHD_OPTION_CONNECTION_LIMIT, (unsigned)o->connections_max,
                            MHD_OPTION_PER_IP_CONNECTION_LIMIT,
                            (unsigned)o->per_address_max, MHD_OPTION_CONNECTION_TIMEOUT,
                            (unsigned)o->idle_timeout_s,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_BYTES_MAX,
                            MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_BYTES,
                            MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY, pool,
                            MHD_OPTION_END);
}

struct httpd *httpd_start(const struct httpd_options *options, struct err *err)
{
    ASSERT(options->handle && options->connections_max > 0);
    int port;
    int listen_fd = httpd_socket_listen(options->address, options->port,
                                        options->port_tries, &port, err);
    if (listen_fd < 0) {
        return NULL;
    }
    struct httpd *httpd = httpd_new(options);
    httpd->options.address = NULL; /* borrowed for the call only */
    httpd->port = port;
    const struct httpd_watch_options watch = {.gone = on_gone,
                                              .alarm = on_alarm,
                                              .arg = httpd};
    httpd->watch = httpd_watch_start(&watch, err);
    if (!httpd->watch) {
        goto disown;
    }
    httpd->daemon = start_daemon(httpd, listen_fd);
    if (httpd->daemon) {
        return httpd;
    }
    err_set(err, -EIO, "the HTTP server could not be started: %s", strerror(errno));
    httpd_watch_stop(httpd->watch);

disown:
    close(listen_fd);
    MUST(pthread_mutex_lock(&httpd->mu));
    disown_httpd_locked(httpd);
    return NULL;
}

/* From here on nothing is suspended any more, which MHD_stop_daemon insists on. Returns
 * the requests whose owners must be told. */
static struct httpd_request *resume_all(struct httpd *httpd)
{
    struct httpd_request *aborted = NULL;
    MUST(pthread_mutex_lock(&httpd->mu));
    httpd->stopping = true;
    struct httpd_request *r;
    LIST_FOREACH(r, &httpd->requests, link)
    {
        if (r->stage == HELD && drop_locked(r)) {
            r->next_aborted = aborted;
            aborted = r;
        } else if (r->suspended) {
            httpd_resume_locked(r);
        }
    }
    MUST(pthread_mutex_unlock(&httpd->mu));
    return aborted;
}

void httpd_stop(struct httpd *httpd)
{
    struct httpd_request *r = resume_all(httpd);
    while (r) {
        struct httpd_request *next = r->next_aborted;
        tell_aborted(r);
        r = next;
    }
    MHD_stop_daemon(httpd->daemon); /* closes the listening socket too */
    httpd_watch_stop(httpd->watch);
    MUST(pthread_mutex_lock(&httpd->mu));
    ASSERT(LIST_EMPTY(&httpd->requests));
    disown_httpd_locked(httpd);
}

int httpd_port(const struct httpd *httpd)
{
    return httpd->port;
}

/* --- deciding --- */

void httpd_decide(struct httpd_request *r, enum decision decision, int status,
                  struct MHD_Response *response, int64_t every_ms)
{
    MUST(pthread_mutex_lock(&r->httpd->mu));
    ASSERT(!r->response && !r->hung);
    r->response = response;
    r->status = status;
    r->every_ms = every_ms;
    if (r->stage != DECIDED) {
        decide_locked(r, decision);
    }
    disown_locked(r);
}

void httpd_add_headers(struct MHD_Response *response, const char *const *headers)
{
    for (const char *const *h = headers; h && h[0]; h += 2) {
        /* libmicrohttpd refuses names and values with line breaks: they stay out. */
        (void)MHD_add_response_header(response, h[0], h[1]);
    }
}

void httpd_reply(struct httpd_request *r, int status, const char *const *headers,
                 const char *body, size_t len)
{
    struct MHD_Response *response = response_of(body, len);
    httpd_add_headers(response, headers);
    httpd_decide(r, ANSWER, status, response, 0);
}

void httpd_reset(struct httpd_request *r)
{
    httpd_decide(r, RESET, 0, NULL, 0);
}

void httpd_hang(struct httpd_request *r)
{
    MUST(pthread_mutex_lock(&r->httpd->mu));
    r->hung = true;
    disown_locked(r);
}

void httpd_trickle(struct httpd_request *r, int status, int64_t every_ms)
{
    ASSERT(every_ms > 0);
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 64, on_trickle, r, NULL);
    ASSERT(response);
    httpd_decide(r, ANSWER, status, response, every_ms);
}

const char *httpd_library_version(void)
{
    return MHD_get_version();
}
