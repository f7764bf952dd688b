#include "mock_server.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/now.h"
#include "base/str.h"
#include "delay.h"
#include "wire/httpd.h"

enum { IDLE_TIMEOUT_S = 120 };

struct mock_server {
    /* read-only after start */
    struct httpd *httpd;
    struct delay *delay;
    struct mock_stats *stats;
    uint64_t seed;
    int log_fd;       /* -1: none */
    char *log_header; /* owned; NULL: none */

    pthread_mutex_t mu;
    /* guarded by mu */
    struct mock_mode mode;
};

/* A call on its way to its answer. */
struct call {
    struct mock_server *server;
    struct httpd_request *request;
    struct mock_mode mode;
    struct mock_fate fate;
    uint64_t attempt;
};

/* --- the log --- */

static void log_call(const struct call *call, const char *key, int64_t stamp_ns)
{
    static const char *const acts[] = {"answer", "hang", "reset", "slow-body"};
    int fd = call->server->log_fd;
    if (fd < 0) {
        return;
    }
    char wall[NOW_TEXT_MAX];
    now_rfc3339(now_wall_ms(), wall);
    const char *method = httpd_method(call->request);
    const char *path = httpd_path(call->request);
    struct str line;
    str_init(&line);
    str_addf(&line, "{\"t_ns\":%lld,\"wall\":\"%s\",\"method\":\"", (long long)stamp_ns,
             wall);
    str_add_json(&line, method, strlen(method));
    str_add(&line, "\",\"path\":\"");
    str_add_json(&line, path, strlen(path));
    str_add(&line, "\",\"key\":\"");
    str_add_json(&line, key, strlen(key));
    const char *name = call->server->log_header;
    const char *header = name ? httpd_header(call->request, name) : NULL;
    if (header) {
        str_add(&line, "\",\"header\":\"");
        str_add_json(&line, header, strlen(header));
    }
    str_addf(&line,
             "\",\"attempt\":%llu,\"act\":\"%s\",\"status\":%d,\"latency_us\":%lld}\n",
             (unsigned long long)call->attempt, acts[call->fate.act], call->fate.status,
             (long long)call->fate.latency_us);
    /* One write a line: nothing is lost when the process is killed. */
    ssize_t n = write(fd, line.data, line.len);
    if (n != (ssize_t)line.len) {
        fprintf(stderr, "mock-cd: the log misses a line: %s\n", strerror(errno));
    }
    str_release(&line);
}

/* --- answers --- */

