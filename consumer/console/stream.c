/* Design. A client is a subscriber of the feed and the streaming request it feeds. The
 * live thread publishes and then walks the clients once: who was evicted is cut, the
 * others are woken and pull what is theirs on the httpd loop. A client leaves the list in
 * `left`, which httpd calls last, so that a request on the list can be woken.
 *
 * Who listens is asked for at every pull: not a byte is sent to who may no longer.
 *
 * Lock order: `mu`, then httpd's. left is called with none held. */
#include "stream.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/mem.h"
#include "base/now.h"
#include "ops/live.h"
#include "ops/snapshot.h"
#include "reply.h"
#include "sync/cond.h"

static const char greeting[] = "retry: 2000\n\n";

struct client {
    LIST_ENTRY(client) link;
    struct stream *stream;
    struct httpd_request *request;
    struct feed_subscriber *subscriber;
    struct guard_who who; /* let in, when there is a guard */
    size_t greeted;       /* bytes of the greeting that are out; of the httpd loop */
};

struct stream {
    struct live *live;
    bool ask_kafka;
    struct guard *guard; /* NULL: none */
    struct metric *clients_now;
    struct metric *evicted;
    struct metric *dropped;

    pthread_mutex_t mu;
    pthread_cond_t empty;
    /* guarded by mu */
    LIST_HEAD(, client) clients;
};

/* --- a client's life --- */

static ssize_t pull(void *arg, char *out, size_t max)
{
    struct client *c = arg;
    struct guard *guard = c->stream->guard;
    if (guard && !guard_still(guard, &c->who, RULE_READ, "stream")) {
        return -1;
    }
    size_t left = sizeof greeting - 1 - c->greeted;
    if (left > 0) {
        size_t part = left < max ? left : max;
        memcpy(out, greeting + c->greeted, part);
        c->greeted += part;
        return (ssize_t)part;
    }
    return feed_read(c->subscriber, out, max);
}

static void left(void *arg)
{
    struct client *c = arg;
    struct stream *s = c->stream;
    MUST(pthread_mutex_lock(&s->mu));
    LIST_REMOVE(c, link);
    if (LIST_EMPTY(&s->clients)) {
        MUST(pthread_cond_broadcast(&s->empty));
    }
    feed_unsubscribe(c->subscriber);
    MUST(pthread_mutex_unlock(&s->mu));
    free(c);
}

static void wake(void *arg)
{
    stream_look_again(arg);
}

void stream_look_again(struct stream *s)
{
    MUST(pthread_mutex_lock(&s->mu));
    struct client *c;
    LIST_FOREACH(c, &s->clients, link)
    {
        if (feed_is_evicted(c->subscriber)) {
            httpd_stream_cut(c->request);
        } else {
            httpd_stream_wake(c->request);
        }
    }
    MUST(pthread_mutex_unlock(&s->mu));
}

static void snapshot(void *arg, struct ops_place *place, int64_t until_ms,
                     struct str *json)
{
    struct stream *s = arg;
    struct json_object *frame =
        snapshot_take(place, s->ask_kafka ? SNAPSHOT_REDIS : SNAPSHOT_REDIS_ALONE,
                      until_ms);
    json_print(frame, json);
    json_free(frame);
}

/* --- the two paths --- */

static void admit(struct stream *s, struct httpd_request *request,
                  struct feed_subscriber *subscriber, const struct guard_who *who)
{
    const char *headers[REPLY_HEADERS_MAX + 2];
    reply_headers("text/event-stream; charset=utf-8", headers);
    size_t n = 0;
    while (headers[n]) {
        n++;
    }
    headers[n++] = "x-accel-buffering"; /* a proxy in between passes on what it gets */
    headers[n++] = "no";
    headers[n] = NULL;
    struct client *c = mem_zalloc(sizeof *c);
    c->stream = s;
    c->request = request;
    c->subscriber = subscriber;
    c->who = *who;
    MUST(pthread_mutex_lock(&s->mu));
    LIST_INSERT_HEAD(&s->clients, c, link);
    MUST(pthread_mutex_unlock(&s->mu));
    const struct httpd_stream how = {.pull = pull, .closed = left, .arg = c};
    httpd_stream(request, 200, headers, &how);
    live_look(s->live);
}

