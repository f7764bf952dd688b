#include "admin.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../console/stream.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "process_metrics.h"
#include "wire/httpd.h"

enum {
    PORT_TRIES = 100,
    CONNECTIONS_MAX = 64,
    PER_ADDRESS_MAX = 48, /* so that a probe from elsewhere finds a place */
    BODY_MAX = 4096,
    STREAM_CLIENTS_MAX = 32, /* of the connections */
    STREAM_RING_BYTES = 2 << 20,
    GOODBYE_MS = 300,
    IDLE_TIMEOUT_S = 10, /* a place is not held longer by who says nothing */
};

struct admin {
    struct httpd *httpd;   /* NULL: listens nowhere */
    struct stream *stream; /* NULL: likewise */
    struct guard *guard;   /* NULL: likewise */
    struct metrics *metrics;
    struct process_metrics *process;
    pthread_mutex_t mu;
    /* guarded by mu */
    struct worker *worker;
    enum admin_state state;
};

/* One line of /readyz?verbose. */
static void add_check(struct str *out, bool ok, const char *name, const char *why)
{
    str_addf(out, "[%s] %s", ok ? "+" : "-", name);
    if (!ok && why[0]) {
        str_addf(out, ": %s", why);
    }
    str_addc(out, '\n');
}

/* The worker is looked at under the lock: admin_watch(NULL) may not return while somebody
 * looks. */
static bool look(struct admin *admin, struct worker_status *status,
                 enum admin_state *state)
{
    MUST(pthread_mutex_lock(&admin->mu));
    bool there = admin->worker != NULL;
    *state = admin->state;
    if (there) {
        worker_status(admin->worker, status);
    }
    MUST(pthread_mutex_unlock(&admin->mu));
    return there;
}

static void serve_livez(struct admin *admin, struct httpd_request *request)
{
    struct worker_status status;
    enum admin_state state;
    bool there = look(admin, &status, &state);
    bool alive = !there || worker_turns(&status);
    const char *text = alive ? "ok\n" : "the poll loop does not turn\n";
    httpd_reply(request, alive ? 200 : 503, NULL, text, strlen(text));
}

static void serve_readyz(struct admin *admin, struct httpd_request *request)
{
    struct worker_status status = {.poll_age_ms = -1};
    enum admin_state state;
    look(admin, &status, &state);
    bool joined = status.poll_age_ms >= 0 && status.kafka == KAFKA_RUNNING;
    bool ready = state == ADMIN_RUNNING && joined && status.redis_connected;
    struct str out;
    str_init(&out);
    if (httpd_query(request, "verbose")) {
        add_check(&out, state == ADMIN_RUNNING, "running",
                  state == ADMIN_STARTING  ? "starting"
                  : state == ADMIN_DRAINED ? "drained by an operator"
                                           : "draining");
        add_check(&out, joined, "kafka",
                  status.kafka_reason[0] ? status.kafka_reason : "not joined yet");
        add_check(&out, status.redis_connected, "redis",
                  status.redis_reason[0] ? status.redis_reason : "not connected");
        str_addf(&out, "partitions %d, lanes %d, orphans %d\n", status.assigned,
                 status.lanes, status.orphans);
        for (int i = 0; i < LANE_WAITS; i++) {
            if (status.waits[i] > 0) {
                str_addf(&out, "lanes that wait: %s %d\n",
                         lane_wait_name((enum lane_wait)i), status.waits[i]);
            }
        }
    }
    str_add(&out, ready                    ? "ready\n"
                  : state == ADMIN_DRAINED ? "drained\n"
                                           : "not ready\n");
    httpd_reply(request, ready ? 200 : 503, NULL, out.data, out.len);
    str_release(&out);
}

/* Once it has joined, for good: a slow first start is no reason to restart it. */
static void serve_startupz(struct admin *admin, struct httpd_request *request)
{
    struct worker_status status;
    enum admin_state state;
    look(admin, &status, &state);
    bool started = state != ADMIN_STARTING;
    const char *text = started ? "started\n" : "starting\n";
    httpd_reply(request, started ? 200 : 503, NULL, text, strlen(text));
}

static void collect_status(struct admin *admin)
{
    struct worker_status status = {.poll_age_ms = -1};
    enum admin_state state;
    look(admin, &status, &state);
    process_metrics_set(admin->process, state, status.poll_age_ms);
    stream_collect(admin->stream);
}

