/* The memory a worker may need at worst counts what its units may own. */
#include "config_fixture.h"

#include "fleet/gate.h"
#include "fleet/memory.h"
#include "target/kind.h"

enum { PARTITIONS = 3, BATCH = 5 };

static uint64_t bound_of(const char *text)
{
    struct config *config = load_good(text);
    uint64_t bound = memory_bound(config, PARTITIONS);
    done(config);
    return bound;
}

static void memory__counts_the_question_of_a_gate(void **state)
{
    (void)state;
    uint64_t more =
        bound_of(TARGET "    gate: {hibernating: hold, namespace: n, cluster: c}\n"
                        "clusters: {c: {kubeconfig: none.yaml}}\n") -
        bound_of(TARGET "clusters: {c: {kubeconfig: none.yaml}}\n");
    assert_int_equal(more, PARTITIONS * BATCH * sizeof(struct gate_ask));
}

static void memory__counts_how_a_run_is_followed(void **state)
{
    (void)state;
    uint64_t more = bound_of(TARGET "    kind: argocd\n") - bound_of(TARGET);
    assert_int_equal(more, PARTITIONS * BATCH * KIND_FOLLOW_MAX);
}

static void memory__counts_as_many_clusters_as_are_asked_at_a_time(void **state)
{
    (void)state;
    uint64_t none = bound_of(TARGET);
    uint64_t one = bound_of(TARGET "clusters: {a: {in_cluster: true}}\n");
    uint64_t two =
        bound_of(TARGET "clusters: {a: {in_cluster: true}, b: {in_cluster: true}}\n");
    uint64_t narrow =
        bound_of(TARGET "clusters: {a: {in_cluster: true}, b: {in_cluster: true}}\n"
                        "cluster_check: {width: 1}\n");
    assert_true(one > none);
    assert_true(two > one);
    assert_true(two - one < one - none);
    assert_int_equal(narrow, one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
