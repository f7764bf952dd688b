#include "kube/waking.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "kube/discovery.h"

/* One object while it is woken, or put to sleep. */
struct rousing {
    struct kube *kube;
    struct ctx *ctx; /* its own: it outlives the caller's */
    struct waking *item;
    char *path;
    char *version;
    int64_t count; /* of replicas: what it remembers, or what it has now */
};

static int find_path(struct rousing *r)
{
    const struct kube_ref *ref = &r->item->workload->ref;
    struct kube_resource resource;
    struct str path;
    int rc =
        discovery_find(r->kube, r->ctx, ref->api, ref->kind, &resource, &r->item->err);
    if (rc == 0) {
        str_init(&path);
        kube_resource_path(&resource, ref->api, ref->ns, ref->name, &path);
        r->path = str_take(&path);
    }
    return rc;
}

static void write_patch(const struct rousing *r, struct str *body)
{
    str_add(body, "{\"metadata\":{\"resourceVersion\":\"");
    str_add_json(body, r->version, strlen(r->version));
    bool sleep = r->item->sleep;
    str_addf(body,
             "\",\"annotations\":{\"" HIBERNATION_ANNOTATION
             "\":\"%lld\"}},\"spec\":{\"replicas\":%lld}}",
             (long long)(sleep ? r->count : 0), (long long)(sleep ? 0 : r->count));
}

/* Returns as the call. */
static int patch(struct rousing *r)
{
    struct str body;
    str_init(&body);
    write_patch(r, &body);
    struct kube_call call = {.method = "PATCH",
                             .path = r->path,
                             .content_type = "application/merge-patch+json",
                             .body = body.data,
                             .body_len = body.len,
                             .answer_max = WAKING_ANSWER_MAX,
                             .ctx = r->ctx};
    int rc = kube_do(r->kube, &call);
    r->item->rc = rc;
    r->item->err = call.err;
    kube_call_release(&call);
    str_release(&body);
    return rc;
}

static int64_t count_of(const struct waking *item, const struct hibernation_look *look)
{
    return item->sleep ? look->replicas : look->remembered;
}

/* Is it as the patch said, whose answer was lost? */
static bool is_ours(const struct rousing *r, const struct hibernation_look *look)
{
    return r->item->sleep ? look->part == PART_ASLEEP && look->remembered == r->count
                          : look->replicas == r->count;
}

/* Look at it again, after a patch that ended with `after`. Returns 0 when there still is
 * something to do, 1 when there is not or it is gone (its end is set), or as the call. */
static int look_again(struct rousing *r, int after)
{
    struct hibernation_look look;
    struct kube_call call = {.path = r->path,
                             .answer_max = WAKING_ANSWER_MAX,
                             .ctx = r->ctx};
    int rc = kube_do(r->kube, &call);
    if (rc == 0) {
        hibernation_look(r->item->workload->ref.kind, call.doc, &look);
        free(r->version);
        r->version = mem_strdup(json_text_or(call.doc, "/metadata/resourceVersion", ""));
        bool ours = after != -EAGAIN && is_ours(r, &look);
        r->item->end = ours ? WAKING_WOKEN : WAKING_AWAKE;
        r->item->replicas = look.replicas;
        r->count = count_of(r->item, &look);
        rc = look.part == (r->item->sleep ? PART_RUNNING : PART_ASLEEP) ? 0 : 1;
    } else if (rc == -ENOENT) {
        r->item->end = WAKING_AWAKE;
        rc = 1;
    } else {
        err_set(&r->item->err, rc, "%.240s; then %.240s", r->item->err.text,
                call.err.text);
    }
    kube_call_release(&call);
    return rc;
}

/* It may have been obeyed, or not. */
static bool is_lost(int rc)
{
    return rc == -EIO || rc == -ETIMEDOUT || rc == -EPROTO;
}

/* May another look change it? A conflict, an answer that was lost, a server that is busy.
 */
static bool is_open(int rc)
{
    return rc == -EAGAIN || is_lost(rc);
}

static int fail(struct waking *item, int rc, bool lost)
{
    item->end = lost ? WAKING_UNCERTAIN : WAKING_FAILED;
    item->rc = rc;
    return rc;
}

static int rouse(struct rousing *r)
{
    struct waking *item = r->item;
    const struct kube_ref *ref = &item->workload->ref;
    int rc = find_path(r);
    bool lost = false; /* the last patch, and nobody has looked since */
    while (rc == 0) {
        if (r->count <= 0 || r->version[0] == '\0') {
            rc = err_set(&item->err, -EINVAL,
                         "%s %s/%s: the annotation " HIBERNATION_ANNOTATION
                         " is no number of replicas; scale it by hand",
                         ref->kind, ref->ns, ref->name);
            break;
        }
        item->tries++;
        rc = patch(r);
        lost = is_lost(rc);
        if (rc == 0) {
            item->end = WAKING_WOKEN;
            item->replicas = item->sleep ? 0 : r->count;
            return 0;
        }
        if (rc == -ENOENT) {
            item->end = WAKING_AWAKE;
            return 0;
        }
        if (!is_open(rc) || item->tries == WAKING_TRIES_MAX) {
            break;
        }
        rc = look_again(r, rc);
        if (rc > 0) {
            return 0;
        }
        lost = lost && rc != 0;
    }
    return fail(item, rc, lost);
}

static int wake(struct kube *kube, struct waking *item)
{
    struct rousing r = {.kube = kube,
                        .ctx = ctx_new(NULL, now_ms() + WAKING_ITEM_MS),
                        .item = item,
                        .version = mem_strdup(item->workload->version),
                        .count = count_of(item, &item->workload->look)};
    int rc = rouse(&r);
    ctx_free(r.ctx);
    free(r.path);
    free(r.version);
    return rc;
}

int waking_run(struct kube *kube, struct ctx *ctx, struct waking *items, size_t n)
{
    int first = 0;
    for (size_t i = 0; i < n; i++) {
        items[i].end = WAKING_NOT_BEGUN;
        items[i].tries = 0;
    }
    for (size_t i = 0; i < n; i++) {
        int rc = ctx_err(ctx);
        if (rc != 0) {
            return rc;
        }
        rc = wake(kube, &items[i]);
        first = first != 0 ? first : rc;
    }
    return first;
}

const char *waking_end_word(enum waking_end end)
{
    static const char *const words[] = {"not-begun", "woken", "awake", "failed",
                                        "uncertain"};
    return words[end];
}

const char *waking_word(const struct waking *item)
{
    if (item->sleep && item->end == WAKING_WOKEN) {
        return "hibernated";
    }
    if (item->sleep && item->end == WAKING_AWAKE) {
        return "asleep";
    }
    return waking_end_word(item->end);
}
