/* kube/sweep and kube/clusters over clusters in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_kube.h"
#include "kube/clusters.h"

enum { LONG_MS = 60000, SHORT_MS = 200, FLEET = 40 };

/* --- what an answer says --- */

static const struct {
    int status;
    const char *text;
    enum kube_end end;
    const char *err;
    enum cluster_state state;
    const char *why;
} answers[] = {
    {200, "ok", KUBE_ANSWERED, "", CLUSTER_CONNECTED, ""},
    {200, "OK", KUBE_ANSWERED, "", CLUSTER_UNHEALTHY, "answered 200 \"OK\""},
    {200, "ok\n", KUBE_ANSWERED, "", CLUSTER_UNHEALTHY, "\"ok\" instead"},
    {200, "", KUBE_ANSWERED, "", CLUSTER_UNHEALTHY, "answered 200 \"\""},
    {200, NULL, KUBE_GARBLED, "cut", CLUSTER_UNHEALTHY, "answered 200"},
    {401, "no", KUBE_ANSWERED, "wrong token", CLUSTER_UNAUTHORIZED, "wrong token"},
    {403, "no", KUBE_ANSWERED, "not allowed", CLUSTER_FORBIDDEN, "not allowed"},
    {500, "[+]ping ok\n[-]etcd failed: reason withheld\nlivez check failed",
     KUBE_ANSWERED, "", CLUSTER_UNHEALTHY, "answered 500 \"[-]etcd failed: reason"},
    {302, "", KUBE_ANSWERED, "", CLUSTER_UNHEALTHY, "answered 302"},
    {503, "a\x1b[2Jb", KUBE_ANSWERED, "", CLUSTER_UNHEALTHY, "\"a?[2Jb\""},
    {0, NULL, KUBE_NOT_REACHED, "refused", CLUSTER_UNREACHABLE, "refused"},
    {0, NULL, KUBE_TLS, "self-signed", CLUSTER_TLS_ERROR, "self-signed"},
    {0, NULL, KUBE_TIMED_OUT, "timed out", CLUSTER_TIMEOUT, "timed out"},
    {0, NULL, KUBE_UNUSABLE, "no token", CLUSTER_UNKNOWN, "no token"},
};

static void clusters__each_answer_is_one_state(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        char why[CLUSTER_WHY_MAX];
        struct kube_call call = {.status = answers[i].status,
                                 .end = answers[i].end,
                                 .text = (char *)answers[i].text};
        err_set(&call.err, -EIO, "%s", answers[i].err);
        enum cluster_state is = cluster_state_of(&call, why, sizeof why);
        if (is != answers[i].state || strstr(why, answers[i].why) == NULL ||
            (why[0] == '\0') != (is == CLUSTER_CONNECTED)) {
            fail_msg("%d %s: %s, \"%s\"", answers[i].status,
                     answers[i].text ? answers[i].text : "", cluster_state_word(is), why);
        }
    }
}

/* --- a sweep --- */

/* Named by what it does. */
static bool act(struct kube *kube, struct kube_call *call)
{
    const char *does = kube->name + strcspn(kube->name, "-") + 1;
    if (strcmp(does, "hangs") == 0) {
        return false;
    }
    if (strcmp(does, "refuses") == 0) {
        return fake_fail(call, KUBE_NOT_REACHED, "connection refused");
    }
    if (strcmp(does, "lies") == 0) {
        return fake_fail(call, KUBE_TLS, "the certificate is for another name");
    }
    if (strcmp(does, "old") == 0 && strcmp(call->path, "/livez") == 0) {
        return fake_answer(call, 404, "404 page not found");
    }
    return fake_answer(call, 200, "ok");
}

struct fleet {
    struct cluster_probe probes[FLEET];
    char names[FLEET][32];
    struct cluster_view views[FLEET];
    atomic_int seen[FLEET];
};

static const struct {
    const char *does;
    enum cluster_state state;
} kinds[] = {
    {"hangs", CLUSTER_TIMEOUT},       {"fine", CLUSTER_CONNECTED},
    {"refuses", CLUSTER_UNREACHABLE}, {"virtual", CLUSTER_VIRTUAL},
    {"lies", CLUSTER_TLS_ERROR},      {"old", CLUSTER_CONNECTED},
    {"unread", CLUSTER_UNKNOWN},
};

/* 3 hang, 2 refuse, 2 are virtual, 1 has a wrong certificate, 1 is old, 1 has no file;
 * spread over the list. */
static size_t kind_of(size_t i)
{
    static const size_t kind[FLEET] = {[0] = 0, [1] = 0,  [20] = 0, [5] = 2,  [39] = 2,
                                       [7] = 3, [30] = 3, [11] = 4, [12] = 5, [13] = 6};
    return kind[i] == 0 && i != 0 && i != 1 && i != 20 ? 1 : kind[i];
}

