/* kube/workloads and kube/waking over a cluster in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_kube.h"
#include "kube/discovery.h"
#include "kube/waking.h"

enum { OBJECTS_MAX = 8, LONG_MS = 60000 };

/* --- a cluster of Deployments --- */

struct object {
    char name[16];
    int version;
    int replicas;
    char remembered[16]; /* the annotation, "" for none */
    char other[16];      /* another one, that nobody may lose */
};

struct cluster {
    struct object objects[OBJECTS_MAX];
    size_t count;
    /* what goes wrong */
    int list_status;   /* of Deployments; 0: nothing */
    int others_status; /* of the other kinds; 0: 404 */
    int conflicts;     /* so many patches find another version */
    bool rival_wakes;  /* because somebody else woke it */
    bool loses_answer; /* the patch is done, its answer is lost */
    bool cannot_look;  /* at one object */
    int patch_status;  /* 0: nothing */
    int patches;
    struct ctx *cancel_in_patch;
    int pages;
    int too_long; /* a page of more than that is more than may be kept; 0: never */
};

static struct cluster cluster;

static void add(const char *name, int replicas, const char *remembered)
{
    struct object *o = &cluster.objects[cluster.count++];
    memset(o, 0, sizeof *o);
    snprintf(o->name, sizeof o->name, "%s", name);
    snprintf(o->remembered, sizeof o->remembered, "%s", remembered);
    snprintf(o->other, sizeof o->other, "kept");
    o->version = 7;
    o->replicas = replicas;
}

static void print_object(const struct object *o, struct str *out)
{
    str_addf(out,
             "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"shop\",\"resourceVersion\":"
             "\"%d\",\"annotations\":{\"other\":\"%s\"",
             o->name, o->version, o->other);
    if (o->remembered[0]) {
        str_addf(out, ",\"" HIBERNATION_ANNOTATION "\":\"%s\"", o->remembered);
    }
    str_addf(out, "}},\"spec\":{\"replicas\":%d}}", o->replicas);
}

static struct object *find_object(const char *path)
{
    const char *name = strrchr(path, '/') + 1;
    for (size_t i = 0; i < cluster.count; i++) {
        if (strcmp(cluster.objects[i].name, name) == 0) {
            return &cluster.objects[i];
        }
    }
    return NULL;
}

static bool list(struct kube_call *call)
{
    struct str body;
    const char *at = strstr(call->query, "continue=");
    size_t from = at ? (size_t)strtoul(at + 9, NULL, 10) : 0;
    size_t limit = (size_t)strtoul(strstr(call->query, "limit=") + 6, NULL, 10);
    size_t i = from;
    cluster.pages++;
    if (cluster.too_long && (int)limit > cluster.too_long) {
        call->status = 200;
        return fake_fail(call, KUBE_GARBLED, "too long");
    }
    str_init(&body);
    str_add(&body, "{\"items\":[");
    for (; i < cluster.count && i < from + limit; i++) {
        str_add(&body, i > from ? "," : "");
        print_object(&cluster.objects[i], &body);
    }
    str_add(&body, "],\"metadata\":{");
    if (i < cluster.count) {
        str_addf(&body, "\"continue\":\"%zu\"", i);
    }
    str_add(&body, "}}");
    fake_answer(call, 200, body.data);
    str_release(&body);
    return true;
}

/* What a merge patch does to these objects. */
static void merge(struct object *o, struct json_object *patch)
{
    struct json_object *notes = json_at(patch, "/metadata/annotations");
    struct json_object *note = NULL;
    assert_int_equal(json_object_object_length(patch), 2);
    assert_int_equal(json_object_object_length(json_at(patch, "/metadata")), 2);
    assert_int_equal(json_object_object_length(json_at(patch, "/spec")), 1);
    assert_int_equal(json_object_object_length(notes), 1);
    assert_true(json_object_object_get_ex(notes, HIBERNATION_ANNOTATION, &note));
    snprintf(o->remembered, sizeof o->remembered, "%s", json_object_get_string(note));
    o->replicas = (int)json_number_or(patch, "/spec/replicas", -1);
    o->version++;
}

