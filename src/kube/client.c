/* Design. A call becomes one of wire/http's, with the loop as its only clock: the rate
 * and a Retry-After are a call that starts later. What comes back is judged on the loop
 * just far enough to know whether it is sent again; reading it is left to who waits for
 * it.
 *
 * Locks: the identity's, the bucket's and a waiter's are never held together. */
#include "kube/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "kube/answer.h"
#include "kube/client_inside.h"
#include "kube/discovery_ask.h"
#include "kube/identity.h"

enum {
    TRY_MS = 60 * 1000, /* of one try, when the ctx allows more */
    AGAIN_MS = 100,     /* at least, before a GET is sent again that was told so */
    BROKEN_MAX = 1,     /* connections that break under one GET and it goes on */
};

struct kube {
    char *name;
    struct http *http;
    struct identity identity;
    struct discovery *discovery;
    double rate_per_s;
    double burst;
    pthread_mutex_t mu;
    /* guarded by mu: the bucket */
    double tokens;
    int64_t filled_ms;
};

/* Who waits in kube_do. */
struct waiter {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    bool ended; /* guarded by mu */
};

/* A call on its way. */
struct sending {
    struct http_call http;
    struct kube *kube;
    struct kube_call *call;
    void (*ended)(struct sending *s); /* on the loop, at the end */
    struct waiter *waiter;            /* of kube_do */
    struct str url;
    struct str authorization;
    struct http_header headers[3];
    struct answer answer;
    uint64_t generation; /* of the identity it is sent under */
    int retries;
    int broken;
    bool renewed;
};

/* --- a cluster --- */

struct kube *kube_open(struct http *http, const struct kube_options *options,
                       struct err *err)
{
    struct kube *kube = mem_zalloc(sizeof *kube);
    struct kube_options named = *options;
    kube->name = mem_strdup(options->name);
    named.name = kube->name;
    if (identity_open(&kube->identity, http, &named, err) != 0) {
        err_wrap(err, "cluster %.64s", kube->name);
        free(kube->name);
        free(kube);
        return NULL;
    }
    kube->http = http;
    kube->rate_per_s = options->rate_per_s;
    kube->burst = options->burst;
    kube->tokens = options->burst;
    kube->filled_ms = now_ms();
    kube->discovery = discovery_new(kube);
    MUST(pthread_mutex_init(&kube->mu, NULL));
    return kube;
}

void kube_close(struct kube *kube)
{
    if (kube == NULL) {
        return;
    }
    discovery_free(kube->discovery);
    identity_close(&kube->identity);
    MUST(pthread_mutex_destroy(&kube->mu));
    free(kube->name);
    free(kube);
}

const char *kube_name(const struct kube *kube)
{
    return kube->name;
}

const char *kube_server(const struct kube *kube)
{
    return kube->identity.access.server;
}

const char *kube_namespace(const struct kube *kube)
{
    return kube->identity.access.ns;
}

struct discovery *kube_discovery(const struct kube *kube)
{
    return kube->discovery;
}

/* When the next request may start: the bucket may be in debt, which is a queue. */
static int64_t take_token(struct kube *kube)
{
    int64_t now = now_ms();
    MUST(pthread_mutex_lock(&kube->mu));
    kube->tokens += (double)(now - kube->filled_ms) / 1000 * kube->rate_per_s;
    kube->tokens = kube->tokens > kube->burst ? kube->burst : kube->tokens;
    kube->filled_ms = now;
    kube->tokens -= 1;
    double debt = kube->tokens < 0 ? -kube->tokens : 0;
    MUST(pthread_mutex_unlock(&kube->mu));
    return debt > 0 ? now + (int64_t)(debt / kube->rate_per_s * 1000) + 1 : 0;
}

/* Of a request that never went out. */
static void give_token(struct kube *kube)
{
    MUST(pthread_mutex_lock(&kube->mu));
    kube->tokens += 1;
    MUST(pthread_mutex_unlock(&kube->mu));
}

/* --- a call --- */

static void sent(struct http_call *http);

static void forget(struct sending *s)
{
    mem_wipe(s->authorization.data, s->authorization.len);
    str_release(&s->authorization);
    str_release(&s->answer.body);
    str_release(&s->url);
    free(s);
}

static struct sending *prepare(struct kube *kube, struct kube_call *call,
                               void (*ended)(struct sending *s))
{
    struct sending *s = mem_zalloc(sizeof *s);
    s->kube = kube;
    s->call = call;
    s->ended = ended;
    str_init(&s->url);
    str_init(&s->authorization);
    str_init(&s->answer.body);
    str_addf(&s->url, "%s%s%s%s", kube->identity.access.server, call->path,
             call->query != NULL && call->query[0] != '\0' ? "?" : "",
             call->query != NULL ? call->query : "");
    s->headers[0] =
        (struct http_header){"accept", call->accept != NULL
                                           ? call->accept
                                           : (call->plain ? "*/*" : "application/json")};
    call->rc = 0;
    call->status = 0;
    call->doc = NULL;
    call->text = NULL;
    call->reason[0] = '\0';
    call->err = (struct err)ERR_INIT;
    return s;
}

