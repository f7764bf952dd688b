/* Design. One list for each group and version, with a line of those who wait for it. A
 * list that is wanted and not there is asked for under a ctx of its own, so that nobody's
 * impatience takes it from the others. A failure to ask is told to those who wait and
 * then forgotten: the next one asks again. */
#include "kube/discovery.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "kube/discovery_ask.h"
#include "sync/cond.h"

enum { KINDS_MAX = 8192, LIST_BYTES_MAX = 4 * 1024 * 1024 };

struct kind {
    char *name;
    struct kube_resource resource;
};

enum list_state { LIST_UNKNOWN, LIST_ASKED, LIST_THERE, LIST_ABSENT };

struct discovery_list {
    struct discovery *owner;
    char *api;
    /* guarded by the owner's mu */
    enum list_state state;
    int64_t read_ms; /* when it was found there or absent */
    struct kind *kinds;
    size_t kind_count;
    struct discovery_ask *waiting;
    /* owned by the request while there is one */
    struct kube_call call;
    char *path;
};

struct discovery {
    struct kube *kube;
    struct ctx *stop; /* of all requests */
    pthread_mutex_t mu;
    pthread_cond_t idle;
    /* guarded by mu */
    struct discovery_list *lists[DISCOVERY_LISTS_MAX];
    size_t count;
    size_t asked; /* requests under way */
};

static void clear_kinds(struct discovery_list *list)
{
    for (size_t i = 0; i < list->kind_count; i++) {
        free(list->kinds[i].name);
    }
    free(list->kinds);
    list->kinds = NULL;
    list->kind_count = 0;
}

struct discovery *discovery_new(struct kube *kube)
{
    struct discovery *d = mem_zalloc(sizeof *d);
    d->kube = kube;
    d->stop = ctx_new(NULL, NOW_FOREVER);
    MUST(pthread_mutex_init(&d->mu, NULL));
    cond_init(&d->idle);
    return d;
}

void discovery_free(struct discovery *d)
{
    ctx_cancel(d->stop);
    MUST(pthread_mutex_lock(&d->mu));
    while (d->asked > 0) {
        cond_wait(&d->idle, &d->mu, NOW_FOREVER);
    }
    MUST(pthread_mutex_unlock(&d->mu));
    for (size_t i = 0; i < d->count; i++) {
        ASSERT(d->lists[i]->waiting == NULL);
        clear_kinds(d->lists[i]);
        free(d->lists[i]->api);
        free(d->lists[i]);
    }
    ctx_free(d->stop);
    MUST(pthread_cond_destroy(&d->idle));
    MUST(pthread_mutex_destroy(&d->mu));
    free(d);
}

/* --- reading a list --- */

/* What may stand in a path and fits. */
static bool plural_is_good(const char *plural)
{
    return plural[0] != '\0' && strlen(plural) < DISCOVERY_PLURAL_MAX &&
           strspn(plural, "abcdefghijklmnopqrstuvwxyz0123456789-.") == strlen(plural);
}

static const struct kind *find_kind(const struct discovery_list *list, const char *kind)
{
    for (size_t i = 0; i < list->kind_count; i++) {
        if (strcmp(list->kinds[i].name, kind) == 0) {
            return &list->kinds[i];
        }
    }
    return NULL;
}

/* Parts of objects ("deployments/scale") stand in the list too, under kinds of theirs.
 * Of two that share a kind the first is found. */
static void take_kind(struct discovery_list *list, struct json_object *resource)
{
    const char *plural = json_text_or(resource, "/name", "");
    const char *name = json_text_or(resource, "/kind", "");
    struct json_object *scope = json_at(resource, "/namespaced");
    if (!plural_is_good(plural) || name[0] == '\0') {
        return;
    }
    struct kind *kind = &list->kinds[list->kind_count++];
    kind->name = mem_strdup(name);
    snprintf(kind->resource.plural, sizeof kind->resource.plural, "%s", plural);
    kind->resource.namespaced = scope != NULL && json_object_get_boolean(scope);
}

