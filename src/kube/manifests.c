/* Design. Items that mean one object are one wanted object; wanted objects of one kind
 * and namespace are a group. A group is looked up (discovery), then becomes one LIST or
 * some GETs, its requests. They stand in a line; a window lets `width` of them run. All
 * that is decided is decided on the caller's thread, which also reads the answers; the
 * loop and discovery only hand over what has ended.
 *
 * sync/batch knows its items before it begins; here an answer makes further requests: the
 * next page, or GETs for what a LIST did not bring. So the window is our own. */
#include "kube/manifests.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "kube/client_inside.h"
#include "kube/discovery_ask.h"
#include "sync/cond.h"

struct group;

struct wanted {
    struct group *group;
    const char *name;
    bool found; /* its end is known */
    int rc;
    int status;
    struct json_object *doc;
    size_t bytes; /* of the text it was */
    struct err err;
    struct wanted *next; /* of the group, in request order */
};

struct group {
    struct window *window;
    struct kube *kube;
    const char *api;
    const char *kind;
    const char *ns;
    struct discovery_ask ask;
    struct wanted *first;
    struct wanted *last;
    size_t count;
    struct group *next; /* of those that were looked up */
};

struct request {
    struct group *group;
    struct wanted *wanted; /* NULL: a LIST */
    int page;
    char *path;
    char *query;
    struct kube_call call;
    struct window *window;
    struct request *next;
};

struct window {
    struct ctx *ctx;
    int width;
    struct wanted *wanted;
    size_t wanted_count;
    struct group *groups;
    size_t group_count;
    struct wanted **of_item;
    /* owned by the caller's thread */
    struct request *line;
    struct request **line_end;
    int running;
    size_t lookups; /* groups whose look-up has not ended */
    size_t bytes;   /* of the objects that are kept */
    pthread_mutex_t mu;
    pthread_cond_t cond;
    /* guarded by mu */
    struct request *ended;
    struct group *looked_up;
};

/* --- what is wanted --- */

static const char *namespace_of(const struct manifest *item)
{
    if (item->ref->ns[0] != '\0') {
        return item->ref->ns;
    }
    const char *ns = item->ns != NULL ? item->ns : kube_namespace(item->kube);
    return ns != NULL ? ns : "default";
}

static struct group *get_group(struct window *w, const struct manifest *item)
{
    const char *ns = namespace_of(item);
    for (size_t i = 0; i < w->group_count; i++) {
        struct group *g = &w->groups[i];
        if (g->kube == item->kube && strcmp(g->ns, ns) == 0 &&
            strcmp(g->kind, item->ref->kind) == 0 &&
            strcmp(g->api, item->ref->api) == 0) {
            return g;
        }
    }
    struct group *g = &w->groups[w->group_count++];
    *g = (struct group){.window = w,
                        .kube = item->kube,
                        .api = item->ref->api,
                        .kind = item->ref->kind,
                        .ns = ns};
    return g;
}

static struct wanted *get_wanted(struct window *w, const struct manifest *item)
{
    struct group *g = get_group(w, item);
    for (struct wanted *wanted = g->first; wanted != NULL; wanted = wanted->next) {
        if (strcmp(wanted->name, item->ref->name) == 0) {
            return wanted;
        }
    }
    struct wanted *wanted = &w->wanted[w->wanted_count++];
    *wanted = (struct wanted){.group = g, .name = item->ref->name};
    if (g->last != NULL) {
        g->last->next = wanted;
    } else {
        g->first = wanted;
    }
    g->last = wanted;
    g->count++;
    return wanted;
}

static void settle(struct wanted *wanted, int rc, int status, const struct err *err)
{
    if (!wanted->found) {
        wanted->found = true;
        wanted->rc = rc;
        wanted->status = status;
        wanted->err = *err;
    }
}

static void settle_rest(struct group *g, int rc, int status, const struct err *err)
{
    for (struct wanted *wanted = g->first; wanted != NULL; wanted = wanted->next) {
        settle(wanted, rc, status, err);
    }
}

/* --- requests --- */

static void line_up(struct window *w, struct request *r)
{
    r->next = NULL;
    *w->line_end = r;
    w->line_end = &r->next;
}

static struct request *request_new(struct group *g, struct wanted *wanted)
{
    struct request *r = mem_zalloc(sizeof *r);
    struct str path;
    str_init(&path);
    kube_resource_path(&g->ask.resource, g->api, g->ns,
                       wanted != NULL ? wanted->name : NULL, &path);
    r->path = str_take(&path);
    r->group = g;
    r->wanted = wanted;
    r->window = g->window;
    return r;
}

