/* kube/manifests and kube/discovery: how often a cluster is asked, in which order things
 * come back, and that no item waits for another. Counts, no times. */
#include "kube_cluster.h"

#include "kube/discovery.h"
#include "kube/manifests.h"

enum { ITEMS_MAX = 64 };

#define OBJECT(name) \
    "{\"apiVersion\":\"v1\",\"kind\":\"K\",\"metadata\":{\"name\":\"" name "\"}}"

static struct kube_ref refs[ITEMS_MAX];
static struct manifest items[ITEMS_MAX];
static size_t count;

/* One more item, of a cluster. */
static void want(struct cluster *c, const char *text)
{
    struct err err = ERR_INIT;
    assert_true(count < ITEMS_MAX);
    assert_int_equal(kube_ref_parse(text, &refs[count], &err), 0);
    items[count] = (struct manifest){.kube = c->kube, .ref = &refs[count]};
    count++;
}

static void want_many(struct cluster *c, const char *format, int n)
{
    for (int i = 0; i < n; i++) {
        char text[128];
        char number[16];
        const char *at = strchr(format, '#');
        snprintf(number, sizeof number, "%d", i);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - format), format, number,
                 at + 1);
        want(c, text);
    }
}

static void forget_all(void)
{
    manifests_release(items, count);
    for (size_t i = 0; i < count; i++) {
        kube_ref_release(&refs[i]);
    }
    count = 0;
}

static void get_all(int width)
{
    struct ctx *ctx = ctx_new(NULL, now_ms() + 20000);
    assert_int_equal(manifests_get(ctx, items, count, width), 0);
    ctx_free(ctx);
}

static const char *name_of(size_t i)
{
    return items[i].rc == 0 ? json_text_or(items[i].doc, "/metadata/name", "?")
                            : items[i].err.text;
}

/* --- GETs --- */

/* Each of 2 MiB: 16 of them are kept, whether they differ or are one asked for often. */
static void kube_manifests__what_one_call_brings_is_bounded(void **state)
{
    (void)state;
    static const char *const wanted[] = {"v1/Pod/n#/x", "v1/Pod/a/x"};
    struct str body;
    str_init(&body);
    str_add(&body, "{\"text\":\"");
    str_reserve(&body, 2 << 20);
    while (body.len < (2 << 20) - 2) {
        str_addc(&body, 'x');
    }
    str_add(&body, "\"}");
    for (int k = 0; k < 2; k++) {
        struct cluster *c = cluster_start("token: t");
        size_t kept = 0;
        cluster_on(c, "*", 200, body.data);
        for (int i = 0; k == 1 && i < 20; i++) {
            want(c, wanted[k]);
        }
        if (k == 0) {
            want_many(c, wanted[k], 20);
        }
        get_all(1);
        for (size_t i = 0; i < count; i++) {
            kept += items[i].rc == 0;
        }
        assert_int_equal(kept, 16);
        assert_int_equal(cluster_look(c)->asked, k == 0 ? 17 : 1);
        assert_int_equal(items[count - 1].rc, -EPROTO);
        assert_has(items[count - 1].err.text, "more than 32 MiB; ask for fewer at once");
        forget_all();
        cluster_stop(c);
    }
    str_release(&body);
}

static void kube_manifests__each_is_answered_in_its_place(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    want(c, "v1/Pod/a/one");
    want(c, "v1/Pod/b/gone");
    want(c, "apps/v1/Deployment/a/two");
    want(c, "v1/Pod/a/one");
    want(c, "v1/Node/three");
    want(c, "v1/Pod/c/refused");
    cluster_on(c, "GET /api/v1/namespaces/a/pods/one *", 200, OBJECT("one"));
    cluster_on(c, "GET /apis/apps/v1/namespaces/a/deployments/two *", 200, OBJECT("two"));
    cluster_on(c, "GET /api/v1/nodes/three *", 200, OBJECT("three"));
    cluster_on(c, "GET /api/v1/namespaces/c/*", 403, "{\"message\":\"no\"}");
    get_all(4);
    assert_string_equal(name_of(0), "one");
    assert_int_equal(items[1].rc, -ENOENT);
    assert_int_equal(items[1].status, 404);
    assert_has(items[1].err.text, "it is not here");
    assert_string_equal(name_of(2), "two");
    assert_string_equal(name_of(3), "one");
    assert_string_equal(name_of(4), "three");
    assert_int_equal(items[5].rc, -EACCES);
    assert_int_equal(cluster_look(c)->asked,
                     5); /* the same object once, and nothing looked up */
    forget_all();
    cluster_stop(c);
}