static void take_kinds(struct discovery_list *list, struct json_object *doc)
{
    struct json_object *resources = json_at(doc, "/resources");
    size_t n = resources != NULL && json_object_is_type(resources, json_type_array)
                   ? json_object_array_length(resources)
                   : 0;
    n = n > KINDS_MAX ? KINDS_MAX : n;
    clear_kinds(list);
    list->kinds = mem_array(n + 1, sizeof list->kinds[0]);
    for (size_t i = 0; i < n; i++) {
        take_kind(list, json_object_array_get_idx(resources, i));
    }
}

/* --- answering --- */

static int no_kind(const struct discovery_list *list, const char *kind, struct err *err)
{
    const char *cluster = kube_name(list->owner->kube);
    if (list->state == LIST_ABSENT) {
        return err_set(err, -ENOENT,
                       "cluster %.64s has no API %.120s: is its operator installed, and "
                       "the version right?",
                       cluster, list->api);
    }
    const char **names = mem_array(list->kind_count + 1, sizeof names[0]);
    for (size_t i = 0; i < list->kind_count; i++) {
        names[i] = list->kinds[i].name;
    }
    const char *near = text_nearest(kind, names, list->kind_count);
    free(names);
    return err_set(err, -ENOENT, "cluster %.64s has no kind %.120s in %.120s%s%.80s%s",
                   cluster, kind, list->api, near != NULL ? " (did you mean " : "",
                   near != NULL ? near : "", near != NULL ? "?)" : "");
}

/* End a question by what the list says now. */
static void answer(const struct discovery_list *list, struct discovery_ask *ask)
{
    const struct kind *kind = find_kind(list, ask->kind);
    ask->list = NULL;
    ask->rc = 0;
    if (kind != NULL) {
        ask->resource = kind->resource;
    } else {
        ask->rc = no_kind(list, ask->kind, &ask->err);
    }
    ask->done(ask);
}

static void answer_failed(const struct kube_call *call, struct discovery_ask *ask)
{
    ask->list = NULL;
    ask->err = call->err;
    ask->rc = call->rc;
    ask->done(ask);
}

/* The request has ended. On the loop. */
static void listed(struct kube_call *call)
{
    struct discovery_list *list = call->arg;
    struct discovery *d = list->owner;
    struct ctx *ctx = call->ctx;
    MUST(pthread_mutex_lock(&d->mu));
    bool known = call->rc == 0 || call->status == 404;
    if (known) {
        list->state = call->rc == 0 ? LIST_THERE : LIST_ABSENT;
        list->read_ms = now_ms();
        take_kinds(list, call->rc == 0 ? call->doc : NULL);
    } else {
        list->state = LIST_UNKNOWN;
    }
    while (list->waiting != NULL) {
        struct discovery_ask *ask = list->waiting;
        list->waiting = ask->next;
        if (known) {
            answer(list, ask);
        } else {
            answer_failed(call, ask);
        }
    }
    kube_call_release(call);
    free(list->path);
    ctx_free(ctx);
    d->asked--;
    MUST(pthread_cond_broadcast(&d->idle));
    MUST(pthread_mutex_unlock(&d->mu));
}

static void ask_cluster(struct discovery_list *list)
{
    struct str path;
    struct kube_resource none = {.namespaced = false};
    str_init(&path);
    kube_resource_path(&none, list->api, NULL, NULL, &path);
    path.data[path.len - 1] = '\0'; /* the slash before the plural, which is empty */
    list->path = str_take(&path);
    list->call = (struct kube_call){
        .path = list->path,
        .answer_max = LIST_BYTES_MAX,
        .ctx = ctx_new(list->owner->stop, now_ms() + DISCOVERY_TIMEOUT_MS),
        .done = listed,
        .arg = list,
    };
    kube_start(list->owner->kube, &list->call);
}

/* --- asking --- */

static bool is_empty(const struct discovery_list *list)
{
    return list->state == LIST_ABSENT || list->state == LIST_UNKNOWN;
}

/* The list of an API; a new one is unknown. When there are too many, one that says
 * nothing makes room, absent or not to be had: anybody may have asked for it. NULL: none
 * can. */
static struct discovery_list *get_list_locked(struct discovery *d, const char *api)
{
    struct discovery_list *list = NULL;
    for (size_t i = 0; i < d->count; i++) {
        if (strcmp(d->lists[i]->api, api) == 0) {
            return d->lists[i];
        }
        list = is_empty(d->lists[i]) ? d->lists[i] : list;
    }
    if (d->count < DISCOVERY_LISTS_MAX) {
        list = mem_zalloc(sizeof *list);
        d->lists[d->count++] = list;
    }
    if (list != NULL) {
        free(list->api);
        clear_kinds(list);
        list->api = mem_strdup(api);
        list->owner = d;
        list->state = LIST_UNKNOWN;
    }
    return list;
}

