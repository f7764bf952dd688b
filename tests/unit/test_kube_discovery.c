/* kube/discovery: a kind is asked for once, and what was said is kept. */
#include "kube_cluster.h"

#include "kube/discovery.h"

#define THINGS "GET /apis/example.com/v1"
#define THING_LIST \
    "{\"resources\":[{\"name\":\"things/" \
    "scale\",\"kind\":\"Scale\",\"namespaced\":true}," \
    "{\"name\":\"../x\",\"kind\":\"Evil\",\"namespaced\":true},7,{}," \
    "{\"name\":\"things\",\"kind\":\"Thing\",\"namespaced\":true}," \
    "{\"name\":\"realms\",\"kind\":\"Realm\",\"namespaced\":false}]}"

static void *find_thing(void *arg)
{
    struct cluster *c = arg;
    struct ctx *ctx = ctx_new(NULL, now_ms() + 20000);
    struct kube_resource resource;
    struct err err = ERR_INIT;
    assert_int_equal(discovery_find(c->kube, ctx, "example.com/v1", "Thing", &resource,
                                    &err),
                     0);
    assert_string_equal(resource.plural, "things");
    ctx_free(ctx);
    return NULL;
}

static void kube_discovery__many_that_ask_at_once_ask_once(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    pthread_t threads[8];
    cluster_on(c, THINGS " *", 200, THING_LIST);
    c->hold_all = true;
    for (size_t i = 0; i < 8; i++) {
        MUST(pthread_create(&threads[i], NULL, find_thing, c));
    }
    await(&c->server, &c->server.handled, 1);
    cluster_let_all(c);
    for (size_t i = 0; i < 8; i++) {
        MUST(pthread_join(threads[i], NULL));
    }
    assert_int_equal(cluster_look(c)->asked, 1);
    cluster_stop(c);
}

static int find(struct cluster *c, const char *api, const char *kind, struct err *err)
{
    struct ctx *ctx = ctx_new(NULL, now_ms() + 20000);
    struct kube_resource resource;
    int rc = discovery_find(c->kube, ctx, api, kind, &resource, err);
    ctx_free(ctx);
    return rc;
}

static void kube_discovery__what_is_not_there_is_said_and_remembered(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    struct err err = ERR_INIT;
    cluster_on(c, THINGS " *", 200, THING_LIST);
    assert_int_equal(find(c, "example.com/v1", "Thng", &err), -ENOENT);
    assert_has(err.text, "has no kind Thng in example.com/v1 (did you mean Thing?)");
    assert_int_equal(find(c, "example.com/v1", "Evil", &err), -ENOENT);
    assert_int_equal(find(c, "other.io/v1", "Thing", &err), -ENOENT);
    assert_has(err.text, "has no API other.io/v1: is its operator installed");
    assert_int_equal(find(c, "other.io/v1", "Thing", &err), -ENOENT);
    assert_int_equal(cluster_look(c)->asked, 2);
    cluster_stop(c);
}

static void kube_discovery__a_failure_is_not_remembered(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    struct err err = ERR_INIT;
    cluster_add(c, (struct act){THINGS " *", 500, "{}", {NULL, NULL}, 1});
    cluster_on(c, THINGS " *", 200, THING_LIST);
    assert_int_equal(find(c, "example.com/v1", "Thing", &err), -EAGAIN);
    assert_has(err.text, "500");
    assert_int_equal(find(c, "example.com/v1", "Thing", &err), 0);
    cluster_stop(c);
}

/* What was asked for in vain takes no place for good. */
static void kube_discovery__failures_make_room(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    struct err err = ERR_INIT;
    cluster_on(c, THINGS " *", 200, THING_LIST);
    cluster_on(c, "*", 403, "{}");
    for (int i = 0; i <= DISCOVERY_LISTS_MAX; i++) {
        char api[64];
        snprintf(api, sizeof api, "g%d.io/v1", i);
        assert_int_equal(find(c, api, "Thing", &err), -EACCES);
    }
    assert_int_equal(find(c, "example.com/v1", "Thing", &err), 0);
    cluster_stop(c);
}

static void kube_discovery__a_long_list_is_read_whole(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    struct err err = ERR_INIT;
    struct str list;
    str_init(&list);
    for (int i = 0; i < 5000; i++) {
        str_addf(&list, "%s{\"name\":\"t%ds\",\"kind\":\"T%d\",\"namespaced\":true}",
                 i > 0 ? "," : "{\"resources\":[", i, i);
    }
    str_add(&list, "]}");
    cluster_on(c, THINGS " *", 200, list.data);
    assert_int_equal(find(c, "example.com/v1", "T4999", &err), 0);
    cluster_stop(c);
    str_release(&list);
}

static void kube_discovery__a_path_is_escaped(void **state)
{
    (void)state;
    struct kube_resource resource;
    struct str path;
    str_init(&path);
    assert_true(kube_resource_known("apps/v1", "Deployment", &resource));
    kube_resource_path(&resource, "apps/v1", "a/b", "c?d", &path);
    assert_string_equal(path.data, "/apis/apps/v1/namespaces/a%2Fb/deployments/c%3Fd");
    str_release(&path);
    assert_false(kube_resource_known("apps/v1", "deployment", &resource));
}

static const struct CMUnitTest tests[] = {
#include UNIT_TESTS
};

int main(void)
{
    log_setup(LOG_ERROR, LOG_TEXT, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
