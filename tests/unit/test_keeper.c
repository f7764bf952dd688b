/* consumer/keeper: the fleet's gate over clusters in memory. */
#include "config_fixture.h"

#include "../../consumer/clusters/keeper.h"
#include "../../consumer/clusters/keeper_answer.h"
#include "decoded.h"
#include "fake_kube.h"

/* --- what is said --- */

static const struct {
    enum finding finding;
    enum config_gate_policy policy;
    bool unknown_send;
    enum gate_says says;
    const char *reason;
} said[] = {
    {FOUND_AWAKE, CONFIG_GATE_HOLD, false, GATE_OPEN, ""},
    {FOUND_AWAKE, CONFIG_GATE_WAKE, false, GATE_OPEN, ""},
    {FOUND_AWAKE, CONFIG_GATE_SKIP, false, GATE_OPEN, ""},
    {FOUND_WOKEN, CONFIG_GATE_WAKE, false, GATE_OPEN, ""},
    {FOUND_ASLEEP, CONFIG_GATE_HOLD, false, GATE_HOLD, "hibernating"},
    {FOUND_ASLEEP, CONFIG_GATE_HOLD, true, GATE_HOLD, "hibernating"},
    {FOUND_ASLEEP, CONFIG_GATE_SKIP, false, GATE_SKIP, "hibernating"},
    {FOUND_WAKING, CONFIG_GATE_WAKE, false, GATE_HOLD, "waking"},
    {FOUND_WAKING, CONFIG_GATE_WAKE, true, GATE_HOLD, "waking"},
    {FOUND_STUCK, CONFIG_GATE_WAKE, true, GATE_HOLD, "waking"},
    {FOUND_UNKNOWN, CONFIG_GATE_HOLD, false, GATE_HOLD, "app-unknown"},
    {FOUND_UNKNOWN, CONFIG_GATE_SKIP, false, GATE_HOLD, "app-unknown"},
    {FOUND_UNKNOWN, CONFIG_GATE_WAKE, true, GATE_OPEN, ""},
    {FOUND_UNREACHABLE, CONFIG_GATE_SKIP, false, GATE_HOLD, "cluster-unreachable"},
    {FOUND_UNREACHABLE, CONFIG_GATE_HOLD, true, GATE_OPEN, ""},
    {FOUND_STOPPING, CONFIG_GATE_HOLD, true, GATE_HOLD, "recalled"},
};

static void keeper__each_finding_has_its_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        struct keeper_answer a =
            keeper_answer(said[i].policy, said[i].unknown_send, said[i].finding);
        assert_int_equal(a.says, said[i].says);
        assert_string_equal(a.reason, said[i].reason);
        assert_int_equal(a.wait_ms > 0, a.says == GATE_HOLD);
    }
}

/* --- a cluster of one application: a Deployment "api" of 2 replicas, asleep or not ---
 */

static struct {
    atomic_int asleep;
    atomic_int hangs;   /* LISTs */
    atomic_int lost;    /* LISTs get no answer, while /livez does */
    atomic_int unwell;  /* /livez is refused */
    atomic_int forbids; /* LISTs */
    atomic_int patches_hang;
    atomic_int patch_status;
} cluster;