static void retry_after(const struct mock_mode *mode, char *text, size_t len)
{
    if (!mode->retry_after_date) {
        snprintf(text, len, "%lld", (long long)mode->retry_after_s);
        return;
    }
    time_t at = (time_t)(now_wall_ms() / 1000 + mode->retry_after_s);
    struct tm tm;
    gmtime_r(&at, &tm);
    strftime(text, len, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

static void answer(struct call *call)
{
    const int status = call->fate.status;
    const bool accepted = status >= 200 && status < 300;
    char wait[64];
    char body[96];
    const char *headers[] = {"Content-Type", "application/json", NULL, NULL, NULL};
    if (!accepted && call->mode.retry_after_s >= 0) {
        retry_after(&call->mode, wait, sizeof wait);
        headers[2] = "Retry-After";
        headers[3] = wait;
    }
    int len = snprintf(body, sizeof body, "{\"accepted\":%s,\"attempt\":%llu}\n",
                       accepted ? "true" : "false", (unsigned long long)call->attempt);
    httpd_reply(call->request, status, headers, body, (size_t)len);
}

static void carry_out(void *arg)
{
    struct call *call = arg;
    switch (call->fate.act) {
    case MOCK_ANSWER:
        answer(call);
        break;
    case MOCK_HANG:
        httpd_hang(call->request);
        break;
    case MOCK_RESET:
        httpd_reset(call->request);
        break;
    case MOCK_SLOW_BODY:
        httpd_trickle(call->request, call->fate.status, call->mode.byte_every_ms);
        break;
    }
    mock_stats_end(call->server->stats);
    free(call);
}

static void take_call(struct mock_server *server, struct httpd_request *request)
{
    struct call *call = mem_alloc(sizeof *call);
    const char *key = httpd_header(request, "idempotency-key");
    int64_t stamp_ns;
    call->server = server;
    call->request = request;
    call->attempt = mock_stats_begin(server->stats, key, &stamp_ns);
    MUST(pthread_mutex_lock(&server->mu));
    call->mode = server->mode;
    MUST(pthread_mutex_unlock(&server->mu));
    call->fate = mock_mode_fate(&call->mode, server->seed, key ? key : "", call->attempt);
    mock_stats_decide(server->stats, key, &call->fate);
    log_call(call, key ? key : "", stamp_ns);
    if (call->fate.latency_us == 0 || call->fate.act == MOCK_HANG) {
        carry_out(call);
    } else {
        delay_add(server->delay, stamp_ns / 1000 + call->fate.latency_us, carry_out,
                  call);
    }
}

/* --- our own pages --- */

/* doc: taken. */
static void reply_json(struct httpd_request *request, int status, struct json_object *doc)
{
    static const char *const headers[] = {"Content-Type", "application/json", NULL};
    struct str text;
    str_init(&text);
    json_print_pretty(doc, &text);
    if (text.len == 0 || text.data[text.len - 1] != '\n') {
        str_addc(&text, '\n');
    }
    httpd_reply(request, status, headers, text.data, text.len);
    str_release(&text);
    json_free(doc);
}

static void reply_error(struct httpd_request *request, int status, const char *text)
{
    struct json_object *doc = json_object_new_object();
    json_object_object_add(doc, "error", json_object_new_string(text));
    reply_json(request, status, doc);
}

static int change_mode(struct mock_server *server, struct httpd_request *request,
                       struct err *err)
{
    size_t len;
    const char *body = httpd_body(request, &len);
    struct json_object *doc = NULL;
    int rc = json_parse(body, len, &doc, err);
    if (rc == 0) {
        MUST(pthread_mutex_lock(&server->mu));
        rc = mock_mode_change(&server->mode, doc, err);
        MUST(pthread_mutex_unlock(&server->mu));
        json_free(doc);
    }
    return rc;
}

static void control(struct mock_server *server, struct httpd_request *request)
{
    struct err err = ERR_INIT;
    if (strcmp(httpd_method(request), "POST") == 0 &&
        change_mode(server, request, &err) != 0) {
        reply_error(request, 400, err.text);
        return;
    }
    MUST(pthread_mutex_lock(&server->mu));
    struct json_object *doc = mock_mode_json(&server->mode);
    MUST(pthread_mutex_unlock(&server->mu));
    reply_json(request, 200, doc);
}

static void on_request(void *arg, struct httpd_request *request)
{
    struct mock_server *server = arg;
    const char *path = httpd_path(request);
    const char *keys = httpd_query(request, "keys");
    bool get = strcmp(httpd_method(request), "GET") == 0;
    bool post = strcmp(httpd_method(request), "POST") == 0;
    if (get && strcmp(path, "/stats") == 0) {
        bool all = keys && strcmp(keys, "all") == 0;
        reply_json(request, 200, mock_stats_json(server->stats, all));
    } else if ((get || post) && strcmp(path, "/control") == 0) {
        control(server, request);
    } else if (post && strcmp(path, "/reset") == 0) {
        mock_stats_clear(server->stats);
        reply_json(request, 200, mock_stats_json(server->stats, false));
    } else {
        take_call(server, request);
    }
}

static void on_aborted(void *arg, struct httpd_request *request)
{
    (void)request;
    struct mock_server *server = arg;
    mock_stats_left(server->stats);
}

/* --- start and stop --- */

struct mock_server *mock_server_start(const struct mock_server_options *options,
                                      struct err *err)
{
    struct mock_server *server = mem_zalloc(sizeof *server);
    MUST(pthread_mutex_init(&server->mu, NULL));
    server->mode = options->mode;
    server->seed = options->seed;
    server->stats = mock_stats_new();
    server->delay = delay_start();
    server->log_fd = -1;
    server->log_header = mem_strdup(options->log_header);
    if (options->log_path) {
        server->log_fd =
            open(options->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (server->log_fd < 0) {
            err_set(err, -EIO, "%s: %s", options->log_path, strerror(errno));
            goto release;
        }
    }
    const struct httpd_options httpd = {
        .address = options->address,
        .port = options->port,
        .connections_max = MOCK_CONNECTIONS_MAX,
        .body_max = MOCK_BODY_MAX,
        .idle_timeout_s = IDLE_TIMEOUT_S,
        .threads = options->threads,
        .handle = on_request,
        .aborted = on_aborted,
        .arg = server,
    };
    server->httpd = httpd_start(&httpd, err);
    if (server->httpd) {
        return server;
    }

release:
    mock_server_stop(server);
    return NULL;
}

void mock_server_stop(struct mock_server *server)
{
    if (server->httpd) {
        httpd_stop(server->httpd);
    }
    delay_stop(server->delay); /* decides what httpd_stop has dropped, to no effect */
    mock_stats_free(server->stats);
    if (server->log_fd >= 0) {
        close(server->log_fd);
    }
    free(server->log_header);
    MUST(pthread_mutex_destroy(&server->mu));
    free(server);
}

int mock_server_port(const struct mock_server *server)
{
    return httpd_port(server->httpd);
}

struct mock_stats *mock_server_stats(struct mock_server *server)
{
    return server->stats;
}
