/* HTTP calls on one loop thread: epoll over libcurl multi handles of at most 64 calls
 * each.
 *
 * A call is started from any thread with a not-before time and ends with `done`, which
 * runs on the loop exactly once for every started call, also at stop. Nothing sleeps: a
 * grant in the future and a retry's backoff are a call started at t. The call's memory is
 * the caller's from before http_start until done returns; strings in it are borrowed for
 * the same time.
 *
 * Bounded: calls running in the process (in_flight), calls running per pool (a target),
 * the header and body bytes kept. TLS is verified, redirects are not followed, no proxy
 * is taken from the environment, link-local and cloud metadata addresses are refused at
 * connect whatever a name resolves to, no compression is asked for. A pool may bring
 * trust and a certificate of its own; connections are then its own, too. Headers that
 * frame a message (content-length, transfer-encoding, connection, upgrade, expect, te)
 * are the loop's own: a call that brings one is refused, as is one with a control
 * character in its method, a header name or a value. A request goes out at most once per
 * call: what libcurl would send again by itself ends as UNCERTAIN instead.
 *
 * Why shards: libcurl walks a multi handle's whole connection list to find an idle one;
 * wide handles get slower with width (measured, 7.88.1). */
#ifndef WIRE_HTTP_H
#define WIRE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/metrics.h"
#include "base/str.h"
#include "sync/ctx.h"

struct http;      /* the loop */
struct http_pool; /* calls to one downstream share a pool */

enum {
    HTTP_BODY_KEPT_MAX =
        16 * 1024, /* of an answer; more is read away up to HTTP_BODY_READ_MAX */
    HTTP_BODY_READ_MAX = 1024 * 1024,   /* then the call ends with HTTP_END_TOO_LARGE */
    HTTP_ANSWER_MAX = 32 * 1024 * 1024, /* the largest answer_max */
    HTTP_HEADER_BYTES_MAX = 64 * 1024,
    HTTP_SHARD_CALLS = 64,
    HTTP_HEADERS_MAX = 64, /* of a request */
    HTTP_ERROR_MAX = 160,
};

/* How far a call got. What matters to a retry is whether the target can have seen the
 * request. */
enum http_end {
    HTTP_END_ANSWERED,  /* a status line and headers arrived; body possibly cut */
    HTTP_END_RECALLED,  /* not started: http_recall, http_abort, the end of its ctx or
                           stop came first */
    HTTP_END_STALE,     /* not started: may_start said no */
    HTTP_END_REFUSED,   /* not sent and never will be: bad URL, scheme, method or header,
                           forbidden address */
    HTTP_END_NOT_SENT,  /* resolve, connect or TLS failed or timed out: no request byte
                           left */
    HTTP_END_UNCERTAIN, /* sent in whole or part, then timeout, reset or garbage */
    HTTP_END_TOO_LARGE, /* answered, but header or body passed its bound; status is valid
                         */
};

struct http_header {
    const char *name;
    const char *value;
};

struct http_call {
    /* set by the caller */
    struct http_pool *pool;
    const char *method; /* "POST" */
    const char *url;
    const struct http_header *headers; /* not those that frame the message, see below */
    size_t header_count;               /* at most HTTP_HEADERS_MAX */
    const char *body;                  /* NULL: none */
    size_t body_len;
    int64_t timeout_ms;         /* the whole call, from its real start; above 0 */
    int64_t connect_timeout_ms; /* resolve, connect and TLS; 0: timeout_ms */
    int64_t not_before_ms;      /* monotonic; 0 or the past: as soon as there is room */
    size_t answer_max; /* keep so much of the answer's body, at most HTTP_ANSWER_MAX, and
                          end as TOO_LARGE when there is more; 0: keep
                          HTTP_BODY_KEPT_MAX and read the rest away */
    struct ctx *ctx;   /* NULL: none. Its cancel aborts the call, its deadline cuts the
                          wait and timeout_ms; borrowed until done. See http_ask.h */
    bool (*may_start)(
        struct http_call *call); /* NULL: always. On the loop, at the real start */
    void (*done)(
        struct http_call *call); /* on the loop; never blocks; may free the call */
    void *arg;

    /* set by the loop, readable in done */
    enum http_end end;
    int status;             /* 0 when there was none */
    int64_t started_ms;     /* monotonic; 0 when it never started */
    int64_t ended_ms;       /* monotonic */
    int64_t retry_after_ms; /* the header in either form as a duration from now; -1:
                               absent or bad */
    const char *answer;     /* first bytes of the body, NUL-ended; valid in done only */
    size_t answer_len;      /* http_answer_take keeps it for longer */
    char error[HTTP_ERROR_MAX]; /* "" when the whole answer arrived; else it starts with
                                   "refused: ", "resolve: ", "connect: ", "tls: " (not
                                   sent), "answer: " (uncertain) or "body: " (answered,
                                   cut), and says "timed out" when that was it */