static void request_free(struct request *r)
{
    kube_call_release(&r->call);
    free(r->path);
    free(r->query);
    free(r);
}

/* next  the token of the page, NULL: the first. */
static void ask_page(struct group *g, const char *next, int page)
{
    struct request *r = request_new(g, NULL);
    struct str query;
    str_init(&query);
    str_addf(&query, "limit=%d", MANIFESTS_PAGE);
    if (next != NULL) {
        str_add(&query, "&continue=");
        str_add_percent(&query, next, strlen(next));
    }
    r->query = str_take(&query);
    r->page = page;
    line_up(g->window, r);
}

static void ask_each(struct group *g)
{
    for (struct wanted *wanted = g->first; wanted != NULL; wanted = wanted->next) {
        if (!wanted->found) {
            line_up(g->window, request_new(g, wanted));
        }
    }
}

static void on_ended(struct kube_call *call)
{
    struct request *r = call->arg;
    struct window *w = r->window;
    MUST(pthread_mutex_lock(&w->mu));
    r->next = w->ended;
    w->ended = r;
    MUST(pthread_cond_signal(&w->cond));
    MUST(pthread_mutex_unlock(&w->mu));
}

static void start(struct window *w, struct request *r)
{
    r->call = (struct kube_call){.path = r->path,
                                 .query = r->query,
                                 .answer_max = KUBE_ANSWER_MAX_MAX,
                                 .ctx = w->ctx,
                                 .done = on_ended,
                                 .arg = r};
    w->running++;
    kube_start_unread(r->group->kube, &r->call);
}

/* --- answers --- */

static int too_much(struct wanted *wanted, struct err *err)
{
    return err_set(
        err, -EPROTO,
        "cluster %.64s: %.80s \"%.200s\" is not kept: the objects of this call "
        "are more than %d MiB; ask for fewer at once",
        kube_name(wanted->group->kube), wanted->group->kind, wanted->name,
        MANIFESTS_BYTES_MAX >> 20);
}

static bool is_full(const struct window *w)
{
    return w->bytes > MANIFESTS_BYTES_MAX;
}

/* bytes  of its text. */
static void take_object(struct wanted *wanted, struct json_object *doc, int status,
                        size_t bytes)
{
    struct window *w = wanted->group->window;
    w->bytes += bytes;
    wanted->bytes = bytes;
    if (is_full(w)) {
        struct err err = ERR_INIT;
        settle(wanted, too_much(wanted, &err), status, &err);
        return;
    }
    wanted->doc = json_object_get(doc);
    wanted->found = true;
    wanted->status = status;
}

/* In a list the items do not say again what they all are. */
static void take_item(struct group *g, struct json_object *item, int status, size_t bytes)
{
    const char *name = json_text_or(item, "/metadata/name", "");
    for (struct wanted *wanted = g->first; wanted != NULL; wanted = wanted->next) {
        if (wanted->found || strcmp(wanted->name, name) != 0) {
            continue;
        }
        if (json_at(item, "/apiVersion") == NULL) {
            json_put_text(item, "apiVersion", g->api);
        }
        if (json_at(item, "/kind") == NULL) {
            json_put_text(item, "kind", g->kind);
        }
        take_object(wanted, item, status, bytes);
        return;
    }
}

static bool has_all(const struct group *g)
{
    for (const struct wanted *wanted = g->first; wanted != NULL; wanted = wanted->next) {
        if (!wanted->found) {
            return false;
        }
    }
    return true;
}

static void settle_absent(struct group *g, int status)
{
    for (struct wanted *wanted = g->first; wanted != NULL; wanted = wanted->next) {
        struct err err = ERR_INIT;
        bool scoped = g->ask.resource.namespaced;
        err_set(&err, -ENOENT, "cluster %.64s: there is no %.80s \"%.200s\"%s%.64s",
                kube_name(g->kube), g->kind, wanted->name, scoped ? " in namespace " : "",
                scoped ? g->ns : "");
        settle(wanted, -ENOENT, status, &err);
    }
}