static bool answer_patch(struct kube_call *call, struct object *o)
{
    struct json_object *patch = NULL;
    char version[16];
    cluster.patches++;
    if (cluster.cancel_in_patch) {
        ctx_cancel(cluster.cancel_in_patch);
    }
    if (cluster.patch_status) {
        return fake_answer(call, cluster.patch_status, "{}");
    }
    if (cluster.conflicts > 0) {
        cluster.conflicts--;
        o->version++;
        if (cluster.rival_wakes) {
            o->replicas = 1;
        }
        snprintf(o->other, sizeof o->other, "rival");
    }
    assert_string_equal(call->content_type, "application/merge-patch+json");
    assert_int_equal(json_parse(call->body, call->body_len, &patch, NULL), 0);
    snprintf(version, sizeof version, "%d", o->version);
    bool same =
        strcmp(json_text_or(patch, "/metadata/resourceVersion", ""), version) == 0;
    if (same) {
        merge(o, patch);
    }
    json_free(patch);
    if (same && cluster.loses_answer) {
        return fake_fail(call, KUBE_NOT_REACHED, "reset");
    }
    return fake_answer(call, same ? 200 : 409, "{}");
}

static bool act(struct kube *kube, struct kube_call *call)
{
    (void)kube;
    static const char all[] = "/apis/apps/v1/namespaces/shop/deployments";
    if (!text_starts(call->path, all)) {
        return fake_answer(call, cluster.others_status ? cluster.others_status : 404,
                           "{}");
    }
    if (strcmp(call->path, all) == 0) {
        return cluster.list_status ? fake_answer(call, cluster.list_status, "{}")
                                   : list(call);
    }
    struct object *o = find_object(call->path);
    if (o == NULL) {
        return fake_answer(call, 404, "{}");
    }
    if (call->method && strcmp(call->method, "PATCH") == 0) {
        return answer_patch(call, o);
    }
    if (cluster.cannot_look) {
        return fake_fail(call, KUBE_NOT_REACHED, "connection refused");
    }
    struct str body;
    str_init(&body);
    print_object(o, &body);
    fake_answer(call, 200, body.data);
    str_release(&body);
    return true;
}

/* --- the test's side --- */

struct stage {
    struct kube *kube;
    struct ctx *ctx;
    struct workloads read;
};

static void stage_open(struct stage *s)
{
    memset(&cluster, 0, sizeof cluster);
    memset(s, 0, sizeof *s);
    fake_kube_start(act);
    s->kube = fake_kube_new("c");
    s->ctx = ctx_new(NULL, now_ms() + LONG_MS);
}

static void stage_close(struct stage *s)
{
    workloads_release(&s->read);
    ctx_free(s->ctx);
    fake_kube_stop();
    kube_close(s->kube);
}

static void read_all(struct stage *s)
{
    static char deployment[] = "apps/v1/Deployment";
    static char stateful_set[] = "apps/v1/StatefulSet";
    char *kinds[] = {deployment, stateful_set};
    workloads_release(&s->read);
    workloads_read(s->kube, s->ctx, "shop", "app=a b,c", kinds, 2, &s->read);
}

static void workloads__are_read_by_labels_and_judged(void **state)
{
    (void)state;
    struct stage s;
    stage_open(&s);
    add("api", 0, "2");
    add("web", 3, "");
    read_all(&s);
    assert_int_equal(s.read.rc, 0);
    assert_int_equal(s.read.judged.state, HIBERNATION_PARTLY);
    assert_int_equal(s.read.count, 2);
    assert_string_equal(s.read.items[0].ref.name, "api");
    assert_string_equal(s.read.items[0].ref.api, "apps/v1");
    assert_string_equal(s.read.items[0].version, "7");
    assert_int_equal(fake_kube_count("labelSelector=app%3Da%20b%2Cc&limit=50"), 2);
    stage_close(&s);
}

static void workloads__are_read_page_by_page(void **state)
{
    (void)state;
    struct stage s;
    stage_open(&s);
    for (int i = 0; i < OBJECTS_MAX; i++) {
        add((char[]){(char)('a' + i), '\0'}, 0, "1");
    }
    cluster.too_long = 3; /* 50, 7, then 1 at a time */
    read_all(&s);
    assert_int_equal(s.read.rc, 0);
    assert_int_equal(s.read.judged.asleep, OBJECTS_MAX);
    assert_int_equal(cluster.pages, 2 + OBJECTS_MAX);
    stage_close(&s);
}