static void kube_manifests__a_name_without_namespace_has_one(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    want(c, "v1/Pod/one");
    want(c, "v1/Pod/one");
    items[1].ns = "given";
    want(c, "v1/Node/a/one");
    want(c, "v1/Node/one");
    cluster_on(c, "*", 200, OBJECT("one"));
    get_all(1);
    assert_string_equal(cluster_look(c)->log[0],
                        "GET /api/v1/namespaces/mine/pods/one [Bearer t]");
    assert_string_equal(cluster_look(c)->log[1],
                        "GET /api/v1/namespaces/given/pods/one [Bearer t]");
    assert_int_equal(items[2].rc, -EINVAL);
    assert_has(items[2].err.text, "a Node is in no namespace: leave \"a/\" out");
    assert_int_equal(items[3].rc, 0);
    forget_all();
    cluster_stop(c);
}

static void kube_manifests__bad_bounds_touch_nothing(void **state)
{
    (void)state;
    struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
    items[0].rc = 7;
    assert_int_equal(manifests_get(ctx, items, 1, 0), -EINVAL);
    assert_int_equal(manifests_get(ctx, items, 1, MANIFESTS_WIDTH_MAX + 1), -EINVAL);
    assert_int_equal(manifests_get(ctx, items, MANIFESTS_MAX + 1, 1), -EINVAL);
    assert_int_equal(items[0].rc, 7);
    assert_int_equal(manifests_get(ctx, items, 0, 1), 0);
    ctx_free(ctx);
}

/* --- the window --- */

struct reader {
    pthread_t thread;
    struct ctx *ctx;
    int width;
    int rc;
};

static void *read_all(void *arg)
{
    struct reader *r = arg;
    r->rc = manifests_get(r->ctx, items, count, r->width);
    return NULL;
}

static void reader_start(struct reader *r, int width)
{
    r->ctx = ctx_new(NULL, NOW_FOREVER);
    r->width = width;
    MUST(pthread_create(&r->thread, NULL, read_all, r));
}

static void reader_join(struct reader *r)
{
    MUST(pthread_join(r->thread, NULL));
    assert_int_equal(r->rc, 0);
    ctx_free(r->ctx);
}

static void kube_manifests__no_more_than_the_width_are_out(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    struct reader r;
    c->hold_all = true;
    cluster_on(c, "*", 200, OBJECT("x"));
    want_many(c, "v1/Pod/ns#/x", 12);
    reader_start(&r, 3);
    for (int n = 3; n <= 12; n++) {
        await(&c->server, &c->server.handled, n); /* one answered, one more comes */
        cluster_let_one(c);
    }
    cluster_let_all(c);
    reader_join(&r);
    assert_int_equal(cluster_look(c)->open_max, 3);
    assert_int_equal(cluster_look(c)->asked, 12);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(name_of(i), "x");
    }
    forget_all();
    cluster_stop(c);
}

/* One that never answers takes its own place and nobody else's. */
static void kube_manifests__who_hangs_delays_nobody(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    struct reader r;
    cluster_on(c, "GET /api/v1/namespaces/ns0/*", -1, NULL);
    cluster_on(c, "*", 200, OBJECT("x"));
    want_many(c, "v1/Pod/ns#/x", 20);
    reader_start(&r, 2);
    await(&c->server, &c->server.handled, 20);
    ctx_cancel(r.ctx);
    reader_join(&r);
    assert_int_equal(items[0].rc, -ECANCELED);
    for (size_t i = 1; i + 1 < count; i++) {
        assert_string_equal(name_of(i), "x"); /* but for the last, cut perhaps */
    }
    assert_int_equal(cluster_look(c)->asked, 20);
    forget_all();
    cluster_stop(c);
}