static void serve_metrics(struct admin *admin, struct httpd_request *request)
{
    static const char *const headers[] = {"content-type",
                                          "text/plain; version=0.0.4; charset=utf-8",
                                          NULL};
    struct str out;
    str_init(&out);
    collect_status(admin);
    metrics_write(admin->metrics, &out);
    httpd_reply(request, 200, headers, out.data, out.len);
    str_release(&out);
}

static void serve(void *arg, struct httpd_request *request)
{
    struct admin *admin = arg;
    static const struct {
        const char *path;
        void (*serve)(struct admin *admin, struct httpd_request *request);
    } pages[] = {{"/livez", serve_livez},
                 {"/readyz", serve_readyz},
                 {"/startupz", serve_startupz},
                 {"/metrics", serve_metrics}};
    const char *method = httpd_method(request);
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        httpd_reply(request, 405, NULL, "only GET\n", 9);
        return;
    }
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        if (strcmp(httpd_path(request), pages[i].path) == 0) {
            pages[i].serve(admin, request);
            return;
        }
    }
    if (stream_serve(admin->stream, request)) {
        return;
    }
    static const char text[] = "here are /livez, /readyz?verbose, /startupz, /metrics, "
                               "/api/v1/fleet and /api/v1/stream\n";
    httpd_reply(request, 404, NULL, text, sizeof text - 1);
}

static int start_listening(struct admin *admin, const char *listen, struct err *err)
{
    int64_t port;
    const char *colon = strrchr(listen, ':');
    if (!colon || text_parse_int(colon + 1, 0, 65535, &port)) {
        return err_set(err, -EINVAL, "http.listen: \"%s\" is not host:port", listen);
    }
    char *host = mem_strndup(listen, (size_t)(colon - listen));
    struct httpd_options options = {.address = host,
                                    .port = (int)port,
                                    .port_tries = port ? PORT_TRIES : 0,
                                    .connections_max = CONNECTIONS_MAX,
                                    .per_address_max = PER_ADDRESS_MAX,
                                    .body_max = BODY_MAX,
                                    .idle_timeout_s = IDLE_TIMEOUT_S,
                                    .threads = 1,
                                    .handle = serve,
                                    .arg = admin};
    admin->httpd = httpd_start(&options, err);
    if (admin->httpd) {
        int got = httpd_port(admin->httpd);
        LOG(LOG_INFO,
            got == port || port == 0 ? "admin port"
                                     : "admin port, for the configured one is taken",
            LS("host", host), LI("port", got), LEND);
    }
    free(host);
    return admin->httpd ? 0 : -EIO;
}

struct admin *admin_start(const struct config *config, struct metrics *metrics,
                          struct err *err)
{
    struct admin *admin = mem_zalloc(sizeof *admin);
    admin->metrics = metrics;
    admin->process = process_metrics_new(metrics);
    MUST(pthread_mutex_init(&admin->mu, NULL));
    if (strcmp(config->http_listen, "off") == 0) {
        return admin;
    }
    const struct guard_options guard = {.config = config, .metrics = metrics};
    admin->guard = guard_new(&guard, err);
    ASSERT(admin->guard); /* what can fail is a console's */
    const struct stream_options stream = {.config = config,
                                          .metrics = metrics,
                                          .clients_max = STREAM_CLIENTS_MAX,
                                          .ring_bytes_max = STREAM_RING_BYTES,
                                          .guard = admin->guard};
    admin->stream = stream_start(&stream);
    if (start_listening(admin, config->http_listen, err)) {
        admin_stop(admin);
        return NULL;
    }
    return admin;
}

void admin_stop(struct admin *admin)
{
    if (admin->httpd) {
        stream_goodbye(admin->stream, now_ms() + GOODBYE_MS);
        httpd_stop(admin->httpd);
    }
    if (admin->stream) {
        stream_stop(admin->stream);
    }
    guard_free(admin->guard);
    process_metrics_free(admin->process);
    MUST(pthread_mutex_destroy(&admin->mu));
    free(admin);
}

void admin_set(struct admin *admin, const struct config *config)
{
    if (admin->guard) {
        int rc = guard_set(admin->guard, config, NULL);
        ASSERT(rc == 0); /* what can fail is a console's */
        stream_look_again(admin->stream);
    }
}

void admin_watch(struct admin *admin, struct worker *worker, enum admin_state state)
{
    MUST(pthread_mutex_lock(&admin->mu));
    admin->worker = worker;
    admin->state = state;
    MUST(pthread_mutex_unlock(&admin->mu));
}
