/* An API server for tests of the room kube, told what to answer by a table, and a
 * kubeconfig for it in a folder of its own.
 *
 * It counts and remembers what it was asked, in order of arrival: "GET /api/v1/nodes
 * limit=5 [Bearer x]". Nothing in it waits for a clock. */
#ifndef TESTS_KUBE_CLUSTER_H
#define TESTS_KUBE_CLUSTER_H

#include "httpd_server.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "base/err.h"
#include "base/log.h"
#include "base/now.h"
#include "kube/client.h"

enum { CLUSTER_LOG_MAX = 512, CLUSTER_ACTS_MAX = 64 };

/* What is answered to a path, the first row that fits and is not used up. */
struct act {
    const char *path; /* a glob over "METHOD /path?limit=..&continue=.." */
    int status;       /* -1: hang until the peer leaves; -2: a reset */
    const char *body;
    const char *header[2]; /* one more header, or NULL */
    int times;             /* 0: always */
};

struct cluster {
    struct server server; /* first: a handler's server is its cluster */
    struct http *http;
    struct kube *kube;
    char folder[64];
    char config[96];
    /* guarded by server.mu */
    struct act acts[CLUSTER_ACTS_MAX];
    int act_count;
    void (*before)(struct cluster *c); /* NULL, or called before each answer */
    char log[CLUSTER_LOG_MAX][256];
    int asked;
    int open; /* requests in hand; and their most */
    int open_max;
    struct httpd_request *waiting[CLUSTER_LOG_MAX]; /* while hold_all */
    int waiting_count;
    bool hold_all;
};

static inline void cluster_line(const struct httpd_request *r, char line[256])
{
    const char *limit = httpd_query(r, "limit");
    const char *next = httpd_query(r, "continue");
    const char *labels = httpd_query(r, "labelSelector");
    const char *who = httpd_header(r, "authorization");
    snprintf(line, 256, "%s %s%s%s%s%s%s%s%s%s%s", httpd_method(r), httpd_path(r),
             limit != NULL ? " limit=" : "", limit != NULL ? limit : "",
             next != NULL ? " continue=" : "", next != NULL ? next : "",
             labels != NULL ? " labels=" : "", labels != NULL ? labels : "",
             who != NULL ? " [" : "", who != NULL ? who : "", who != NULL ? "]" : "");
}

static inline void cluster_act(const struct act *act, struct httpd_request *r)
{
    const char *headers[5] = {"Content-Type", "application/json", act->header[0],
                              act->header[1], NULL};
    const char *body = act->body != NULL ? act->body : "{}";
    if (act->status == -1) {
        httpd_hang(r);
    } else if (act->status == -2) {
        httpd_reset(r);
    } else {
        httpd_reply(r, act->status, headers, body, strlen(body));
    }
}

static inline struct act *cluster_find(struct cluster *c, const char *line)
{
    for (int i = 0; i < c->act_count; i++) {
        struct act *act = &c->acts[i];
        if (act->times >= 0 && text_glob(act->path, line)) {
            act->times = act->times == 1 ? -1 : act->times > 0 ? act->times - 1 : 0;
            return act;
        }
    }
    return NULL;
}

static inline void cluster_answer(struct cluster *c, struct httpd_request *r)
{
    static const struct act none =
        {"",
         404,
         "{\"kind\":\"Status\",\"reason\":\"NotFound\",\"message\":\"it is not here\","
         "\"code\":404}",
         {NULL, NULL},
         0};
    char line[256];
    cluster_line(r, line);
    const struct act *act = cluster_find(c, line);
    cluster_act(act != NULL ? act : &none, r);
}

static inline void cluster_handle(struct server *s, struct httpd_request *r)
{
    struct cluster *c = (struct cluster *)s;
    assert_true(c->asked < CLUSTER_LOG_MAX);
    cluster_line(r, c->log[c->asked++]);
    if (c->before != NULL) {
        c->before(c);
    }
    if (c->hold_all) {
        c->waiting[c->waiting_count++] = r;
        c->open = c->waiting_count;
        c->open_max = c->open > c->open_max ? c->open : c->open_max;
    } else {
        cluster_answer(c, r);
    }
}

/* Before a test reads what was asked. */
static inline struct cluster *cluster_look(struct cluster *c)
{
    MUST(pthread_mutex_lock(&c->server.mu));
    MUST(pthread_mutex_unlock(&c->server.mu));
    return c;
}

/* How many of what was asked fits this glob. */
static inline int cluster_count(struct cluster *c, const char *glob)
{
    int n = 0;
    MUST(pthread_mutex_lock(&c->server.mu));
    for (int i = 0; i < c->asked; i++) {
        n += text_glob(glob, c->log[i]);
    }
    MUST(pthread_mutex_unlock(&c->server.mu));
    return n;
}