static void kube_manifests__a_deadline_keeps_what_is_there(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    struct ctx *ctx = ctx_new(NULL, now_ms() + 500);
    cluster_on(c, "GET /api/v1/namespaces/ns2/*", -1, NULL);
    cluster_on(c, "*", 200, OBJECT("x"));
    want_many(c, "v1/Pod/ns#/x", 5);
    assert_int_equal(manifests_get(ctx, items, count, 1), 0);
    ctx_free(ctx);
    assert_string_equal(name_of(0), "x");
    assert_string_equal(name_of(1), "x");
    assert_int_equal(items[2].rc, -ETIMEDOUT);
    assert_has(items[2].err.text, "no answer within the deadline");
    for (size_t i = 3; i < 5; i++) {
        assert_int_equal(items[i].rc, -ETIMEDOUT);
        assert_has(items[i].err.text, "the deadline came before its turn");
        assert_null(items[i].doc);
    }
    assert_int_equal(cluster_look(c)->asked, 3);
    forget_all();
    cluster_stop(c);
}

static void kube_manifests__an_ended_ctx_asks_nothing(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
    want(c, "v1/Pod/a/one");
    want(c, "example.com/v1/Thing/a/one");
    ctx_cancel(ctx);
    assert_int_equal(manifests_get(ctx, items, count, 1), 0);
    ctx_free(ctx);
    assert_int_equal(items[0].rc, -ECANCELED);
    assert_int_equal(items[1].rc, -ECANCELED);
    assert_int_equal(cluster_count(c, "GET /api/*"), 0);
    forget_all();
    cluster_stop(c);
}

static void kube_manifests__several_clusters_are_asked_in_one_call(void **state)
{
    (void)state;
    struct cluster *east = cluster_start("token: e");
    struct cluster *west = cluster_start("token: w");
    want(east, "v1/Pod/a/x");
    want(west, "v1/Pod/a/x");
    cluster_on(east, "*", 200, OBJECT("east"));
    cluster_on(west, "*", 200, OBJECT("west"));
    get_all(2);
    assert_string_equal(name_of(0), "east");
    assert_string_equal(name_of(1), "west");
    forget_all();
    cluster_stop(east);
    cluster_stop(west);
}

/* --- LISTs --- */

#define ITEM(name) "{\"metadata\":{\"name\":\"" name "\"},\"spec\":{}}"
#define LIST(next, items) \
    "{\"kind\":\"DeploymentList\",\"metadata\":{\"continue\":\"" next \
    "\"},\"items\":[" items "]}"
#define DEPLOYMENTS "GET /apis/apps/v1/namespaces/a/deployments"

static void kube_manifests__one_list_answers_many(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    want_many(c, "apps/v1/Deployment/a/d#", 5);
    want(c, "apps/v1/Deployment/a/d1");
    cluster_on(c, DEPLOYMENTS " *", 200,
               LIST("", ITEM("d4") "," ITEM("d0") "," ITEM("z") "," ITEM("d1") "," ITEM(
                            "d3")));
    get_all(5);
    assert_int_equal(cluster_look(c)->asked, 1);
    assert_string_equal(cluster_look(c)->log[0], DEPLOYMENTS " limit=250 [Bearer t]");
    assert_string_equal(name_of(0), "d0");
    assert_string_equal(name_of(1), "d1");
    assert_int_equal(items[2].rc, -ENOENT);
    assert_has(items[2].err.text, "there is no Deployment \"d2\" in namespace a");
    assert_string_equal(name_of(4), "d4");
    assert_string_equal(name_of(5), "d1");
    assert_string_equal(json_text_or(items[0].doc, "/apiVersion", ""), "apps/v1");
    assert_string_equal(json_text_or(items[0].doc, "/kind", ""), "Deployment");
    forget_all();
    cluster_stop(c);
}

