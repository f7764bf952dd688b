/* Ask and wait: an HTTP call bound to a context, over wire/http.
 *
 * The end of the context is the end of the call: a cancel takes it out of the queue or
 * closes its connection at once, and its deadline cuts the wait for room and the timeout
 * (as it stood when the call was handed in: ctx_set_deadline later is not noticed). The
 * request may have been read by then: `call.end` says what can be known.
 *
 * Locks: the loop's is taken under the context's, so nobody asks with a lock held that a
 * watch of the same context takes. */
#ifndef WIRE_HTTP_ASK_H
#define WIRE_HTTP_ASK_H

#include "base/str.h"
#include "sync/ctx.h"
#include "wire/http.h"

struct http_ask {
    /* As for http_submit, all strings borrowed until the end; done, arg and ctx are ours.
     * After the end its results stay readable until http_ask_release, `answer` and
     * http_answer_header included. */
    struct http_call call;
    void (*done)(struct http_ask *ask); /* of http_ask_start. On the loop; never blocks;
                                           may release and free the ask */
    void *arg;

    /* out */
    int rc; /* 0: it ended by itself, look at call.end. -ECANCELED, -ETIMEDOUT: its
               context ended before there was a whole answer */
    struct str body; /* what call.answer points into; may be taken (str_take) */

    /* ours */
    struct str headers;
    void *waiter;
};

/* Start it and return. ctx  borrowed until done; NULL: none.
 * `done` runs once, on the loop, also when the context has ended already; when the loop
 * is stopping, on a thread that submits. Any thread, also from a done function. */
void http_ask_start(struct http *http, struct ctx *ctx, struct http_ask *ask);

/* Wait for its end. Not on the loop (in a done function). Returns ask->rc. */
int http_ask(struct http *http, struct ctx *ctx, struct http_ask *ask)
    __attribute__((warn_unused_result));

/* Free what the answer holds. After the end, once for each ask. */
void http_ask_release(struct http_ask *ask);

#endif