    /* owned by the loop, set by http_submit */
    struct http_call *next;
    struct http_call *prev;
    uint64_t order;
    int heap_index;
    int state;
    void *transfer;
    struct str *answer_headers; /* raw header lines, for http_answer_header */
    struct str *answer_body;    /* what `answer` points into */
    int64_t deadline_ms;        /* the ctx's when the loop took the call */
    int64_t due_ms;             /* its place in the heap */
    bool watched;
    struct ctx_watch watch;
    /* guarded by the loop's lock */
    struct http_call *ask_next;
    int asked;
};

struct http_options {
    int in_flight;           /* 1..4096: calls running in this process at a time */
    const char *ca_file;     /* NULL: the system's */
    const char *user_agent;  /* "sluice/0.1" */
    struct metrics *metrics; /* may be NULL */
};

/* Strings are copied. Returns owned, or NULL with a sentence: -EINVAL (in_flight,
 * ca_file) or -EIO (no descriptors, no thread). */
struct http *http_start(const struct http_options *options, struct err *err);

/* Every call that has not started is ended with HTTP_END_RECALLED, running ones are
 * aborted (their end says so: NOT_SENT or UNCERTAIN); returns after all done functions
 * and the thread have ended. A done function that answers RECALLED by submitting again
 * would keep it from ending. Not from a done function; NULL is allowed. */
void http_stop(struct http *http);

/* What a pool's https calls trust and show, as PEM text. */
struct http_tls {
    const char *ca_pem;      /* trusted instead of what the loop trusts; NULL: that */
    const char *cert_pem;    /* our certificate, its issuers after it; NULL: none */
    const char *key_pem;     /* its key, without a passphrase; both or neither */
    const char *server_name; /* the name or address that the server's certificate must
                                bear and that the handshake asks for, where it is not the
                                url's host; NULL: the host. The Host header stays the
                                url's */
    bool insecure;           /* believe any certificate */
};

/* A pool bounds the calls running to one downstream and may narrow the addresses it
 * connects to. A connection is never shared between a pool with TLS of its own and any
 * other pool. The pool lives until http_pool_free or http_stop. */
struct http_pool_options {
    const char *name; /* for logs */
    int max_running;  /* 1..in_flight */
    bool public_only; /* refuse loopback, private, CGNAT and unique-local addresses too */
    const struct http_tls *tls; /* NULL: as the loop */
};

/* All is copied. Returns owned, or NULL with a sentence, -EINVAL: a PEM that cannot be
 * read, a key that is not the certificate's. Any thread. */
struct http_pool *http_pool_open(struct http *http,
                                 const struct http_pool_options *options,
                                 struct err *err);

/* The same without TLS of its own, which cannot fail. */
struct http_pool *http_pool_new(struct http *http, const char *name, int max_running,
                                bool public_only);

/* Calls that start from now on use this (copied; NULL: as the loop) and none of the
 * connections made before; those that run end as they began. For certificates that
 * rotate. Returns 0, or -EINVAL with a sentence: all stays as it was. Any thread. */
int http_pool_renew(struct http_pool *pool, const struct http_tls *tls, struct err *err)
    __attribute__((warn_unused_result));

/* No call of the pool is open, and none will come. Any thread. */
void http_pool_free(struct http_pool *pool);

/* Hand a call to the loop. Any thread, also from a done function. After http_stop began
 * the call is ended at once as RECALLED. */
void http_submit(struct http *http, struct http_call *call);

/* Ask that a call which has not started never does: it ends as RECALLED. One that runs is
 * left to run; one that has ended is left alone. Asynchronous; any thread, from
 * http_submit on, while the call's memory is there (its owner has not left the barrier).
 */
void http_recall(struct http *http, struct http_call *call);

/* End a running call too, as if its timeout had passed. Asynchronous, like http_recall.
 * Both may race with the call's start and end; done runs once all the same. */
void http_abort(struct http *http, struct http_call *call);

/* A header of the answer, first one, name without case, cut to the buffer; NULL if
 * absent. In done only. */
const char *http_answer_header(const struct http_call *call, const char *name,
                               char *buffer, size_t buffer_len);

/* Keep the answer's body beyond done without copying it, a large one above all: reading
 * it does not belong on the loop. In done only, once; `answer` is then no more.
 * body  out: initialised, now the caller's. */
void http_answer_take(struct http_call *call, struct str *body);

int http_running(struct http *http); /* calls on the wire now */

const char *http_library_version(void);
const char *http_library_tls(void); /* "OpenSSL/3.0.17" */

#endif