static bool is_settled(const struct discovery_list *list, const char *kind)
{
    bool known = list->state == LIST_THERE || list->state == LIST_ABSENT;
    bool fresh = now_ms() - list->read_ms < DISCOVERY_AGAIN_MS;
    return known && (fresh || find_kind(list, kind) != NULL);
}

void discovery_start(struct kube *kube, struct discovery_ask *ask)
{
    struct discovery *d = kube_discovery(kube);
    bool asks = false;
    ask->list = NULL;
    if (kube_resource_known(ask->api, ask->kind, &ask->resource)) {
        ask->rc = 0;
        ask->done(ask);
        return;
    }
    MUST(pthread_mutex_lock(&d->mu));
    struct discovery_list *list = get_list_locked(d, ask->api);
    if (list == NULL) {
        ask->rc = err_set(&ask->err, -EAGAIN,
                          "cluster %.64s: more than %d different APIs are asked for",
                          kube_name(kube), DISCOVERY_LISTS_MAX);
        ask->done(ask);
    } else if (is_settled(list, ask->kind)) {
        answer(list, ask);
    } else {
        ask->list = list;
        ask->next = list->waiting;
        list->waiting = ask;
        asks = list->state != LIST_ASKED;
        list->state = LIST_ASKED;
        d->asked += asks;
    }
    MUST(pthread_mutex_unlock(&d->mu));
    if (asks) {
        ask_cluster(list);
    }
}

bool discovery_recall(struct kube *kube, struct discovery_ask *ask)
{
    struct discovery *d = kube_discovery(kube);
    MUST(pthread_mutex_lock(&d->mu));
    bool waits = ask->list != NULL;
    if (waits) {
        struct discovery_ask **at = &ask->list->waiting;
        while (*at != ask) {
            at = &(*at)->next;
        }
        *at = ask->next;
        ask->list = NULL;
    }
    MUST(pthread_mutex_unlock(&d->mu));
    return waits;
}

/* --- one kind, waiting --- */

struct finding {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    bool ended; /* guarded by mu */
};

static void found(struct discovery_ask *ask)
{
    struct finding *f = ask->arg;
    MUST(pthread_mutex_lock(&f->mu));
    f->ended = true;
    MUST(pthread_cond_signal(&f->cond));
    MUST(pthread_mutex_unlock(&f->mu));
}

static void wake(void *arg)
{
    struct finding *f = arg;
    MUST(pthread_mutex_lock(&f->mu));
    MUST(pthread_cond_signal(&f->cond));
    MUST(pthread_mutex_unlock(&f->mu));
}

int discovery_find(struct kube *kube, struct ctx *ctx, const char *api, const char *kind,
                   struct kube_resource *resource, struct err *err)
{
    struct finding f = {.ended = false};
    struct discovery_ask ask = {.api = api, .kind = kind, .done = found, .arg = &f};
    struct ctx_watch watch;
    MUST(pthread_mutex_init(&f.mu, NULL));
    cond_init(&f.cond);
    discovery_start(kube, &ask);
    ctx_watch(ctx, &watch, wake, &f);
    MUST(pthread_mutex_lock(&f.mu));
    while (!f.ended && ctx_err(ctx) == 0) {
        cond_wait(&f.cond, &f.mu, ctx_deadline_ms(ctx));
    }
    MUST(pthread_mutex_unlock(&f.mu));
    ctx_unwatch(ctx, &watch);
    if (discovery_recall(kube, &ask)) {
        ask.rc = err_set(&ask.err, ctx_err(ctx),
                         "cluster %.64s: the kinds of %.120s did not come within the "
                         "deadline",
                         kube_name(kube), api);
    }
    MUST(pthread_cond_destroy(&f.cond));
    MUST(pthread_mutex_destroy(&f.mu));
    *resource = ask.resource;
    return ask.rc == 0 ? 0 : err_set(err, ask.rc, "%s", ask.err.text);
}