static void fleet_open(struct fleet *f)
{
    memset(f, 0, sizeof *f);
    for (size_t i = 0; i < FLEET; i++) {
        const char *does = kinds[kind_of(i)].does;
        snprintf(f->names[i], sizeof f->names[i], "c%zu-%s", i, does);
        f->probes[i].name = f->names[i];
        if (strcmp(does, "unread") == 0) {
            f->probes[i].why = "its file cannot be read";
        } else if (strcmp(does, "virtual") != 0) {
            f->probes[i].kube = fake_kube_new(f->names[i]);
        }
    }
}

static void fleet_close(struct fleet *f)
{
    for (size_t i = 0; i < FLEET; i++) {
        kube_close(f->probes[i].kube);
    }
}

static void fleet_seen(void *arg, size_t i, const struct cluster_view *view)
{
    struct fleet *f = arg;
    f->views[i] = *view;
    atomic_fetch_add(&f->seen[i], 1);
}

static void clusters__one_that_hangs_delays_nobody(void **state)
{
    (void)state;
    struct fleet f;
    fake_kube_start(act);
    fleet_open(&f);
    struct ctx *ctx = ctx_new(NULL, now_ms() + LONG_MS);
    int64_t began = now_ms();
    assert_int_equal(cluster_sweep(ctx, f.probes, FLEET, SHORT_MS, 4, fleet_seen, &f), 0);
    /* what it promises if all of them hung */
    assert_true(now_ms() - began < FLEET / 4 * SHORT_MS);
    for (size_t i = 0; i < FLEET; i++) {
        assert_int_equal(atomic_load(&f.seen[i]), 1);
        assert_string_equal(cluster_state_word(f.views[i].state),
                            cluster_state_word(kinds[kind_of(i)].state));
        assert_int_equal(f.views[i].ok_wall_ms > 0,
                         f.views[i].state == CLUSTER_CONNECTED);
    }
    assert_true(the_fake.open_max <= 4);
    assert_int_equal(fake_kube_count("virtual"), 0);
    assert_int_equal(fake_kube_count("c12-old /healthz"), 1);
    ctx_free(ctx);
    fleet_close(&f);
    fake_kube_stop();
}

static void clusters__a_sweep_that_is_cut_off_says_nothing_of_the_rest(void **state)
{
    (void)state;
    struct fleet f;
    fake_kube_start(act);
    fleet_open(&f);
    struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
    ctx_cancel(ctx);
    assert_int_equal(cluster_sweep(ctx, f.probes, FLEET, LONG_MS, 4, fleet_seen, &f),
                     -ECANCELED);
    for (size_t i = 0; i < FLEET; i++) {
        assert_int_equal(atomic_load(&f.seen[i]), 0);
    }
    assert_int_equal(the_fake.started, 0);
    ctx_free(ctx);
    fleet_close(&f);
    fake_kube_stop();
}

/* --- again and again --- */

struct watch {
    struct clusters *clusters;
    pthread_mutex_t mu;
    pthread_cond_t cond;
    int swept;
    int changed;
    int released;
    char last[128]; /* "a-fine unknown > connected" */
};

static void on_changed(void *arg, const struct cluster_view *before,
                       const struct cluster_view *now)
{
    struct watch *w = arg;
    MUST(pthread_mutex_lock(&w->mu));
    w->changed++;
    snprintf(w->last, sizeof w->last, "%s %s > %s", now->name,
             cluster_state_word(before->state), cluster_state_word(now->state));
    MUST(pthread_mutex_unlock(&w->mu));
}

static void on_swept(void *arg, int64_t took_ms)
{
    struct watch *w = arg;
    assert_true(took_ms >= 0);
    MUST(pthread_mutex_lock(&w->mu));
    w->swept++;
    MUST(pthread_cond_broadcast(&w->cond));
    MUST(pthread_mutex_unlock(&w->mu));
}

static void on_released(void *arg, struct kube *kube)
{
    struct watch *w = arg;
    MUST(pthread_mutex_lock(&w->mu));
    w->released++;
    MUST(pthread_cond_broadcast(&w->cond));
    MUST(pthread_mutex_unlock(&w->mu));
    kube_close(kube);
}

static void watch_open(struct watch *w)
{
    memset(w, 0, sizeof *w);
    MUST(pthread_mutex_init(&w->mu, NULL));
    cond_init(&w->cond);
    struct clusters_options options = {.changed = on_changed,
                                       .swept = on_swept,
                                       .released = on_released,
                                       .arg = w};
    w->clusters = clusters_start(&options);
}

static void watch_close(struct watch *w)
{
    clusters_stop(w->clusters);
    MUST(pthread_cond_destroy(&w->cond));
    MUST(pthread_mutex_destroy(&w->mu));
}

