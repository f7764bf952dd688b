/* Design. Kinds are looked up first, one after the other, for nearly always nothing has
 * to be asked; then each kind is an item of a batch, whose pages follow one another on
 * the loop. Counters are shared, lists are not: each kind has its own until all are in.
 */
#include "kube/workloads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kube/discovery.h"
#include "sync/batch.h"

struct listing {
    struct reading *reading;
    struct batch *batch;
    size_t i;
    struct kube_ref kind; /* api and kind alone */
    struct kube_call call;
    char *path;
    char *query;
    char *more; /* the token of the page that is asked for; "": the first */
    int pages;
    int limit;
    struct workload *items;
    size_t count;
    bool absent; /* the cluster has no such kind */
    int rc;
    int status;
    struct err err;
};

struct reading {
    struct kube *kube;
    struct ctx *ctx;
    const char *ns;
    const char *selector;
    struct hibernation_counts counts;
    struct listing *listings;
    size_t count;
};

/* --- one object --- */

static void keep(struct listing *l, struct json_object *object,
                 const struct hibernation_look *look)
{
    if ((l->count & (l->count - 1)) == 0) {
        l->items =
            mem_resize(l->items, (l->count == 0 ? 1 : l->count * 2) * sizeof l->items[0]);
    }
    l->items[l->count++] = (struct workload){
        .ref = {.api = mem_strdup(l->kind.api),
                .kind = mem_strdup(l->kind.kind),
                .ns = mem_strdup(
                    json_text_or(object, "/metadata/namespace", l->reading->ns)),
                .name = mem_strdup(json_text_or(object, "/metadata/name", "?"))},
        .version = mem_strdup(json_text_or(object, "/metadata/resourceVersion", "")),
        .look = *look,
    };
}

static void look_at(struct listing *l, struct json_object *object)
{
    struct hibernation_look look;
    hibernation_look(l->kind.kind, object, &look);
    hibernation_count(&l->reading->counts, &look);
    if (look.part == PART_UNREADABLE && l->rc == 0) {
        l->rc = err_set(&l->err, -EPROTO, "%s %s/%s: %s", l->kind.kind, l->reading->ns,
                        json_text_or(object, "/metadata/name", "?"), look.why);
    }
    if (look.part != PART_OWNED) {
        keep(l, object, &look);
    }
}

/* --- one kind --- */

/* The list of this kind was not read, or not to its end. */
static void give_up(struct listing *l, int rc, int status, const struct err *err)
{
    struct hibernation_look look = {.part = PART_UNREADABLE, .health = HEALTH_UNKNOWN};
    hibernation_count(&l->reading->counts, &look);
    l->rc = rc;
    l->status = status;
    l->err = *err;
}

static void ask_page(struct listing *l);

/* Whether there is something to go on with: another page, or this one in smaller parts.
 */
static bool take_page(struct listing *l, const struct kube_call *call)
{
    struct json_object *items = json_at(call->doc, "/items");
    struct err err = ERR_INIT;
    if (call->rc == -ENOENT && call->status == 404 && l->pages == 1) {
        l->absent = true;
        return false;
    }
    if (call->end == KUBE_GARBLED && l->limit > 1) {
        l->limit /= WORKLOADS_SHRINK;
        l->limit = l->limit > 0 ? l->limit : 1;
        return true;
    }
    if (call->rc != 0 || !json_object_is_type(items, json_type_array)) {
        err_set(&err, -EPROTO, "%s: the cluster's answer is no list", l->kind.kind);
        give_up(l, call->rc != 0 ? call->rc : -EPROTO, call->status,
                call->rc != 0 ? &call->err : &err);
        return false;
    }
    for (size_t i = 0; i < json_object_array_length(items); i++) {
        look_at(l, json_object_array_get_idx(items, i));
    }
    free(l->more);
    l->more = mem_strdup(json_text_or(call->doc, "/metadata/continue", ""));
    return l->more[0] != '\0';
}

static void ended(struct kube_call *call)
{
    struct listing *l = call->arg;
    bool more = take_page(l, call);
    kube_call_release(call);
    if (more && l->pages == WORKLOADS_PAGES_MAX) {
        struct err err = ERR_INIT;
        err_set(&err, -EPROTO, "%s: too many objects have these labels", l->kind.kind);
        give_up(l, -EPROTO, 200, &err);
    } else if (more) {
        ask_page(l);
        return;
    }
    batch_done(l->batch, l->i, 0);
}

static void ask_page(struct listing *l)
{
    struct str query;
    str_init(&query);
    str_add(&query, "labelSelector=");
    str_add_percent(&query, l->reading->selector, strlen(l->reading->selector));
    str_addf(&query, "&limit=%d", l->limit);
    if (l->more[0] != '\0') {
        str_add(&query, "&continue=");
        str_add_percent(&query, l->more, strlen(l->more));
    }
    free(l->query);
    l->query = str_take(&query);
    l->pages++;
    l->call = (struct kube_call){.path = l->path,
                                 .query = l->query,
                                 .answer_max = WORKLOADS_ANSWER_MAX,
                                 .ctx = l->reading->ctx,
                                 .done = ended,
                                 .arg = l};
    kube_start(l->reading->kube, &l->call);
}

