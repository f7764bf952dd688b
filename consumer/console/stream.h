/* The live feed over HTTP: GET /api/v1/stream?ns=/acme/api (text/event-stream) and GET
 * /api/v1/fleet (the latest frame). On a worker's admin port and on the console. */
#ifndef CONSUMER_STREAM_H
#define CONSUMER_STREAM_H

#include "base/metrics.h"
#include "fleet/config.h"
#include "guard.h"
#include "wire/httpd.h"

struct stream;

struct stream_options {
    const struct config *config; /* borrowed until stream_stop */
    struct metrics *metrics;     /* NULL: none */
    size_t clients_max;
    size_t ring_bytes_max; /* what is kept for those that come back */
    bool ask_kafka;        /* for the fleet's offsets, when Redis does not answer */
    struct guard *guard;   /* who may read; NULL: everybody; borrowed until stream_stop */
};

struct stream *stream_start(const struct stream_options *options);

/* Answer when the path is one of these. Returns false when it is not. On the httpd loop.
 */
bool stream_serve(struct stream *stream, struct httpd_request *request);

void stream_collect(struct stream *stream); /* before the metrics are written */

/* The guard has another configuration, or a session is over: who may listen no longer is
 * cut off. Any thread. */
void stream_look_again(struct stream *stream);

/* Tell all clients that it is over and wait, at most until then, for them to have read
 * it. Before httpd_stop; then stream_stop. */
void stream_goodbye(struct stream *stream, int64_t until_ms);
void stream_stop(struct stream *stream);

#endif
