#include "kube/sweep.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "sync/batch.h"

enum { ANSWER_MAX = 64 * 1024 };

/* --- what an answer says --- */

/* The first check that failed when there is a list of them, else the first line. */
static void say_body(const char *text, int status, char *why, size_t why_len)
{
    const char *failed = text != NULL ? strstr(text, "[-]") : NULL;
    const char *line = failed != NULL ? failed : text != NULL ? text : "";
    struct str clean;
    struct str cut;
    str_init(&clean);
    str_init(&cut);
    str_put(&cut, line, strcspn(line, "\r\n"));
    str_add_plain(&clean, cut.data);
    snprintf(why, why_len, "answered %d \"%.120s\" instead of 200 \"ok\"", status,
             clean.data);
    str_release(&cut);
    str_release(&clean);
}

static enum cluster_state of_status(const struct kube_call *call, char *why,
                                    size_t why_len)
{
    if (call->status == 200 && call->text != NULL && strcmp(call->text, "ok") == 0) {
        why[0] = '\0';
        return CLUSTER_CONNECTED;
    }
    if (call->status == 401 || call->status == 403) {
        snprintf(why, why_len, "%s", call->err.text);
        return call->status == 401 ? CLUSTER_UNAUTHORIZED : CLUSTER_FORBIDDEN;
    }
    say_body(call->text, call->status, why, why_len);
    return CLUSTER_UNHEALTHY;
}

enum cluster_state cluster_state_of(const struct kube_call *call, char *why,
                                    size_t why_len)
{
    if (call->status != 0) {
        return of_status(call, why, why_len);
    }
    snprintf(why, why_len, "%s", call->err.text);
    switch (call->end) {
    case KUBE_TLS:
        return CLUSTER_TLS_ERROR;
    case KUBE_TIMED_OUT:
        return CLUSTER_TIMEOUT;
    case KUBE_ANSWERED:
    case KUBE_GARBLED:
        return CLUSTER_UNHEALTHY;
    case KUBE_CANCELLED:
    case KUBE_UNUSABLE:
        return CLUSTER_UNKNOWN;
    case KUBE_NOT_REACHED:
        break;
    }
    return CLUSTER_UNREACHABLE;
}

/* --- asking --- */

struct asking {
    struct sweep *sweep;
    struct batch *batch;
    size_t i;
    struct kube_call call;
    struct ctx *ctx;
    int64_t began_ms;
};

struct sweep {
    struct ctx *ctx;
    const struct cluster_probe *probes;
    int64_t timeout_ms;
    struct asking *askings;
    void (*seen)(void *arg, size_t i, const struct cluster_view *view);
    void *arg;
};

/* The client's sentences name the cluster; a view has its name beside them. */
static void put_why(const struct sweep *s, size_t i, const char *why,
                    struct cluster_view *view)
{
    char front[KUBE_CLUSTER_NAME_MAX + 16];
    snprintf(front, sizeof front, "cluster %.*s: ", KUBE_CLUSTER_NAME_MAX,
             s->probes[i].name);
    why += text_starts(why, front) ? strlen(front) : 0;
    snprintf(view->why, sizeof view->why, "%s", why);
}

static void ended(struct kube_call *call)
{
    struct asking *a = call->arg;
    struct sweep *s = a->sweep;
    if (call->status == 404 && strcmp(call->path, "/livez") == 0) {
        kube_call_release(call);
        call->path = "/healthz";
        kube_start(s->probes[a->i].kube, call);
        return;
    }
    if (call->end != KUBE_CANCELLED) {
        struct cluster_view view = {.checked_wall_ms = now_wall_ms(),
                                    .took_ms = now_ms() - a->began_ms};
        char why[CLUSTER_WHY_MAX];
        view.state = cluster_state_of(call, why, sizeof why);
        put_why(s, a->i, why, &view);
        view.ok_wall_ms = view.state == CLUSTER_CONNECTED ? view.checked_wall_ms : 0;
        s->seen(s->arg, a->i, &view);
    }
    kube_call_release(call);
    batch_done(a->batch, a->i, 0);
}

/* Nobody to dial. */
static void note(struct sweep *s, size_t i)
{
    const char *why = s->probes[i].why;
    struct cluster_view view = {.state = why != NULL ? CLUSTER_UNKNOWN : CLUSTER_VIRTUAL};
    view.checked_wall_ms = why != NULL ? now_wall_ms() : 0;
    put_why(s, i, why != NULL ? why : "", &view);
    s->seen(s->arg, i, &view);
}

static void start(void *arg, struct batch *batch, size_t i)
{
    struct sweep *s = arg;
    struct asking *a = &s->askings[i];
    if (s->probes[i].kube == NULL) {
        note(s, i);
        batch_done(batch, i, 0);
        return;
    }
    a->sweep = s;
    a->batch = batch;
    a->i = i;
    a->began_ms = now_ms();
    a->ctx = ctx_new(s->ctx, a->began_ms + s->timeout_ms);
    a->call = (struct kube_call){.path = "/livez",
                                 .plain = true,
                                 .accept = "text/plain, */*",
                                 .answer_max = ANSWER_MAX,
                                 .ctx = a->ctx,
                                 .done = ended,
                                 .arg = a};
    kube_start(s->probes[i].kube, &a->call);
}

int cluster_sweep(struct ctx *ctx, const struct cluster_probe *probes, size_t n,
                  int64_t timeout_ms, size_t width,
                  void (*seen)(void *arg, size_t i, const struct cluster_view *view),
                  void *arg)
{
    struct sweep s = {.ctx = ctx,
                      .probes = probes,
                      .timeout_ms = timeout_ms,
                      .askings = mem_zalloc((n + 1) * sizeof s.askings[0]),
                      .seen = seen,
                      .arg = arg};
    int *results = mem_array(n + 1, sizeof results[0]);
    int rc = batch_run(ctx, n, width, start, &s, results);
    for (size_t i = 0; i < n; i++) {
        ctx_free(s.askings[i].ctx);
    }
    free(results);
    free(s.askings);
    return rc == -EINVAL ? rc : ctx_err(ctx);
}

/* --- words --- */

const char *cluster_state_word(enum cluster_state state)
{
    static const char *const words[] = {"unknown",   "connected",   "unauthorized",
                                        "forbidden", "unreachable", "tls-error",
                                        "timeout",   "unhealthy",   "virtual"};
    return words[state];
}

struct json_object *cluster_view_json(const struct cluster_view *view)
{
    struct json_object *doc = json_object_new_object();
    json_put_text(doc, "name", view->name);
    json_put_text(doc, "state", cluster_state_word(view->state));
    if (view->checked_wall_ms > 0) {
        json_put_number(doc, "checked_ms", view->checked_wall_ms);
        json_put_number(doc, "took_ms", view->took_ms);
    }
    if (view->ok_wall_ms > 0) {
        json_put_number(doc, "ok_ms", view->ok_wall_ms);
    }
    json_put_text(doc, "why", view->why);
    return doc;
}