static bool list(struct kube_call *call)
{
    char body[512];
    if (strstr(call->path, "/deployments") == NULL) {
        return fake_answer(call, 404, "{}");
    }
    if (strstr(call->path, "/deployments/") != NULL) {
        return fake_answer(call, 200,
                           "{\"metadata\":{\"name\":\"api\",\"resourceVersion\":\"8\","
                           "\"annotations\":{\"" HIBERNATION_ANNOTATION "\":\"2\"}},"
                           "\"spec\":{\"replicas\":0}}");
    }
    if (atomic_load(&cluster.forbids)) {
        return fake_answer(call, 403, "{}");
    }
    bool asleep = atomic_load(&cluster.asleep) != 0;
    snprintf(body, sizeof body,
             "{\"items\":[{\"metadata\":{\"name\":\"api\",\"namespace\":\"shop\","
             "\"resourceVersion\":\"7\",\"annotations\":{\"" HIBERNATION_ANNOTATION
             "\":\"%s\"}},\"spec\":{\"replicas\":%d}},{\"metadata\":{\"name\":\"web\","
             "\"namespace\":\"shop\",\"resourceVersion\":\"7\",\"annotations\":{"
             "\"" HIBERNATION_ANNOTATION "\":\"%s\"}},\"spec\":{\"replicas\":%d}}]}",
             asleep ? "2" : "0", asleep ? 0 : 2, asleep ? "1" : "0", asleep ? 0 : 1);
    return fake_answer(call, 200, body);
}

static bool act(struct kube *kube, struct kube_call *call)
{
    (void)kube;
    if (strcmp(call->path, "/livez") == 0) {
        return atomic_load(&cluster.unwell)
                   ? fake_fail(call, KUBE_NOT_REACHED, "connection refused")
                   : fake_answer(call, 200, "ok");
    }
    if (strcmp(call->path, "/apis/argoproj.io/v1alpha1") == 0) {
        return fake_answer(call, 200,
                           "{\"kind\":\"APIResourceList\",\"resources\":[{\"name\":"
                           "\"rollouts\",\"kind\":\"Rollout\",\"namespaced\":true}]}");
    }
    if (call->method && strcmp(call->method, "PATCH") == 0) {
        if (atomic_load(&cluster.patches_hang)) {
            return false;
        }
        int status = atomic_load(&cluster.patch_status);
        return fake_answer(call, status ? status : 200, "{}");
    }
    if (atomic_load(&cluster.hangs)) {
        return false;
    }
    return atomic_load(&cluster.lost) ? fake_fail(call, KUBE_NOT_REACHED, "no answer")
                                      : list(call);
}

/* --- the test's side --- */

enum { ASKS_MAX = 16 };

struct stage {
    struct config *config;
    struct cluster_set *set;
    struct keeper *keeper;
    struct decoded event;
    struct metrics *metrics;
    struct gate_ask asks[ASKS_MAX];
    size_t asked;
    pthread_mutex_t mu;
    pthread_cond_t cond;
    int ended;
    int wakings;
    int woken; /* objects */
    int unbegun;
};

static struct stage stage;
static int64_t good_ms = 60000; /* of the next stage */

static void on_done(struct gate_ask *ask)
{
    (void)ask;
    MUST(pthread_mutex_lock(&stage.mu));
    stage.ended++;
    MUST(pthread_cond_broadcast(&stage.cond));
    MUST(pthread_mutex_unlock(&stage.mu));
}

static void on_woke(void *arg, const struct keeper_woke *woke)
{
    struct stage *s = arg;
    assert_string_equal(woke->cluster, "c");
    assert_string_equal(woke->ns, "shop");
    MUST(pthread_mutex_lock(&s->mu));
    s->wakings++;
    for (size_t i = 0; i < woke->count; i++) {
        s->woken += woke->items[i].end == WAKING_WOKEN;
        s->unbegun += woke->items[i].end == WAKING_NOT_BEGUN;
    }
    MUST(pthread_cond_broadcast(&s->cond));
    MUST(pthread_mutex_unlock(&s->mu));
}

static void await(const int *counter, int n)
{
    MUST(pthread_mutex_lock(&stage.mu));
    while (*counter < n) {
        cond_wait(&stage.cond, &stage.mu, NOW_FOREVER);
    }
    MUST(pthread_mutex_unlock(&stage.mu));
}

