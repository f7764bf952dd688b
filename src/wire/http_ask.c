#include "wire/http_ask.h"

#include <errno.h>

#include "base/err.h"
#include "base/now.h"
#include "sync/waitgroup.h"

/* Is there nothing that a longer life of its context could have changed? */
static bool is_whole(const struct http_call *call)
{
    return (call->end == HTTP_END_ANSWERED && call->error[0] == '\0') ||
           call->end == HTTP_END_TOO_LARGE || call->end == HTTP_END_REFUSED ||
           call->end == HTTP_END_STALE;
}

static int rc_of(const struct http_call *call)
{
    if (is_whole(call)) {
        return 0;
    }
    int rc = call->ctx != NULL ? ctx_err(call->ctx) : 0;
    if (rc == 0 && call->end == HTTP_END_RECALLED) {
        return -ECANCELED; /* the loop stops */
    }
    return rc;
}

static void keep_answer(struct http_ask *ask)
{
    struct http_call *call = &ask->call;
    size_t len = call->answer_len;
    http_answer_take(call, &ask->body);
    call->answer = ask->body.data;
    call->answer_len = len;
    if (call->answer_headers != NULL) {
        ask->headers = *call->answer_headers;
        str_init(call->answer_headers);
        call->answer_headers = &ask->headers;
    }
}

static void on_done(struct http_call *call)
{
    struct http_ask *ask = call->arg;
    keep_answer(ask);
    ask->rc = rc_of(call);
    if (ask->waiter != NULL) {
        waitgroup_done(ask->waiter);
    } else {
        ask->done(ask);
    }
}

static void start(struct http *http, struct ctx *ctx, struct http_ask *ask,
                  struct waitgroup *waiter)
{
    ask->rc = 0;
    ask->waiter = waiter;
    str_init(&ask->body);
    str_init(&ask->headers);
    ask->call.ctx = ctx;
    ask->call.done = on_done;
    ask->call.arg = ask;
    http_submit(http, &ask->call);
}

void http_ask_start(struct http *http, struct ctx *ctx, struct http_ask *ask)
{
    ASSERT(ask->done != NULL);
    start(http, ctx, ask, NULL);
}

int http_ask(struct http *http, struct ctx *ctx, struct http_ask *ask)
{
    struct waitgroup waiter;
    waitgroup_init(&waiter);
    waitgroup_add(&waiter, 1);
    start(http, ctx, ask, &waiter);
    MUST(waitgroup_wait(&waiter, NOW_FOREVER));
    waitgroup_release(&waiter);
    return ask->rc;
}

void http_ask_release(struct http_ask *ask)
{
    str_release(&ask->body);
    str_release(&ask->headers);
    ask->call.answer = "";
    ask->call.answer_len = 0;
    ask->call.answer_headers = NULL;
}