static void kube_manifests__two_are_not_worth_a_list(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    want_many(c, "apps/v1/Deployment/a/d#", 2);
    want(c, "apps/v1/Deployment/b/d0");
    want(c, "apps/v1/StatefulSet/a/d0");
    cluster_on(c, "*", 200, OBJECT("x"));
    get_all(5);
    assert_int_equal(cluster_look(c)->asked, 4);
    assert_int_equal(cluster_count(c, "* limit=*"), 0);
    forget_all();
    cluster_stop(c);
}

static void kube_manifests__a_list_goes_on_page_by_page(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    want_many(c, "apps/v1/Deployment/a/d#", 4);
    cluster_on(c, DEPLOYMENTS " limit=250 [[]*", 200, LIST("n/1 &", ITEM("d0")));
    cluster_on(c, DEPLOYMENTS " limit=250 continue=n/1 & *", 200,
               LIST("n2", ITEM("d1") "," ITEM("d3")));
    cluster_on(c, DEPLOYMENTS " limit=250 continue=n2 *", 200, LIST("n3", ITEM("d2")));
    get_all(2);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(items[i].rc, 0);
    }
    assert_int_equal(cluster_look(c)->asked, 3); /* all are there: no fourth page */
    forget_all();
    cluster_stop(c);
}

static void kube_manifests__too_many_pages_become_gets(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    want_many(c, "apps/v1/Deployment/a/d#", 3);
    cluster_on(c, DEPLOYMENTS " *", 200, LIST("more", ITEM("d0")));
    cluster_on(c, DEPLOYMENTS "/*", 200, OBJECT("got"));
    get_all(2);
    assert_int_equal(cluster_count(c, "* limit=*"), MANIFESTS_PAGES_MAX);
    assert_int_equal(cluster_count(c, DEPLOYMENTS "/*"), 2);
    assert_string_equal(name_of(0), "d0");
    assert_string_equal(name_of(2), "got");
    forget_all();
    cluster_stop(c);
}

static const struct {
    int status;
    const char *body;
    bool gets; /* GETs are tried */
    int rc;
} refusals[] = {
    {403, "{\"message\":\"may not list\"}", true, 0},
    {405, "{}", true, 0},
    {410, "{\"reason\":\"Expired\"}", true, 0},
    {200, "{\"items\":[", true, 0},
    {401, "{}", false, -EACCES},
    {404, "404 page not found", false, -ENOENT},
    {500, "{}", false, -EAGAIN},
    {503, "{}", false, -EAGAIN},
};

static void kube_manifests__a_list_refused_becomes_gets_where_they_may_help(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct cluster *c = cluster_start("token: t");
        want_many(c, "apps/v1/Deployment/a/d#", 4);
        cluster_on(c, DEPLOYMENTS " *", refusals[i].status, refusals[i].body);
        cluster_on(c, DEPLOYMENTS "/*", 200, OBJECT("got"));
        get_all(2);
        assert_int_equal(cluster_look(c)->asked, refusals[i].gets ? 5 : 1);
        for (size_t k = 0; k < 4; k++) {
            assert_int_equal(items[k].rc, refusals[i].rc);
        }
        forget_all();
        cluster_stop(c);
    }
}

static void kube_manifests__a_page_that_expired_costs_only_the_rest(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    want_many(c, "apps/v1/Deployment/a/d#", 4);
    cluster_on(c, DEPLOYMENTS " limit=250 [[]*", 200,
               LIST("n1", ITEM("d0") "," ITEM("d2")));
    cluster_on(c, DEPLOYMENTS " limit=250 continue=*", 410, "{\"reason\":\"Expired\"}");
    cluster_on(c, DEPLOYMENTS "/d1 *", 200, OBJECT("got"));
    get_all(2);
    assert_int_equal(cluster_look(c)->asked, 4);
    assert_string_equal(name_of(0), "d0");
    assert_string_equal(name_of(1), "got");
    assert_int_equal(items[3].rc, -ENOENT);
    forget_all();
    cluster_stop(c);
}