/* policy  "wake"; more: further keys of the gate, ", unknown: send". */
static void stage_open(const char *policy, const char *more)
{
    char text[1024];
    memset(&stage, 0, sizeof stage);
    memset(&cluster, 0, sizeof cluster);
    snprintf(text, sizeof text,
             TARGET "    gate: {hibernating: %s, namespace: \"${event.env}\"%s}\n"
                    "clusters: {c: {kubeconfig: none}}\n",
             policy, more);
    MUST(pthread_mutex_init(&stage.mu, NULL));
    cond_init(&stage.cond);
    fake_kube_start(act);
    stage.config = load_good(text);
    stage.metrics = metrics_new();
    stage.event =
        decode_text("{\"id\":\"1\",\"source\":\"ci\",\"status\":\"success\",\"app\":"
                    "\"api\",\"env\":\"shop\"}");
    assert_int_equal(stage.event.outcome, EVENT_OK);
    stage.set = cluster_set_new(stage.metrics, true);
    stage.keeper = keeper_start(stage.set, good_ms, stage.metrics, on_woke, &stage);
}

static void stage_config(void)
{
    cluster_set_config(stage.set, stage.config);
}

static void stage_close(void)
{
    keeper_stop(stage.keeper);
    keeper_free(stage.keeper);
    cluster_set_free(stage.set);
    fake_kube_stop();
    drop(&stage.event);
    metrics_free(stage.metrics);
    done(stage.config);
    MUST(pthread_cond_destroy(&stage.cond));
    MUST(pthread_mutex_destroy(&stage.mu));
}

static struct gate_ask *ask(void)
{
    struct gate_ask *ask = &stage.asks[stage.asked++];
    *ask = (struct gate_ask){.target = &stage.config->targets[0],
                             .event = &stage.event.ev,
                             .done = on_done};
    gate_start(keeper_gate(stage.keeper), ask);
    return ask;
}

static struct gate_ask *ask_and_wait(void)
{
    struct gate_ask *asked = ask();
    await(&stage.ended, (int)stage.asked);
    return asked;
}

static void expect(const struct gate_ask *ask, enum gate_says says, const char *reason,
                   const char *words)
{
    if (ask->says != says || strcmp(ask->reason, reason) != 0 ||
        strstr(ask->detail, words) == NULL) {
        fail_msg("said %d \"%s\" (%s)", (int)ask->says, ask->reason, ask->detail);
    }
}

/* --- what units hear --- */

static void keeper__lets_through_what_is_awake(void **state)
{
    (void)state;
    stage_open("hold", "");
    stage_config();
    expect(ask_and_wait(), GATE_OPEN, "", "0 of 2 hibernated, 2 running");
    assert_int_equal(fake_kube_count("labelSelector=app.kubernetes.io%2Finstance%3Dapi"),
                     4);
    assert_int_equal(fake_kube_count("/namespaces/shop/"), 4);
    stage_close();
}

static void keeper__holds_what_sleeps(void **state)
{
    (void)state;
    stage_open("hold", "");
    stage_config();
    atomic_store(&cluster.asleep, 1);
    expect(ask_and_wait(), GATE_HOLD, "hibernating", "2 of 2 hibernated");
    assert_int_equal(fake_kube_count("PATCH"), 0);
    stage_close();
}

static void keeper__skips_what_sleeps(void **state)
{
    (void)state;
    stage_open("skip", "");
    stage_config();
    atomic_store(&cluster.asleep, 1);
    expect(ask_and_wait(), GATE_SKIP, "hibernating", "");
    stage_close();
}

static void keeper__wakes_what_sleeps_and_says_so(void **state)
{
    (void)state;
    struct str text;
    stage_open("wake", "");
    stage_config();
    atomic_store(&cluster.asleep, 1);
    expect(ask_and_wait(), GATE_OPEN, "", "woke 2 of 2");
    assert_int_equal(fake_kube_count("PATCH"), 2);
    assert_int_equal(stage.wakings, 1);
    assert_int_equal(stage.woken, 2);
    str_init(&text);
    metrics_write(stage.metrics, &text);
    assert_non_null(strstr(text.data, "sluice_woken_workloads_total{cluster=\"c\",end="
                                      "\"woken\"} 2\n"));
    assert_non_null(strstr(text.data, "sluice_gate_answers_total{answer=\"open\"} 1\n"));
    str_release(&text);
    stage_close();
}

