/* Design. A set of clusters is one generation, counted: who puts another in its place
 * cuts the sweep of the one before off, and the thread that sweeps, holding it until
 * then, is the one that lets it go. Views of probes that end are written as they end;
 * what has changed is told after the sweep. */
#include "kube/clusters.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "sync/cond.h"

/* The clusters of one clusters_set. */
struct generation {
    struct cluster_probe *probes; /* names and words owned */
    size_t n;
    struct cluster_view *views; /* guarded by mu */
    enum cluster_state *told;   /* guarded by mu: as after the last sweep */
    int64_t every_ms;
    int64_t timeout_ms;
    size_t width;
    struct generation *older; /* replaced and not let go yet */
};

struct clusters {
    struct clusters_options options; /* read-only */
    pthread_t thread;
    struct ctx *running;
    pthread_mutex_t mu;
    pthread_cond_t cond;
    /* guarded by mu */
    struct generation *now; /* and those it replaced, from `older` on */
    struct ctx *sweeping;   /* NULL: none */
    bool wanted;            /* sweep at once */
    bool stopping;
    int64_t swept_wall_ms;
};

/* --- generations --- */

static struct generation *generation_new(const struct cluster_probe *probes, size_t n)
{
    struct generation *g = mem_zalloc(sizeof *g);
    g->n = n;
    g->probes = mem_zalloc((n + 1) * sizeof g->probes[0]);
    g->views = mem_zalloc((n + 1) * sizeof g->views[0]);
    g->told = mem_zalloc((n + 1) * sizeof g->told[0]);
    for (size_t i = 0; i < n; i++) {
        g->probes[i] = (struct cluster_probe){.name = mem_strdup(probes[i].name),
                                              .kube = probes[i].kube,
                                              .why = mem_strdup(probes[i].why)};
        snprintf(g->views[i].name, sizeof g->views[i].name, "%s", probes[i].name);
    }
    return g;
}

static void generation_free(struct clusters *c, struct generation *g)
{
    for (size_t i = 0; i < g->n; i++) {
        if (g->probes[i].kube != NULL && c->options.released != NULL) {
            c->options.released(c->options.arg, g->probes[i].kube);
        }
        free((char *)g->probes[i].name);
        free((char *)g->probes[i].why);
    }
    free(g->probes);
    free(g->views);
    free(g->told);
    free(g);
}

/* What is known of those that stay as they are. */
static void inherit(struct generation *to, const struct generation *from)
{
    for (size_t i = 0; i < to->n; i++) {
        for (size_t k = 0; from != NULL && k < from->n; k++) {
            if (strcmp(to->probes[i].name, from->probes[k].name) == 0 &&
                to->probes[i].kube == from->probes[k].kube) {
                to->views[i] = from->views[k];
                to->told[i] = from->told[k];
            }
        }
    }
}

/* --- a sweep --- */

struct sweeping {
    struct clusters *clusters;
    struct generation *generation;
};

static void seen(void *arg, size_t i, const struct cluster_view *view)
{
    struct sweeping *s = arg;
    struct cluster_view *kept = &s->generation->views[i];
    MUST(pthread_mutex_lock(&s->clusters->mu));
    int64_t ok_wall_ms = view->ok_wall_ms > 0 ? view->ok_wall_ms : kept->ok_wall_ms;
    char name[sizeof kept->name];
    memcpy(name, kept->name, sizeof name);
    *kept = *view;
    kept->ok_wall_ms = ok_wall_ms;
    memcpy(kept->name, name, sizeof name);
    MUST(pthread_mutex_unlock(&s->clusters->mu));
}

/* What became of a cluster since it was told last. */
static bool has_changed(struct clusters *c, struct generation *g, size_t i,
                        struct cluster_view *before, struct cluster_view *now)
{
    MUST(pthread_mutex_lock(&c->mu));
    *now = *before = g->views[i];
    before->state = g->told[i];
    g->told[i] = now->state;
    MUST(pthread_mutex_unlock(&c->mu));
    return before->state != now->state;
}

static void tell(struct clusters *c, struct generation *g, int64_t took_ms)
{
    for (size_t i = 0; i < g->n; i++) {
        struct cluster_view before;
        struct cluster_view now;
        if (has_changed(c, g, i, &before, &now) && c->options.changed != NULL) {
            c->options.changed(c->options.arg, &before, &now);
        }
    }
    if (c->options.swept != NULL) {
        c->options.swept(c->options.arg, took_ms);
    }
}