static void listed(struct request *r)
{
    struct group *g = r->group;
    const struct kube_call *call = &r->call;
    struct json_object *items = json_at(call->doc, "/items");
    size_t n = items != NULL && json_object_is_type(items, json_type_array)
                   ? json_object_array_length(items)
                   : 0;
    for (size_t i = 0; i < n; i++) {
        take_item(g, json_object_array_get_idx(items, i), call->status,
                  call->answer_len / n);
    }
    const char *next = json_text_or(call->doc, "/metadata/continue", "");
    if (has_all(g)) {
        return;
    }
    if (next[0] == '\0') {
        settle_absent(g, call->status);
    } else if (r->page + 1 < MANIFESTS_PAGES_MAX) {
        ask_page(g, next, r->page + 1);
    } else {
        ask_each(g);
    }
}

/* What a GET may still get where a LIST did not: no right to list, a page that expired,
 * an answer that is too long. */
static bool may_get(const struct kube_call *call)
{
    switch (call->status) {
    case 400:
    case 403:
    case 405:
    case 410:
        return true;
    default:
        return call->end == KUBE_GARBLED;
    }
}

static void take(struct request *r)
{
    struct kube_call *call = &r->call;
    kube_read(call);
    if (r->wanted != NULL && call->rc == 0) {
        take_object(r->wanted, call->doc, call->status, call->answer_len);
    } else if (r->wanted != NULL) {
        settle(r->wanted, call->rc, call->status, &call->err);
    } else if (call->rc == 0) {
        listed(r);
    } else if (may_get(call)) {
        ask_each(r->group);
    } else {
        settle_rest(r->group, call->rc, call->status, &call->err);
    }
    request_free(r);
}

/* --- look-ups --- */

static void on_looked_up(struct discovery_ask *ask)
{
    struct group *g = ask->arg;
    struct window *w = g->window;
    MUST(pthread_mutex_lock(&w->mu));
    g->next = w->looked_up;
    w->looked_up = g;
    MUST(pthread_cond_signal(&w->cond));
    MUST(pthread_mutex_unlock(&w->mu));
}

static void plan(struct group *g)
{
    if (g->ask.rc != 0) {
        settle_rest(g, g->ask.rc, 0, &g->ask.err);
    } else if (g->count >= MANIFESTS_LIST_FROM) {
        ask_page(g, NULL, 0);
    } else {
        ask_each(g);
    }
}

/* --- the window --- */

static void on_cancel(void *arg)
{
    struct window *w = arg;
    MUST(pthread_mutex_lock(&w->mu));
    MUST(pthread_cond_signal(&w->cond));
    MUST(pthread_mutex_unlock(&w->mu));
}

/* Wait until something has ended, or the ctx while only look-ups are out: requests end
 * with the ctx by themselves. */
static void wait_some(struct window *w, struct request **ended, struct group **looked_up)
{
    MUST(pthread_mutex_lock(&w->mu));
    while (w->ended == NULL && w->looked_up == NULL &&
           (w->running > 0 || ctx_err(w->ctx) == 0)) {
        cond_wait(&w->cond, &w->mu,
                  w->running > 0 ? NOW_FOREVER : ctx_deadline_ms(w->ctx));
    }
    *ended = w->ended;
    *looked_up = w->looked_up;
    w->ended = NULL;
    w->looked_up = NULL;
    MUST(pthread_mutex_unlock(&w->mu));
}

/* The newest stands first in what was handed over. */
static struct group *turn_groups(struct group *list)
{
    struct group *turned = NULL;
    while (list != NULL) {
        struct group *next = list->next;
        list->next = turned;
        turned = list;
        list = next;
    }
    return turned;
}

static void take_all(struct window *w, struct request *ended, struct group *looked_up)
{
    looked_up = turn_groups(looked_up);
    while (looked_up != NULL) {
        struct group *g = looked_up;
        looked_up = g->next;
        w->lookups--;
        plan(g);
    }
    while (ended != NULL) {
        struct request *r = ended;
        ended = r->next;
        w->running--;
        take(r);
    }
}

static void start_some(struct window *w)
{
    while (w->line != NULL && w->running < w->width && ctx_err(w->ctx) == 0 &&
           !is_full(w)) {
        struct request *r = w->line;
        w->line = r->next;
        w->line_end = w->line == NULL ? &w->line : w->line_end;
        start(w, r);
    }
}

static void run(struct window *w)
{
    bool over = false;
    while (!over) {
        struct request *ended;
        struct group *looked_up;
        start_some(w);
        bool waits = w->running > 0 || (ctx_err(w->ctx) == 0 && !is_full(w) &&
                                        (w->lookups > 0 || w->line != NULL));
        if (waits) {
            wait_some(w, &ended, &looked_up);
            take_all(w, ended, looked_up);
        }
        over = !waits;
    }
}

