/* targets.*.gate: what is asked of which cluster before a trigger. */
#include "config_fixture.h"

#include "event/template.h"

#define CLUSTER    "clusters: {c: {in_cluster: true}}\n"
#define GATE(more) TARGET "    gate:\n      hibernating: wake\n" more /* 5 lines */

static const struct bad_config bad[] = {
    {TARGET "    gate: {hibernating: sleep}\n", "4:25", "SL-C05",
     "send, hold, wake, skip"},
    {TARGET "    gate: {hibernating: hold}\n" CLUSTER, "4:25", "SL-C33",
     "needs gate.namespace"},
    {TARGET "    gate: {hibernating: hold, namespace: a}\n", "4:25", "SL-C33",
     "no cluster is configured"},
    {TARGET "    gate: {hibernating: hold, namespace: a}\n"
            "clusters: {a: {in_cluster: true}, b: {virtual: true}}\n",
     "4:25", "SL-C33", "there are several clusters, name one: a, b"},
    {TARGET "    gate: {hibernating: hold, namespace: a, cluster: d}\n" CLUSTER, "4:54",
     "SL-C33", "no cluster \"d\" is configured; there is c"},
    {TARGET "    gate: {hibernating: hold, namespace: a, cluster: v}\n"
            "clusters: {v: {virtual: true}}\n",
     "4:54", "SL-C33", "is virtual"},
    {TARGET "    gate: {namespace: a}\n", "4:23", "SL-C33", "without effect"},
    {TARGET "    gate: {cluster: a}\n", "4:21", "SL-C33", "without effect"},
    {GATE("      namespace: ${secret.x}\n"), "6:18", "SL-C33", "holds a secret"},
    {GATE("      namespace: ${event.ap}\n"), "6:18", "SL-C13", "ap"},
    {GATE("      namespace: a\n      selector: ${secret.x}\n"), "7:17", "SL-C33", ""},
    {GATE("      namespace: a\n      kinds: []\n"), "7:14", "SL-C33", "expected 1 to 16"},
    {GATE("      namespace: a\n      kinds: [Deployment]\n"), "7:15", "SL-C33",
     "\"Deployment\" is not group/version/Kind"},
    {GATE("      namespace: a\n      kinds: [apps/v1/deployments]\n"), "7:15", "SL-C33",
     ""},
    {GATE("      namespace: a\n      kinds: [a/b/c/D]\n"), "7:15", "SL-C33", ""},
    {GATE("      namespace: a\n      kinds: [v1/Pod, /v1/Pod]\n"), "7:23", "SL-C33", ""},
    {GATE("      namespace: a\n      unknown: skip\n"), "7:16", "SL-C05", "hold, send"},
};

static void config_gate__bad_gates_are_refused_at_their_place(void **state)
{
    (void)state;
    expect_refused(bad, sizeof bad / sizeof bad[0]);
}

static void config_gate__no_gate_asks_by_itself(void **state)
{
    (void)state;
    struct config *config = load_good(TARGET);
    assert_int_equal(config->targets[0].gate.policy, CONFIG_GATE_SEND);
    done(config);
}

static const struct {
    const char *word;
    enum config_gate_policy policy;
} policies[] = {
    {"hold", CONFIG_GATE_HOLD},
    {"wake", CONFIG_GATE_WAKE},
    {"skip", CONFIG_GATE_SKIP},
};

static void config_gate__each_policy_is_read_with_what_it_asks(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 TARGET "    gate: {hibernating: %s, cluster: east, namespace: shop,\n"
                        "      kinds: [v1/Pod, apps/v1/Deployment], unknown: send}\n"
                        "clusters: {east: {in_cluster: true}, west: {virtual: true}}\n",
                 policies[i].word);
        struct config *config = load_good(text);
        const struct config_gate *gate = &config->targets[0].gate;
        assert_int_equal(gate->policy, policies[i].policy);
        assert_string_equal(gate->cluster, "east");
        assert_string_equal(template_constant(gate->ns), "shop");
        assert_false(template_is_constant(gate->selector));
        assert_int_equal(gate->kind_count, 2);
        assert_string_equal(gate->kinds[1], "apps/v1/Deployment");
        assert_true(gate->unknown_send);
        done(config);
    }
}

static void config_gate__what_is_left_out_is_the_usual(void **state)
{
    (void)state;
    struct config *config = load_good(GATE("      namespace: ns-${event.env}\n") CLUSTER);
    const struct config_gate *gate = &config->targets[0].gate;
    assert_string_equal(gate->cluster, "c");
    assert_int_equal(gate->kind_count, 4);
    assert_string_equal(gate->kinds[3], "argoproj.io/v1alpha1/Rollout");
    assert_false(gate->unknown_send);
    done(config);
}

static const struct CMUnitTest tests[] = {
#include UNIT_TESTS
};

int main(void)
{
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