/* A browser that reconnects says the last id in a header; a page that opened the stream
 * anew says it in the query. */
static void serve_stream(struct stream *s, struct httpd_request *request,
                         const struct guard_who *who)
{
    const char *space = httpd_query(request, "ns");
    const char *last_id = httpd_header(request, "last-event-id");
    if (!last_id) {
        last_id = httpd_query(request, "last");
    }
    if (space && !feed_space_is_valid(space)) {
        reply_error(request, 400, "ns is no namespace",
                    "begin it with a slash: /acme/api");
        return;
    }
    if (strcmp(httpd_method(request), "HEAD") == 0) {
        reply_text(request, 200, NULL, 0);
        return;
    }
    struct feed_subscriber *subscriber =
        feed_subscribe(live_feed(s->live), space, last_id);
    if (!subscriber) {
        reply_error(request, 503, "as many clients as there may be listen already",
                    "try again later, or ask /api/v1/fleet once in a while");
        return;
    }
    admit(s, request, subscriber, who);
}

static void reply_frame(void *arg, const char *json, size_t len)
{
    reply_text(arg, 200, json, len);
}

bool stream_serve(struct stream *s, struct httpd_request *request)
{
    const char *path = httpd_path(request);
    bool fleet = strcmp(path, "/api/v1/fleet") == 0;
    if (!fleet && strcmp(path, "/api/v1/stream") != 0) {
        return false;
    }
    struct guard_who who = {0};
    if (!reply_may_read(request) ||
        (s->guard &&
         !guard_lets_read(s->guard, request, fleet ? "fleet" : "stream", &who))) {
        return true;
    }
    if (!fleet) {
        serve_stream(s, request, &who);
    } else if (!live_ask(s->live, reply_frame, request)) {
        reply_error(request, 503, "too many ask at once", "ask again in a moment");
    }
    return true;
}

/* --- start and stop --- */

static void make_metrics(struct stream *s, struct metrics *metrics)
{
    s->clients_now =
        metrics_series(metrics_family(metrics, METRIC_GAUGE, "sluice_stream_clients", "",
                                      "Clients of the live stream.", NULL, 0),
                       NULL, NULL, NULL, NULL);
    s->evicted =
        metrics_series(metrics_family(metrics, METRIC_COUNTER,
                                      "sluice_stream_evicted_total", "",
                                      "Clients of the live stream that were too slow.",
                                      NULL, 0),
                       NULL, NULL, NULL, NULL);
    s->dropped = metrics_series(metrics_family(metrics, METRIC_COUNTER,
                                               "sluice_stream_dropped_total", "",
                                               "Frames that evicted clients did not get.",
                                               NULL, 0),
                                NULL, NULL, NULL, NULL);
}

void stream_collect(struct stream *s)
{
    struct feed_counts counts;
    feed_counts(live_feed(s->live), &counts);
    metric_set(s->clients_now, (double)counts.subscribers);
    metric_set(s->evicted, (double)counts.evicted);
    metric_set(s->dropped, (double)counts.dropped);
}

struct stream *stream_start(const struct stream_options *options)
{
    struct stream *s = mem_zalloc(sizeof *s);
    s->ask_kafka = options->ask_kafka;
    s->guard = options->guard;
    MUST(pthread_mutex_init(&s->mu, NULL));
    cond_init(&s->empty);
    if (options->metrics) {
        make_metrics(s, options->metrics);
    }
    const struct live_options live = {.config = options->config,
                                      .subscribers_max = options->clients_max,
                                      .ring_bytes_max = options->ring_bytes_max,
                                      .snapshot = snapshot,
                                      .wake = wake,
                                      .arg = s};
    s->live = live_start(&live);
    return s;
}

void stream_goodbye(struct stream *s, int64_t until_ms)
{
    live_goodbye(s->live);
    MUST(pthread_mutex_lock(&s->mu));
    while (!LIST_EMPTY(&s->clients) && now_ms() < until_ms) {
        cond_wait(&s->empty, &s->mu, until_ms);
    }
    MUST(pthread_mutex_unlock(&s->mu));
}

void stream_stop(struct stream *s)
{
    live_stop(s->live);
    MUST(pthread_cond_destroy(&s->empty));
    MUST(pthread_mutex_destroy(&s->mu));
    free(s);
}
