/* Design. A streaming body is pulled by libmicrohttpd's loop whenever the socket takes
 * more; with nothing to give the connection is suspended until somebody wakes it. A
 * wake-up that comes while pull runs is remembered (`woken`), so none is lost. A
 * suspended connection is in nobody's poll set but the watcher's, which sees its peer
 * leave. libmicrohttpd would let a peer that takes nothing keep its place until the idle
 * timeout: a cut shuts the socket down, which its poll notices. */
#include "wire/httpd_inside.h"

#include <sys/socket.h>

enum {
    BLOCK_BYTES = 4096,      /* at a time, to an HTTP/1.0 peer */
    SOCKET_BYTES = 64 << 10, /* what the kernel may hold for one peer */
};

void httpd_stream_cut_locked(struct httpd_request *r)
{
    r->cut = true;
    if (r->suspended) {
        httpd_resume_locked(r);
    } else if (r->connection) {
        (void)shutdown(r->fd, SHUT_RDWR);
    }
}

/* Nothing to give: wait, unless there is a reason to look again. */
static bool rest(struct httpd_request *r)
{
    MUST(pthread_mutex_lock(&r->httpd->mu));
    bool again = r->woken || r->cut || r->httpd->stopping;
    if (!again) {
        httpd_suspend_locked(r);
    }
    MUST(pthread_mutex_unlock(&r->httpd->mu));
    return !again;
}

static bool may_pull(struct httpd_request *r)
{
    MUST(pthread_mutex_lock(&r->httpd->mu));
    r->woken = false;
    bool may = !r->cut && !r->httpd->stopping;
    MUST(pthread_mutex_unlock(&r->httpd->mu));
    return may;
}

static ssize_t on_stream(void *arg, uint64_t at, char *out, size_t max)
{
    (void)at;
    struct httpd_request *r = arg;
    while (may_pull(r)) {
        ssize_t n = r->stream.pull(r->stream.arg, out, max);
        if (n != 0) {
            return n > 0 ? n : MHD_CONTENT_READER_END_OF_STREAM;
        }
        if (rest(r)) {
            return 0;
        }
    }
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

void httpd_stream(struct httpd_request *r, int status, const char *const *headers,
                  const struct httpd_stream *stream)
{
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, on_stream, r,
                                          NULL);
    ASSERT(response);
    httpd_add_headers(response, headers);
    int bytes = SOCKET_BYTES;
    (void)setsockopt(r->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    MUST(pthread_mutex_lock(&r->httpd->mu));
    ASSERT(r->stage == HANDLING);
    r->stream = *stream;
    httpd_watch_add(r->httpd->watch, r->fd);
    MUST(pthread_mutex_unlock(&r->httpd->mu));
    httpd_decide(r, ANSWER, status, response, 0);
}

void httpd_stream_wake(struct httpd_request *r)
{
    MUST(pthread_mutex_lock(&r->httpd->mu));
    r->woken = true;
    if (r->suspended) {
        httpd_resume_locked(r);
    }
    MUST(pthread_mutex_unlock(&r->httpd->mu));
}

void httpd_stream_cut(struct httpd_request *r)
{
    MUST(pthread_mutex_lock(&r->httpd->mu));
    httpd_stream_cut_locked(r);
    MUST(pthread_mutex_unlock(&r->httpd->mu));
}