static const struct {
    int list_status;
    int others_status;
    int rc;
    int status;
    const char *words;
} unread[] = {
    {403, 0, -EACCES, 403, "answered 403"},
    {500, 0, -EAGAIN, 500, "answered 500"},
    {0, 401, -EACCES, 401, "answered 401"},
    {0, 200, -EPROTO, 200, "StatefulSet: the cluster's answer is no list"},
    {404, 404, -ENOENT, 404, "has none of these kinds"},
};

static void workloads__what_cannot_be_read_makes_it_unknown(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof unread / sizeof unread[0]; i++) {
        struct stage s;
        stage_open(&s);
        add("api", 0, "2");
        cluster.list_status = unread[i].list_status;
        cluster.others_status = unread[i].others_status;
        read_all(&s);
        assert_int_equal(s.read.judged.state, HIBERNATION_UNKNOWN);
        assert_int_equal(s.read.judged.unreadable, 1);
        assert_int_equal(s.read.judged.asleep, unread[i].list_status == 0);
        assert_int_equal(s.read.rc, unread[i].rc);
        assert_int_equal(s.read.status, unread[i].status);
        assert_non_null(strstr(s.read.err.text, unread[i].words));
        stage_close(&s);
    }
}

static void workloads__what_the_context_cut_off_is_unknown(void **state)
{
    (void)state;
    struct stage s;
    stage_open(&s);
    add("api", 0, "2");
    ctx_cancel(s.ctx);
    read_all(&s);
    assert_int_equal(s.read.judged.state, HIBERNATION_UNKNOWN);
    assert_int_equal(s.read.judged.unreadable, 2);
    assert_int_equal(s.read.rc, -ECANCELED);
    stage_close(&s);
}

/* --- waking --- */

/* All that sleep. Returns as waking_run. */
static int wake(struct stage *s, struct waking items[OBJECTS_MAX], size_t *n)
{
    read_all(s);
    *n = 0;
    for (size_t i = 0; i < s->read.count; i++) {
        if (s->read.items[i].look.part == PART_ASLEEP) {
            memset(&items[*n], 0, sizeof items[*n]);
            items[(*n)++].workload = &s->read.items[i];
        }
    }
    return waking_run(s->kube, s->ctx, items, *n);
}

static void waking__gives_back_the_replicas_and_loses_nothing(void **state)
{
    (void)state;
    struct stage s;
    struct waking items[OBJECTS_MAX];
    size_t n;
    stage_open(&s);
    add("api", 0, "2");
    add("web", 3, "");
    add("job", 0, "5");
    assert_int_equal(wake(&s, items, &n), 0);
    assert_int_equal(n, 2);
    assert_int_equal(items[1].end, WAKING_WOKEN);
    assert_int_equal(items[1].replicas, 5);
    assert_int_equal(cluster.objects[0].replicas, 2);
    assert_int_equal(cluster.objects[1].replicas, 3);
    assert_int_equal(cluster.objects[2].replicas, 5);
    assert_string_equal(cluster.objects[0].remembered, "0");
    assert_string_equal(cluster.objects[0].other, "kept");
    read_all(&s);
    assert_int_equal(s.read.judged.state, HIBERNATION_AWAKE);
    assert_int_equal(cluster.patches, 2);
    stage_close(&s);
}

static void waking__reads_again_after_a_conflict(void **state)
{
    (void)state;
    struct stage s;
    struct waking items[OBJECTS_MAX];
    size_t n;
    stage_open(&s);
    add("api", 0, "2");
    cluster.conflicts = 2;
    assert_int_equal(wake(&s, items, &n), 0);
    assert_int_equal(items[0].end, WAKING_WOKEN);
    assert_int_equal(items[0].tries, 3);
    assert_string_equal(cluster.objects[0].other, "rival"); /* the other's change stays */
    stage_close(&s);
}

static void waking__gives_up_after_as_many_conflicts_as_it_may(void **state)
{
    (void)state;
    struct stage s;
    struct waking items[OBJECTS_MAX];
    size_t n;
    stage_open(&s);
    add("api", 0, "2");
    add("web", 0, "2");
    cluster.conflicts = WAKING_TRIES_MAX;
    assert_int_equal(wake(&s, items, &n), -EAGAIN);
    assert_int_equal(items[0].end, WAKING_FAILED);
    assert_int_equal(items[0].tries, WAKING_TRIES_MAX);
    assert_int_equal(items[1].end, WAKING_WOKEN); /* one that fails keeps nobody else */
    assert_int_equal(cluster.objects[0].replicas, 0);
    stage_close(&s);
}