static void keeper__what_may_not_be_woken_waits_longer(void **state)
{
    (void)state;
    static const int statuses[] = {409, 403};
    int64_t waits[2];
    for (int i = 0; i < 2; i++) {
        stage_open("wake", "");
        stage_config();
        atomic_store(&cluster.asleep, 1);
        atomic_store(&cluster.patch_status, statuses[i]);
        const struct gate_ask *asked = ask_and_wait();
        expect(asked, GATE_HOLD, "waking", "answered");
        waits[i] = asked->wait_ms;
        stage_close();
    }
    assert_true(waits[0] < waits[1]);
}

static void keeper__what_may_not_be_read_is_unknown(void **state)
{
    (void)state;
    stage_open("skip", "");
    stage_config();
    atomic_store(&cluster.asleep, 1);
    atomic_store(&cluster.forbids, 1);
    expect(ask_and_wait(), GATE_HOLD, "app-unknown", "only 0 of 1 read; ");
    stage_close();
    stage_open("skip", ", unknown: send");
    stage_config();
    atomic_store(&cluster.forbids, 1);
    expect(ask_and_wait(), GATE_OPEN, "", "403");
    stage_close();
}

static const struct {
    const char *event;
    const char *words;
} odd[] = {
    {"{\"id\":\"1\",\"source\":\"ci\",\"status\":\"success\",\"app\":\"api\"}", "env"},
    {"{\"id\":\"1\",\"source\":\"ci\",\"status\":\"success\",\"env\":\"shop\"}", "app"},
    {"{\"id\":\"1\",\"source\":\"ci\",\"status\":\"success\",\"env\":\"../x\",\"app\":"
     "\"api\"}",
     "is no namespace"},
    {"{\"id\":\"1\",\"source\":\"ci\",\"status\":\"success\",\"env\":\"shop\",\"app\":"
     "\"api,b!=c\"}",
     "no label's value"},
    {"{\"id\":\"1\",\"source\":\"ci\",\"status\":\"success\",\"env\":\"Shop\",\"app\":"
     "\"api\"}",
     "is no namespace"},
};

static void keeper__an_event_cannot_widen_the_question(void **state)
{
    (void)state;
    stage_open("hold", "");
    stage_config();
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        drop(&stage.event);
        stage.event = decode_text(odd[i].event);
        assert_int_equal(stage.event.outcome, EVENT_OK);
        expect(ask_and_wait(), GATE_HOLD, "app-unknown", odd[i].words);
    }
    assert_int_equal(fake_kube_count("/namespaces/"), 0);
    stage_close();
}

static void keeper__a_cluster_that_is_not_there_yet_holds(void **state)
{
    (void)state;
    stage_open("hold", "");
    expect(ask_and_wait(), GATE_HOLD, "cluster-unreachable", "not configured here");
    stage_close();
}

/* --- many, and those that leave --- */

static void keeper__asks_for_one_application_share_a_look(void **state)
{
    (void)state;
    stage_open("hold", "");
    stage_config();
    atomic_store(&cluster.hangs, 1);
    for (int i = 0; i < 8; i++) {
        ask();
    }
    fake_kube_await(&the_fake.hanging, 4); /* the four kinds, once */
    atomic_store(&cluster.hangs, 0);
    fake_kube_let_go();
    await(&stage.ended, 8);
    expect(&stage.asks[7], GATE_OPEN, "", "");
    assert_int_equal(fake_kube_count("/namespaces/shop/"), 4);
    stage_close();
}

