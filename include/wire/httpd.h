/* A small HTTP/1.1 server on its own thread: the one door to libmicrohttpd (epoll).
 *
 * For the admin port and for mock-cd. Bounded: connections, header and body bytes, idle
 * time. A URL of 8 KiB with some hundred query values fits beside the usual headers; what
 * does not fit gets 414 or 431. A handler answers at once or later, from any thread.
 * Bodies are read whole before the handler runs; forms are never parsed (libmicrohttpd's
 * form parser had CVE-2023-27371). */
#ifndef WIRE_HTTPD_H
#define WIRE_HTTPD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct httpd;
/* Lives from the handler's call until it was decided (httpd_reply, stream, reset, hang,
 * trickle), whatever the peer and httpd_stop do meanwhile. */
struct httpd_request;

struct httpd_options {
    const char *address; /* "127.0.0.1", "::1", "[::1]" */
    int port;            /* 0: any free one */
    int port_tries;      /* when taken, try so many following ports; 0: none */
    int connections_max;
    int per_address_max; /* of them, from one address; 0: all. More are closed */
    size_t body_max;     /* larger requests get 413 */
    int idle_timeout_s;  /* 0: none */
    int threads;         /* 1: one loop; more: a pool (mock-cd under load) */
    /* On a loop thread; must not block. Decides now or leaves it to any thread. */
    void (*handle)(void *arg, struct httpd_request *request);
    /* The peer left (or shut down its sending side) or the server stops before the
     * decision, which is still due and then has no effect. At once: nobody polls. On a
     * thread of its own; may be NULL. */
    void (*aborted)(void *arg, struct httpd_request *request);
    void *arg;
};

/* Returns NULL with a sentence (address in use, not permitted, bad address). */
struct httpd *httpd_start(const struct httpd_options *options, struct err *err);
void httpd_stop(
    struct httpd *httpd); /* open requests are dropped; returns when the threads ended */
int httpd_port(const struct httpd *httpd);

const char *httpd_method(const struct httpd_request *r);
const char *httpd_path(const struct httpd_request *r); /* decoded, without query */
const char *httpd_query(const struct httpd_request *r,
                        const char *name); /* NULL when absent */
/* The nth value of a name that comes more than once (?ref=a&ref=b), from 0, in the order
 * of the URL; NULL behind the last. */
const char *httpd_query_nth(const struct httpd_request *r, const char *name, size_t n);
const char *httpd_header(const struct httpd_request *r,
                         const char *name); /* NULL when absent */
const char *httpd_body(const struct httpd_request *r, size_t *len);
void httpd_each_header(const struct httpd_request *r,
                       void (*fn)(void *arg, const char *name, const char *value),
                       void *arg);

/* Exactly one of these five per request decides it; any thread, also after httpd_stop.
 * headers: name, value, name, value, ..., NULL; NULL for none; one with a line break is
 * left out. The body is copied; it is not sent in answer to HEAD. */
void httpd_reply(struct httpd_request *r, int status, const char *const *headers,
                 const char *body, size_t len);

/* A body that goes on until pull ends it, in chunks of its own. */
struct httpd_stream {
    /* Put what comes next at out, at most max bytes. Returns how many; 0: nothing now,
     * call again after httpd_stream_wake; negative: the end. On a loop thread; must not
     * block. Never called while the peer does not take what it was given. */
    ssize_t (*pull)(void *arg, char *out, size_t max);
    /* The last call, once, whoever ended it: the peer is gone, or pull ended the body, or
     * the server stops. On a loop thread. Once it returned the request is no more. */
    void (*closed)(void *arg);
    void *arg;
};

/* From inside the handler only. stream: copied. The request may be woken and cut until
 * `closed` has returned. */
void httpd_stream(struct httpd_request *r, int status, const char *const *headers,
                  const struct httpd_stream *stream);
void httpd_stream_wake(struct httpd_request *r); /* any thread; never blocks */
/* Close at once, whatever is on its way: for a peer that takes nothing. Any thread. */
void httpd_stream_cut(struct httpd_request *r);

/* Misbehave, for mock-cd: cut the connection with a reset, or never answer (the request
 * is held until the peer leaves or httpd_stop), or answer with a body that trickles one
 * byte per `every_ms` for ever. */
void httpd_reset(struct httpd_request *r);
void httpd_hang(struct httpd_request *r);
void httpd_trickle(struct httpd_request *r, int status, int64_t every_ms);

const char *httpd_library_version(void);

#endif