static void start(void *arg, struct batch *batch, size_t i)
{
    struct reading *r = arg;
    struct listing *l = &r->listings[i];
    l->batch = batch;
    l->i = i;
    if (l->path == NULL) { /* the cluster does not have it, or that is not known */
        batch_done(batch, i, 0);
        return;
    }
    l->limit = WORKLOADS_PAGE;
    l->more = mem_strdup("");
    ask_page(l);
}

/* "apps/v1/Deployment" in two. */
static void split(const char *kind, struct kube_ref *ref)
{
    const char *slash = strrchr(kind, '/');
    ASSERT(slash != NULL);
    ref->api = mem_strndup(kind, (size_t)(slash - kind));
    ref->kind = mem_strdup(slash + 1);
}

static void look_up(struct reading *r, struct listing *l, const char *kind)
{
    struct kube_resource resource;
    struct err err = ERR_INIT;
    struct str path;
    split(kind, &l->kind);
    l->reading = r;
    int rc = discovery_find(r->kube, r->ctx, l->kind.api, l->kind.kind, &resource, &err);
    if (rc == 0) {
        str_init(&path);
        kube_resource_path(&resource, l->kind.api, r->ns, NULL, &path);
        l->path = str_take(&path);
    } else if (rc == -ENOENT) {
        l->absent = true;
    } else {
        give_up(l, rc, 0, &err);
    }
}

/* --- all of them --- */

/* No kind at all is there: a wrong address answers so, too, so it says nothing. */
static void doubt(struct reading *r)
{
    struct err err = ERR_INIT;
    for (size_t i = 0; i < r->count; i++) {
        if (!r->listings[i].absent) {
            return;
        }
    }
    if (r->count > 0) {
        err_set(&err, -ENOENT, "cluster %s has none of these kinds: %s%s",
                kube_name(r->kube), r->listings[0].kind.kind,
                r->count > 1 ? " and others" : "");
        give_up(&r->listings[0], -ENOENT, 404, &err);
    }
}

static void gather(struct reading *r, const int *results, struct workloads *out)
{
    size_t n = 0;
    for (size_t i = 0; i < r->count; i++) {
        struct listing *l = &r->listings[i];
        if (results[i] == BATCH_NOT_STARTED && l->rc == 0 && l->path != NULL) {
            struct err err = ERR_INIT;
            int rc = ctx_err(r->ctx);
            err_set(&err, rc, "%s: not read in time", l->kind.kind);
            give_up(l, rc, 0, &err);
        }
        n += l->count;
        if (out->rc == 0 && l->rc != 0) {
            out->rc = l->rc;
            out->status = l->status;
            out->err = l->err;
        }
    }
    out->items = mem_array(n + 1, sizeof out->items[0]);
    for (size_t i = 0; i < r->count; i++) {
        const struct listing *l = &r->listings[i];
        if (l->count > 0) {
            memcpy(out->items + out->count, l->items, l->count * sizeof l->items[0]);
        }
        out->count += l->count;
    }
    hibernation_judge(&r->counts, &out->judged);
}

static void release(struct reading *r)
{
    for (size_t i = 0; i < r->count; i++) {
        kube_ref_release(&r->listings[i].kind);
        free(r->listings[i].path);
        free(r->listings[i].query);
        free(r->listings[i].more);
        free(r->listings[i].items); /* their contents have moved */
    }
    free(r->listings);
}

void workloads_read(struct kube *kube, struct ctx *ctx, const char *ns,
                    const char *selector, char *const *kinds, size_t kind_count,
                    struct workloads *out)
{
    int results[WORKLOADS_KINDS_MAX];
    ASSERT(kind_count <= WORKLOADS_KINDS_MAX);
    struct reading r = {.kube = kube,
                        .ctx = ctx,
                        .ns = ns,
                        .selector = selector,
                        .listings = mem_array(kind_count + 1, sizeof r.listings[0]),
                        .count = kind_count};
    *out = (struct workloads){.err = ERR_INIT};
    for (size_t i = 0; i < kind_count; i++) {
        look_up(&r, &r.listings[i], kinds[i]);
    }
    /* each says itself how it went; a failure of the batch is theirs */
    int rc = batch_run(ctx, kind_count, WORKLOADS_WIDTH, start, &r, results);
    ASSERT(rc != -EINVAL);
    doubt(&r);
    gather(&r, results, out);
    release(&r);
}

void workloads_release(struct workloads *workloads)
{
    for (size_t i = 0; i < workloads->count; i++) {
        kube_ref_release(&workloads->items[i].ref);
        free(workloads->items[i].version);
    }
    free(workloads->items);
    *workloads = (struct workloads){.err = ERR_INIT};
}