static void await(struct watch *w, const int *counter, int n)
{
    MUST(pthread_mutex_lock(&w->mu));
    while (*counter < n) {
        cond_wait(&w->cond, &w->mu, NOW_FOREVER);
    }
    MUST(pthread_mutex_unlock(&w->mu));
}

static void set(struct watch *w, const char *name, int64_t every_ms)
{
    struct cluster_probe probe = {.name = name, .kube = fake_kube_new(name)};
    clusters_set(w->clusters, &probe, 1, every_ms, LONG_MS, 4);
}

static atomic_int healthy;

static bool act_turn(struct kube *kube, struct kube_call *call)
{
    if (strcmp(kube->name, "a-hangs") == 0) {
        return false;
    }
    return atomic_load(&healthy) ? fake_answer(call, 200, "ok")
                                 : fake_fail(call, KUBE_NOT_REACHED, "refused");
}

static void clusters__when_it_was_well_last_is_kept(void **state)
{
    (void)state;
    struct watch w;
    struct cluster_view view;
    fake_kube_start(act_turn);
    watch_open(&w);
    atomic_store(&healthy, 1);
    set(&w, "a-fine", LONG_MS);
    await(&w, &w.swept, 1);
    assert_string_equal(w.last, "a-fine unknown > connected");
    assert_true(clusters_find(w.clusters, "a-fine", &view));
    int64_t ok_wall_ms = view.ok_wall_ms;
    assert_true(ok_wall_ms > 0);
    atomic_store(&healthy, 0);
    clusters_look(w.clusters);
    await(&w, &w.swept, 2);
    assert_string_equal(w.last, "a-fine connected > unreachable");
    assert_true(clusters_find(w.clusters, "a-fine", &view));
    assert_int_equal(view.state, CLUSTER_UNREACHABLE);
    assert_int_equal(view.ok_wall_ms, ok_wall_ms);
    assert_true(clusters_swept_wall_ms(w.clusters) >= ok_wall_ms);
    assert_false(clusters_find(w.clusters, "b", &view));
    watch_close(&w);
    assert_int_equal(w.released, 1);
    fake_kube_stop();
}

static void clusters__what_does_not_change_is_told_once(void **state)
{
    (void)state;
    struct watch w;
    fake_kube_start(act_turn);
    watch_open(&w);
    atomic_store(&healthy, 1);
    set(&w, "a-fine", 1);
    await(&w, &w.swept, 5);
    watch_close(&w);
    assert_int_equal(w.changed, 1);
    fake_kube_stop();
}

static void clusters__a_new_list_is_swept_at_once_though_an_old_one_hangs(void **state)
{
    (void)state;
    struct watch w;
    struct cluster_view view;
    fake_kube_start(act_turn);
    watch_open(&w);
    atomic_store(&healthy, 1);
    set(&w, "a-hangs", LONG_MS);
    fake_kube_await(&the_fake.hanging, 1);
    set(&w, "a-fine", LONG_MS);
    await(&w, &w.swept, 1);
    await(&w, &w.released, 1); /* nobody looks at the old one any more */
    assert_true(clusters_find(w.clusters, "a-fine", &view));
    assert_int_equal(view.state, CLUSTER_CONNECTED);
    assert_false(clusters_find(w.clusters, "a-hangs", &view));
    assert_int_equal(the_fake.open_max, 1); /* never two sweeps */
    watch_close(&w);
    fake_kube_stop();
}

static void clusters__another_of_the_same_name_begins_as_unknown(void **state)
{
    (void)state;
    struct watch w;
    struct cluster_view view;
    fake_kube_start(act_turn);
    watch_open(&w);
    atomic_store(&healthy, 1);
    set(&w, "a-fine", LONG_MS);
    await(&w, &w.swept, 1);
    atomic_store(&healthy, 0);
    set(&w, "a-fine", LONG_MS);
    await(&w, &w.swept, 2);
    assert_true(clusters_find(w.clusters, "a-fine", &view));
    assert_int_equal(view.state, CLUSTER_UNREACHABLE);
    assert_int_equal(view.ok_wall_ms, 0);
    watch_close(&w);
    fake_kube_stop();
}

static void clusters__a_stop_waits_for_nobody(void **state)
{
    (void)state;
    struct watch w;
    fake_kube_start(act_turn);
    watch_open(&w);
    set(&w, "a-hangs", LONG_MS);
    fake_kube_await(&the_fake.hanging, 1);
    int64_t began = now_ms();
    watch_close(&w);
    assert_true(now_ms() - began < LONG_MS / 2);
    assert_int_equal(w.swept, 0);
    fake_kube_stop();
}

static const struct CMUnitTest tests[] = {
#include UNIT_TESTS
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