/* What had no turn when the ctx ended, or the room. */
static int not_asked(const struct window *w, struct wanted *wanted, struct err *err)
{
    int rc = ctx_err(w->ctx);
    if (rc == 0 && is_full(w)) {
        return too_much(wanted, err);
    }
    rc = rc != 0 ? rc : -ECANCELED;
    return err_set(err, rc, "cluster %.64s: %.80s \"%.200s\" was not asked for: %s",
                   kube_name(wanted->group->kube), wanted->group->kind, wanted->name,
                   rc == -ETIMEDOUT ? "the deadline came before its turn"
                                    : "nobody waits for it");
}

static void leave(struct window *w)
{
    struct err err = ERR_INIT;
    for (size_t i = 0; i < w->group_count; i++) {
        (void)discovery_recall(w->groups[i].kube, &w->groups[i].ask);
    }
    while (w->line != NULL) {
        struct request *r = w->line;
        w->line = r->next;
        request_free(r);
    }
    for (size_t i = 0; i < w->wanted_count; i++) {
        settle(&w->wanted[i], not_asked(w, &w->wanted[i], &err), 0, &err);
    }
}

/* --- the whole --- */

static void window_open(struct window *w, struct manifest *items, size_t n)
{
    w->line_end = &w->line;
    w->wanted = mem_array(n + 1, sizeof w->wanted[0]);
    w->groups = mem_array(n + 1, sizeof w->groups[0]);
    w->of_item = mem_array(n + 1, sizeof(struct wanted *));
    MUST(pthread_mutex_init(&w->mu, NULL));
    cond_init(&w->cond);
    for (size_t i = 0; i < n; i++) {
        w->of_item[i] = get_wanted(w, &items[i]);
    }
    w->lookups = w->group_count;
    for (size_t i = 0; i < w->group_count; i++) {
        struct group *g = &w->groups[i];
        g->ask = (struct discovery_ask){.api = g->api,
                                        .kind = g->kind,
                                        .done = on_looked_up,
                                        .arg = g};
        discovery_start(g->kube, &g->ask);
    }
}

static void window_close(struct window *w)
{
    for (size_t i = 0; i < w->wanted_count; i++) {
        json_free(w->wanted[i].doc);
    }
    MUST(pthread_cond_destroy(&w->cond));
    MUST(pthread_mutex_destroy(&w->mu));
    free(w->wanted);
    free(w->groups);
    free(w->of_item);
}

/* A kind without namespaces and a ref that names one do not go together, whatever else
 * asked for the same name. given: bytes so far, for who asks for one thing many times. */
static void deliver(struct wanted *wanted, struct manifest *item, size_t *given)
{
    const struct group *g = wanted->group;
    bool looked_up = g->ask.rc == 0 && g->ask.resource.plural[0] != '\0';
    item->rc = wanted->rc;
    item->status = wanted->status;
    item->err = wanted->err;
    item->doc = NULL;
    *given += wanted->bytes;
    if (looked_up && !g->ask.resource.namespaced && item->ref->ns[0] != '\0') {
        item->status = 0;
        item->rc = err_set(&item->err, -EINVAL,
                           "a %.80s is in no namespace: leave \"%.64s/\" out of its name",
                           g->kind, item->ref->ns);
    } else if (wanted->rc == 0 && *given > MANIFESTS_BYTES_MAX) {
        item->rc = too_much(wanted, &item->err);
    } else if (wanted->rc == 0) {
        item->doc = json_object_get(wanted->doc);
    }
}

int manifests_get(struct ctx *ctx, struct manifest *items, size_t n, int width)
{
    if (width < 1 || width > MANIFESTS_WIDTH_MAX || n > MANIFESTS_MAX) {
        return -EINVAL;
    }
    struct window w = {.ctx = ctx, .width = width};
    struct ctx_watch watch;
    window_open(&w, items, n);
    ctx_watch(ctx, &watch, on_cancel, &w);
    run(&w);
    ctx_unwatch(ctx, &watch);
    leave(&w);
    size_t given = 0;
    for (size_t i = 0; i < n; i++) {
        deliver(w.of_item[i], &items[i], &given);
    }
    window_close(&w);
    return 0;
}

void manifests_release(struct manifest *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        json_free(items[i].doc);
        items[i].doc = NULL;
    }
}