/* Send it, or send it again. */
static void submit(struct sending *s, int64_t not_before_ms)
{
    struct kube_call *call = s->call;
    size_t n = 1;
    mem_wipe(s->authorization.data, s->authorization.len);
    str_clear(&s->authorization);
    s->generation = identity_authorization(&s->kube->identity, &s->authorization);
    if (s->authorization.len > 0) {
        s->headers[n++] = (struct http_header){"authorization", s->authorization.data};
    }
    if (call->content_type != NULL) {
        s->headers[n++] = (struct http_header){"content-type", call->content_type};
    }
    int64_t token_ms = take_token(s->kube);
    s->http = (struct http_call){
        .pool = s->kube->identity.pool,
        .method = call->method != NULL ? call->method : "GET",
        .url = s->url.data,
        .headers = s->headers,
        .header_count = n,
        .body = call->body,
        .body_len = call->body_len,
        .timeout_ms = TRY_MS,
        .connect_timeout_ms = KUBE_CONNECT_MS,
        .not_before_ms = token_ms > not_before_ms ? token_ms : not_before_ms,
        .answer_max = call->answer_max != 0 ? call->answer_max : KUBE_ANSWER_MAX,
        .ctx = call->ctx,
        .done = sent,
        .arg = s,
    };
    http_submit(s->kube->http, &s->http);
}

/* Is it sent again? not_before_ms: out. */
static bool comes_again(struct sending *s, int64_t *not_before_ms)
{
    const struct http_call *http = &s->http;
    const struct kube_call *call = s->call;
    bool get = strcmp(http->method, "GET") == 0;
    *not_before_ms = 0;
    if (call->ctx != NULL && ctx_err(call->ctx) != 0) {
        return false;
    }
    if (http->end == HTTP_END_UNCERTAIN) { /* mostly one that was kept for too long */
        bool final = strstr(http->error, "timed out") != NULL ||
                     answer_is_tls(http); /* it would end so again */
        return get && !final && s->broken++ < BROKEN_MAX;
    }
    if (http->end != HTTP_END_ANSWERED) {
        return false;
    }
    if (http->status == 401 && !s->renewed) {
        s->renewed = true;
        return identity_look(&s->kube->identity, true, s->generation);
    }
    bool told = (http->status == 429 || http->status == 503) && http->retry_after_ms >= 0;
    if (!get || !told || s->retries == KUBE_RETRIES_MAX) {
        return false;
    }
    s->retries++;
    int64_t wait_ms = http->retry_after_ms > AGAIN_MS ? http->retry_after_ms : AGAIN_MS;
    *not_before_ms = now_ms() + wait_ms;
    return call->ctx == NULL || *not_before_ms < ctx_deadline_ms(call->ctx);
}

static void sent(struct http_call *http)
{
    struct sending *s = http->arg;
    int64_t not_before_ms;
    if (http->started_ms == 0) {
        give_token(s->kube);
    }
    if (comes_again(s, &not_before_ms)) {
        submit(s, not_before_ms);
        return;
    }
    if (http->end == HTTP_END_ANSWERED || http->end == HTTP_END_TOO_LARGE) {
        (void)http_answer_header(http, "content-type", s->answer.type, ANSWER_TYPE_MAX);
        str_release(&s->answer.body);
        http_answer_take(http, &s->answer.body);
    }
    s->call->own = s;
    s->ended(s);
}

/* --- the three ways to wait --- */

static void begin(struct kube *kube, struct kube_call *call, struct waiter *waiter,
                  void (*ended)(struct sending *s))
{
    (void)identity_look(&kube->identity, false, 0);
    struct sending *s = prepare(kube, call, ended);
    s->waiter = waiter;
    submit(s, 0);
}

void kube_read(struct kube_call *call)
{
    struct sending *s = call->own;
    s->answer.cluster = s->kube->name;
    s->answer.secret = s->authorization.data;
    s->answer.http = &s->http;
    answer_read(&s->answer, call);
    call->own = NULL;
    forget(s);
}

static void tell(struct sending *s)
{
    s->call->done(s->call);
}

void kube_start_unread(struct kube *kube, struct kube_call *call)
{
    begin(kube, call, NULL, tell);
}

static void read_and_tell(struct sending *s)
{
    struct kube_call *call = s->call;
    kube_read(call);
    call->done(call);
}

void kube_start(struct kube *kube, struct kube_call *call)
{
    begin(kube, call, NULL, read_and_tell);
}

static void wake(struct sending *s)
{
    struct waiter *waiter = s->waiter;
    MUST(pthread_mutex_lock(&waiter->mu));
    waiter->ended = true;
    MUST(pthread_cond_signal(&waiter->cond));
    MUST(pthread_mutex_unlock(&waiter->mu));
}

int kube_do(struct kube *kube, struct kube_call *call)
{
    struct waiter waiter = {.ended = false};
    MUST(pthread_mutex_init(&waiter.mu, NULL));
    MUST(pthread_cond_init(&waiter.cond, NULL));
    begin(kube, call, &waiter, wake);
    MUST(pthread_mutex_lock(&waiter.mu));
    while (!waiter.ended) {
        MUST(pthread_cond_wait(&waiter.cond, &waiter.mu));
    }
    MUST(pthread_mutex_unlock(&waiter.mu));
    MUST(pthread_cond_destroy(&waiter.cond));
    MUST(pthread_mutex_destroy(&waiter.mu));
    kube_read(call);
    return call->rc;
}

void kube_call_release(struct kube_call *call)
{
    json_free(call->doc);
    free(call->text);
    call->doc = NULL;
    call->text = NULL;
}