static void keeper__an_answer_is_good_for_a_while(void **state)
{
    (void)state;
    stage_open("hold", "");
    stage_config();
    ask_and_wait();
    expect(ask_and_wait(), GATE_OPEN, "", "0 of 2 hibernated");
    assert_int_equal(fake_kube_count("/namespaces/shop/"), 4);
    stage_close();
    good_ms = 0;
    stage_open("hold", "");
    good_ms = 60000;
    stage_config();
    ask_and_wait();
    atomic_store(&cluster.asleep, 1);
    expect(ask_and_wait(), GATE_HOLD, "hibernating", "");
    assert_int_equal(fake_kube_count("/namespaces/shop/"), 8);
    stage_close();
}

static void keeper__a_recalled_ask_ends_though_its_cluster_hangs(void **state)
{
    (void)state;
    stage_open("hold", "");
    stage_config();
    atomic_store(&cluster.hangs, 1);
    struct gate_ask *one = ask();
    struct gate_ask *other = ask();
    fake_kube_await(&the_fake.hanging, 4);
    gate_recall(keeper_gate(stage.keeper), one);
    await(&stage.ended, 1);
    expect(one, GATE_HOLD, "recalled", "");
    gate_recall(keeper_gate(stage.keeper), one); /* again: nothing */
    gate_recall(keeper_gate(stage.keeper), other);
    await(&stage.ended, 2);
    /* nobody waits: the look is cut off, and the next ask makes one of its own */
    atomic_store(&cluster.hangs, 0);
    expect(ask_and_wait(), GATE_OPEN, "", "");
    assert_int_equal(stage.ended, 3);
    stage_close();
}

static void keeper__a_waking_finishes_the_one_in_hand_when_recalled(void **state)
{
    (void)state;
    stage_open("wake", "");
    stage_config();
    atomic_store(&cluster.asleep, 1);
    atomic_store(&cluster.patches_hang, 1);
    struct gate_ask *one = ask();
    fake_kube_await(&the_fake.hanging, 1);
    gate_recall(keeper_gate(stage.keeper), one);
    await(&stage.ended, 1);
    expect(one, GATE_HOLD, "recalled", "");
    atomic_store(&cluster.patches_hang, 0);
    /* who asks now does not get the end of a waking that was cut off */
    expect(ask_and_wait(), GATE_OPEN, "", "woke 2 of 2");
    assert_int_equal(stage.woken, 2);
    fake_kube_let_go();
    await(&stage.wakings, 2);
    assert_int_equal(stage.woken, 3);
    assert_int_equal(stage.unbegun, 1);
    assert_int_equal(fake_kube_count("PATCH"), 3);
    stage_close();
}

static void await_state(const char *word)
{
    struct cluster_view view = {.name = ""};
    while (!cluster_set_find(stage.set, "c", &view) ||
           strcmp(cluster_state_word(view.state), word) != 0) {
        struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
        assert_int_equal(ctx_sleep(ctx, now_ms() + 1), 0);
        ctx_free(ctx);
    }
}

static void keeper__a_cluster_known_to_be_gone_is_not_asked(void **state)
{
    (void)state;
    stage_open("hold", "");
    atomic_store(&cluster.unwell, 1);
    stage_config();
    await_state("unreachable");
    expect(ask_and_wait(), GATE_HOLD, "cluster-unreachable", "connection refused");
    assert_int_equal(fake_kube_count("/namespaces/"), 0);
    stage_close();
}

static void keeper__clusters_change_while_asks_are_out(void **state)
{
    (void)state;
    stage_open("hold", "");
    stage_config();
    atomic_store(&cluster.hangs, 1);
    ask();
    fake_kube_await(&the_fake.hanging, 4);
    struct config_report other_report;
    struct config *other = NULL;
    write_file("again.yaml", TARGET "clusters: {d: {kubeconfig: none}}\n");
    char whole[128];
    snprintf(whole, sizeof whole, "%s/again.yaml", folder);
    other = config_load(whole, NULL, 0, no_environment, &other_report);
    assert_non_null(other);
    cluster_set_config(stage.set, other); /* what is borrowed stays */
    atomic_store(&cluster.hangs, 0);
    fake_kube_let_go();
    await(&stage.ended, 1);
    expect(&stage.asks[0], GATE_OPEN, "", "");
    config_free(other);
    config_report_release(&other_report);
    stage_close();
}