static inline void cluster_add(struct cluster *c, struct act act)
{
    MUST(pthread_mutex_lock(&c->server.mu));
    assert_true(c->act_count < CLUSTER_ACTS_MAX);
    c->acts[c->act_count++] = act;
    MUST(pthread_mutex_unlock(&c->server.mu));
}

static inline void cluster_on(struct cluster *c, const char *path, int status,
                              const char *body)
{
    cluster_add(c, (struct act){path, status, body, {NULL, NULL}, 0});
}

/* Answer what is held: the oldest, or all of it and what comes from now on. */
static inline void cluster_let_one(struct cluster *c)
{
    MUST(pthread_mutex_lock(&c->server.mu));
    assert_true(c->waiting_count > 0);
    struct httpd_request *r = c->waiting[0];
    c->waiting_count--;
    memmove(c->waiting, c->waiting + 1, (size_t)c->waiting_count * sizeof r);
    cluster_answer(c, r);
    MUST(pthread_mutex_unlock(&c->server.mu));
}

static inline void cluster_let_all(struct cluster *c)
{
    MUST(pthread_mutex_lock(&c->server.mu));
    c->hold_all = false;
    for (int i = 0; i < c->waiting_count; i++) {
        cluster_answer(c, c->waiting[i]);
    }
    c->waiting_count = 0;
    MUST(pthread_mutex_unlock(&c->server.mu));
}

/* A file beside the kubeconfig; its time differs from the one before. */
static inline void cluster_write(const struct cluster *c, const char *name,
                                 const char *text)
{
    char path[160];
    char fresh[170];
    snprintf(path, sizeof path, "%s/%s", c->folder, name);
    snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *file = fopen(fresh, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(fresh, path), 0); /* as a mounted secret changes: at once */
}

/* user  the inside of the user's entry, "token: x"; tail: behind the server's port. */
static inline void cluster_config(struct cluster *c, const char *user, const char *tail)
{
    char text[1024];
    snprintf(text, sizeof text,
             "apiVersion: v1\nkind: Config\ncurrent-context: test\n"
             "clusters: [{name: c, cluster: {server: \"http://127.0.0.1:%d%s\"}}]\n"
             "contexts: [{name: test, context: {cluster: c, user: u, namespace: mine}}]\n"
             "users: [{name: u, user: {%s}}]\n",
             httpd_port(c->server.httpd), tail, user);
    cluster_write(c, "config", text);
}

static inline struct kube_options cluster_options(const struct cluster *c)
{
    return (struct kube_options){.name = "test",
                                 .kubeconfig = c->config,
                                 .rate_per_s = 100000,
                                 .burst = 100000,
                                 .concurrency = 32};
}

static inline void cluster_open(struct cluster *c)
{
    struct err err = ERR_INIT;
    struct kube_options options = cluster_options(c);
    c->kube = kube_open(c->http, &options, &err);
    assert_string_equal(err.text, "");
    assert_non_null(c->kube);
}

/* The server, its kubeconfig and the loop; kube when user is not NULL. */
static inline struct cluster *cluster_start(const char *user)
{
    struct err err = ERR_INIT;
    struct cluster *c = mem_zalloc(sizeof *c);
    server_init(&c->server, cluster_handle);
    struct httpd_options options = options_of(&c->server);
    options.connections_max = 128;
    c->server.httpd = httpd_start(&options, &err);
    assert_string_equal(err.text, "");
    snprintf(c->folder, sizeof c->folder, "/tmp/test_kube.XXXXXX");
    assert_non_null(mkdtemp(c->folder));
    snprintf(c->config, sizeof c->config, "%s/config", c->folder);
    c->http =
        http_start(&(struct http_options){.in_flight = 64, .user_agent = "test/1"}, &err);
    assert_non_null(c->http);
    if (user != NULL) {
        cluster_config(c, user, "");
        cluster_open(c);
    }
    return c;
}

static inline void cluster_stop(struct cluster *c)
{
    char command[128];
    kube_close(c->kube);
    http_stop(c->http);
    cluster_let_all(c); /* a request that is held must be decided */
    httpd_stop(c->server.httpd);
    server_release(&c->server);
    snprintf(command, sizeof command, "rm -r %s", c->folder);
    assert_int_equal(system(command), 0);
    free(c);
}

/* A GET with a deadline far away. Returns its rc; the caller releases the call. */
static inline int cluster_get(struct cluster *c, const char *path, struct kube_call *call)
{
    struct ctx *ctx = ctx_new(NULL, now_ms() + 20000);
    *call = (struct kube_call){.path = path, .ctx = ctx};
    int rc = kube_do(c->kube, call);
    call->ctx = NULL;
    ctx_free(ctx);
    return rc;
}

#endif