/* With the lock; without it meanwhile. Returns when it began. */
static int64_t sweep_locked(struct clusters *c)
{
    struct sweeping s = {.clusters = c, .generation = c->now};
    struct ctx *ctx = ctx_new(c->running, NOW_FOREVER);
    struct generation *g = c->now;
    int64_t began_ms = now_ms();
    int64_t began_wall_ms = now_wall_ms();
    c->sweeping = ctx;
    c->wanted = false;
    MUST(pthread_mutex_unlock(&c->mu));
    int rc = cluster_sweep(ctx, g->probes, g->n, g->timeout_ms, g->width, seen, &s);
    MUST(pthread_mutex_lock(&c->mu));
    c->sweeping = NULL;
    c->swept_wall_ms = rc == 0 ? began_wall_ms : c->swept_wall_ms;
    MUST(pthread_mutex_unlock(&c->mu));
    ctx_free(ctx);
    if (rc == 0) {
        tell(c, g, now_ms() - began_ms);
    }
    MUST(pthread_mutex_lock(&c->mu));
    return began_ms;
}

/* With the lock; without it while it tells of those that go. */
static void let_go_locked(struct clusters *c)
{
    struct generation *g = c->now->older;
    c->now->older = NULL;
    MUST(pthread_mutex_unlock(&c->mu));
    while (g != NULL) {
        struct generation *older = g->older;
        generation_free(c, g);
        g = older;
    }
    MUST(pthread_mutex_lock(&c->mu));
}

static void *clusters_main(void *arg)
{
    struct clusters *c = arg;
    int64_t next_ms = NOW_FOREVER;
    MUST(pthread_mutex_lock(&c->mu));
    while (!c->stopping) {
        if (c->now != NULL && c->now->older != NULL) {
            let_go_locked(c);
        } else if (c->now != NULL && (c->wanted || now_ms() >= next_ms)) {
            int64_t every_ms = c->now->every_ms;
            next_ms = sweep_locked(c) + every_ms;
        } else {
            cond_wait(&c->cond, &c->mu, next_ms);
        }
    }
    MUST(pthread_mutex_unlock(&c->mu));
    return NULL;
}

/* --- from outside --- */

struct clusters *clusters_start(const struct clusters_options *options)
{
    struct clusters *c = mem_zalloc(sizeof *c);
    c->options = *options;
    c->running = ctx_new(NULL, NOW_FOREVER);
    MUST(pthread_mutex_init(&c->mu, NULL));
    cond_init(&c->cond);
    MUST(pthread_create(&c->thread, NULL, clusters_main, c));
    return c;
}

void clusters_set(struct clusters *c, const struct cluster_probe *probes, size_t n,
                  int64_t every_ms, int64_t timeout_ms, size_t width)
{
    struct generation *g = generation_new(probes, n);
    g->every_ms = every_ms;
    g->timeout_ms = timeout_ms;
    g->width = width;
    MUST(pthread_mutex_lock(&c->mu));
    inherit(g, c->now);
    g->older = c->now;
    c->now = g;
    c->wanted = true;
    if (c->sweeping != NULL) {
        ctx_cancel(c->sweeping);
    }
    MUST(pthread_cond_signal(&c->cond));
    MUST(pthread_mutex_unlock(&c->mu));
}

void clusters_look(struct clusters *c)
{
    MUST(pthread_mutex_lock(&c->mu));
    c->wanted = c->wanted || c->sweeping == NULL;
    MUST(pthread_cond_signal(&c->cond));
    MUST(pthread_mutex_unlock(&c->mu));
}

size_t clusters_read(struct clusters *c, struct cluster_view **views)
{
    MUST(pthread_mutex_lock(&c->mu));
    size_t n = c->now != NULL ? c->now->n : 0;
    *views = n > 0 ? mem_dup(c->now->views, n * sizeof **views) : NULL;
    MUST(pthread_mutex_unlock(&c->mu));
    return n;
}

bool clusters_find(struct clusters *c, const char *name, struct cluster_view *view)
{
    bool found = false;
    MUST(pthread_mutex_lock(&c->mu));
    for (size_t i = 0; c->now != NULL && i < c->now->n && !found; i++) {
        found = strcmp(c->now->views[i].name, name) == 0;
        if (found) {
            *view = c->now->views[i];
        }
    }
    MUST(pthread_mutex_unlock(&c->mu));
    return found;
}

int64_t clusters_swept_wall_ms(struct clusters *c)
{
    MUST(pthread_mutex_lock(&c->mu));
    int64_t at = c->swept_wall_ms;
    MUST(pthread_mutex_unlock(&c->mu));
    return at;
}

void clusters_stop(struct clusters *c)
{
    if (c == NULL) {
        return;
    }
    ctx_cancel(c->running);
    MUST(pthread_mutex_lock(&c->mu));
    c->stopping = true;
    MUST(pthread_cond_signal(&c->cond));
    MUST(pthread_mutex_unlock(&c->mu));
    MUST(pthread_join(c->thread, NULL));
    for (struct generation *g = c->now; g != NULL;) {
        struct generation *older = g->older;
        generation_free(c, g);
        g = older;
    }
    ctx_free(c->running);
    MUST(pthread_cond_destroy(&c->cond));
    MUST(pthread_mutex_destroy(&c->mu));
    free(c);
}