/* A probe goes on for nobody: how long it does depends on who is quicker. */
static void await_answer(void)
{
    struct gate_ask *asked = ask_and_wait();
    while (asked->says != GATE_OPEN) {
        expect(asked, GATE_HOLD, "cluster-unreachable", "no answer");
        stage.asked--;
        stage.ended--;
        asked = ask_and_wait();
    }
}

static void keeper__a_quiet_cluster_is_waited_for_once(void **state)
{
    (void)state;
    stage_open("hold", "");
    stage_config();
    atomic_store(&cluster.lost, 1);
    expect(ask_and_wait(), GATE_HOLD, "cluster-unreachable", "no answer");
    atomic_store(&cluster.hangs, 1);
    int asked = fake_kube_count("/namespaces/shop/");
    expect(ask_and_wait(), GATE_HOLD, "cluster-unreachable", "no answer");
    fake_kube_await(&the_fake.hanging, 4); /* the probe */
    expect(ask_and_wait(), GATE_HOLD, "cluster-unreachable", "no answer");
    assert_int_equal(fake_kube_count("/namespaces/shop/"), asked + 4);
    atomic_store(&cluster.lost, 0);
    atomic_store(&cluster.hangs, 0);
    fake_kube_let_go();
    await_answer();
    stage_close();
}

static void keeper__a_probe_wakes_nothing(void **state)
{
    (void)state;
    stage_open("wake", "");
    stage_config();
    atomic_store(&cluster.asleep, 1);
    atomic_store(&cluster.lost, 1);
    expect(ask_and_wait(), GATE_HOLD, "cluster-unreachable", "no answer");
    atomic_store(&cluster.hangs, 1);
    expect(ask_and_wait(), GATE_HOLD, "cluster-unreachable", "no answer");
    fake_kube_await(&the_fake.hanging, 4);
    atomic_store(&cluster.lost, 0);
    atomic_store(&cluster.hangs, 0);
    fake_kube_let_go();
    await_answer();
    assert_int_equal(stage.wakings, 1);
    assert_int_equal(fake_kube_count("PATCH"), 2);
    stage_close();
}

static void keeper__who_waits_for_a_turn_at_a_quiet_cluster_need_not(void **state)
{
    (void)state;
    struct decoded events[KEEPER_PER_CLUSTER + 1];
    stage_open("hold", "");
    stage_config();
    struct decoded own = stage.event;
    atomic_store(&cluster.hangs, 1);
    for (int i = 0; i <= KEEPER_PER_CLUSTER; i++) {
        char text[128];
        snprintf(text, sizeof text,
                 "{\"id\":\"1\",\"source\":\"ci\",\"status\":\"success\",\"app\":\"a%d\","
                 "\"env\":\"shop\"}",
                 i);
        events[i] = decode_text(text);
        stage.event = events[i];
        ask()->event = &events[i].ev;
    }
    stage.event = own;
    fake_kube_await(&the_fake.hanging, 4 * KEEPER_PER_CLUSTER);
    atomic_store(&cluster.lost, 1);
    atomic_store(&cluster.hangs, 0);
    fake_kube_let_go();
    await(&stage.ended, KEEPER_PER_CLUSTER + 1);
    expect(&stage.asks[KEEPER_PER_CLUSTER], GATE_HOLD, "cluster-unreachable",
           "no answer");
    assert_int_equal(fake_kube_count("%3Da3"), 0);
    stage_close();
    for (int i = 0; i <= KEEPER_PER_CLUSTER; i++) {
        drop(&events[i]);
    }
}

static const struct CMUnitTest tests[] = {
#include UNIT_TESTS
};

int main(void)
{
    log_setup(LOG_ERROR, LOG_TEXT, NULL);
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