/* One page of 5000 objects, of which a few are wanted. */
static void kube_manifests__a_huge_list_is_read(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    struct str page;
    str_init(&page);
    str_add(&page, "{\"items\":[");
    for (int i = 0; i < 5000; i++) {
        str_addf(&page, "%s{\"metadata\":{\"name\":\"d%d\"},\"spec\":{\"x\":\"%0200d\"}}",
                 i > 0 ? "," : "", i, i);
    }
    str_add(&page, "]}");
    want_many(c, "apps/v1/Deployment/a/d#", ITEMS_MAX);
    cluster_on(c, DEPLOYMENTS " *", 200, page.data);
    get_all(2);
    assert_int_equal(cluster_look(c)->asked, 1);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(items[i].rc, 0);
    }
    forget_all();
    cluster_stop(c);
    str_release(&page);
}

/* A page of objects as API servers write them: more of it says who wrote which field, in
 * thousands of empty objects, than anything else. */
static void kube_manifests__what_nobody_reads_is_no_burden(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    struct str page;
    str_init(&page);
    str_add(&page, "{\"items\":[");
    for (int i = 0; i < MANIFESTS_PAGE; i++) {
        str_addf(&page, "%s{\"metadata\":{\"name\":\"d%d\",\"managedFields\":[",
                 i > 0 ? "," : "", i);
        for (int k = 0; k < 200; k++) {
            str_addf(&page, "%s{\"f:x\":{}}", k > 0 ? "," : "");
        }
        str_add(&page, "]}}");
    }
    str_add(&page, "]}");
    want_many(c, "apps/v1/Deployment/a/d#", 10);
    cluster_on(c, DEPLOYMENTS " *", 200, page.data);
    get_all(2);
    assert_int_equal(cluster_look(c)->asked, 1);
    assert_int_equal(items[9].rc, 0);
    assert_null(json_at(items[9].doc, "/metadata/managedFields"));
    forget_all();
    cluster_stop(c);
    str_release(&page);
}

/* --- kinds that have to be looked up --- */

#define THINGS "GET /apis/example.com/v1"
#define THING_LIST \
    "{\"resources\":[{\"name\":\"things/" \
    "scale\",\"kind\":\"Scale\",\"namespaced\":true}," \
    "{\"name\":\"../x\",\"kind\":\"Evil\",\"namespaced\":true},7,{}," \
    "{\"name\":\"things\",\"kind\":\"Thing\",\"namespaced\":true}," \
    "{\"name\":\"realms\",\"kind\":\"Realm\",\"namespaced\":false}]}"

static void kube_manifests__a_kind_is_looked_up_once(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    want_many(c, "example.com/v1/Thing/ns#/x", 10);
    want_many(c, "example.com/v1/Realm/r#", 2);
    cluster_on(c, THINGS " *", 200, THING_LIST);
    cluster_on(c, THINGS "/namespaces/ns*/things/x *", 200, OBJECT("x"));
    cluster_on(c, THINGS "/realms/r*", 200, OBJECT("r"));
    get_all(5);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(name_of(i), i < 10 ? "x" : "r");
    }
    assert_int_equal(cluster_count(c, THINGS " *"), 1);
    assert_int_equal(cluster_look(c)->asked, 13);
    manifests_release(items, count);
    get_all(5);
    assert_int_equal(cluster_count(c, THINGS " *"), 1);
    forget_all();
    cluster_stop(c);
}

/* A look-up that hangs: who waits leaves at its deadline, known kinds are answered, and
 * closing ends the request itself. */
static void kube_manifests__a_look_up_that_hangs_holds_nobody(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    struct ctx *ctx = ctx_new(NULL, now_ms() + 500);
    cluster_on(c, THINGS " *", -1, NULL);
    cluster_on(c, "*", 200, OBJECT("x"));
    want(c, "example.com/v1/Thing/a/x");
    want_many(c, "v1/Pod/ns#/x", 4);
    assert_int_equal(manifests_get(ctx, items, count, 1), 0);
    ctx_free(ctx);
    assert_int_equal(items[0].rc, -ETIMEDOUT);
    for (size_t i = 1; i < count; i++) {
        assert_string_equal(name_of(i), "x");
    }
    forget_all();
    cluster_stop(c);
}

static const struct CMUnitTest tests[] = {
#include UNIT_TESTS
};

int main(void)
{
    log_setup(LOG_ERROR, LOG_TEXT, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