static void waking__leaves_alone_what_somebody_else_woke(void **state)
{
    (void)state;
    struct stage s;
    struct waking items[OBJECTS_MAX];
    size_t n;
    stage_open(&s);
    add("api", 0, "2");
    cluster.conflicts = 1;
    cluster.rival_wakes = true;
    assert_int_equal(wake(&s, items, &n), 0);
    assert_int_equal(items[0].end, WAKING_AWAKE);
    assert_int_equal(cluster.objects[0].replicas, 1);
    assert_int_equal(cluster.patches, 1);
    stage_close(&s);
}

static void waking__looks_when_an_answer_is_lost(void **state)
{
    (void)state;
    struct stage s;
    struct waking items[OBJECTS_MAX];
    size_t n;
    stage_open(&s);
    add("api", 0, "2");
    cluster.loses_answer = true;
    assert_int_equal(wake(&s, items, &n), 0);
    assert_int_equal(items[0].end, WAKING_WOKEN);
    assert_int_equal(items[0].replicas, 2);
    assert_int_equal(cluster.patches, 1); /* it was not sent again */
    stage_close(&s);
}

static void waking__puts_to_sleep_and_remembers(void **state)
{
    (void)state;
    struct stage s;
    struct waking items[OBJECTS_MAX] = {{.sleep = true}, {.sleep = true}};
    stage_open(&s);
    add("api", 3, "");
    add("web", 2, "0");
    read_all(&s);
    items[0].workload = &s.read.items[0];
    items[1].workload = &s.read.items[1];
    cluster.conflicts = 1;
    assert_int_equal(waking_run(s.kube, s.ctx, items, 2), 0);
    assert_string_equal(waking_word(&items[0]), "hibernated");
    assert_int_equal(items[0].tries, 2);
    assert_int_equal(cluster.objects[0].replicas, 0);
    assert_string_equal(cluster.objects[0].remembered, "3");
    assert_string_equal(cluster.objects[1].remembered, "2");
    assert_string_equal(cluster.objects[1].other, "kept");
    read_all(&s);
    assert_int_equal(s.read.judged.state, HIBERNATION_ASLEEP);
    stage_close(&s);
}

static void waking__says_that_it_does_not_know(void **state)
{
    (void)state;
    struct stage s;
    struct waking items[OBJECTS_MAX];
    size_t n;
    stage_open(&s);
    add("api", 0, "2");
    cluster.loses_answer = true;
    cluster.cannot_look = true;
    assert_int_equal(wake(&s, items, &n), -EIO);
    assert_int_equal(items[0].end, WAKING_UNCERTAIN);
    assert_string_equal(items[0].err.text, "reset; then connection refused");
    assert_int_equal(cluster.patches, 1);
    stage_close(&s);
}

static void waking__says_what_it_may_not_do(void **state)
{
    (void)state;
    struct stage s;
    struct waking items[OBJECTS_MAX];
    size_t n;
    stage_open(&s);
    add("api", 0, "2");
    add("odd", 0, "two");
    cluster.patch_status = 403;
    assert_int_equal(wake(&s, items, &n), -EACCES);
    assert_int_equal(items[0].end, WAKING_FAILED);
    assert_int_equal(items[0].tries, 1);
    assert_non_null(strstr(items[0].err.text, "403"));
    assert_int_equal(items[1].end, WAKING_FAILED);
    assert_int_equal(items[1].rc, -EINVAL);
    assert_non_null(strstr(items[1].err.text, "scale it by hand"));
    assert_int_equal(cluster.patches, 1);
    stage_close(&s);
}

static void waking__finishes_the_one_in_hand_and_begins_no_other(void **state)
{
    (void)state;
    struct stage s;
    struct waking items[OBJECTS_MAX];
    size_t n;
    stage_open(&s);
    add("api", 0, "2");
    add("web", 0, "3");
    cluster.conflicts = 1; /* finishing takes a second try */
    cluster.cancel_in_patch = s.ctx;
    assert_int_equal(wake(&s, items, &n), -ECANCELED);
    assert_int_equal(items[0].end, WAKING_WOKEN);
    assert_int_equal(items[1].end, WAKING_NOT_BEGUN);
    assert_int_equal(cluster.objects[0].replicas, 2);
    assert_int_equal(cluster.objects[1].replicas, 0);
    stage_close(&s);
}

static const struct CMUnitTest tests[] = {
#include UNIT_TESTS
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
