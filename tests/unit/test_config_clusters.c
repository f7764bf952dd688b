/* clusters.*: how the clusters that are asked are reached. */
#include "config_fixture.h"

#define CLUSTERS TARGET "clusters:\n" /* 4 lines */

static const struct bad_config bad[] = {
    {CLUSTERS "  east: {}\n", "5:3", "SL-C32", "give `kubeconfig: PATH`"},
    {CLUSTERS "  east: {in_cluster: false}\n", "5:3", "SL-C32",
     "give `kubeconfig: PATH`"},
    {CLUSTERS "  east: {kubeconfig: a, virtual: true}\n", "5:3", "SL-C32", "give one"},
    {CLUSTERS "  east: {in_cluster: true, virtual: true}\n", "5:3", "SL-C32", "give one"},
    {CLUSTERS "  east: {in_cluster: true, context: a}\n", "5:37", "SL-C32",
     "without effect"},
    {CLUSTERS "  east: {kubeconfig: ~/.kube/config}\n", "5:22", "SL-C32",
     "~ is not expanded"},
    {CLUSTERS "  east: {kubeconfig: a, rate: 0/s}\n", "5:31", "SL-C06", "rate"},
    {CLUSTERS "  east: {kubeconfig: a, concurrency: 65}\n", "5:38", "SL-C06", "64"},
    {CLUSTERS "  East: {kubeconfig: a}\n", "5:3", "SL-C17", "is no name"},
    {CLUSTERS "  east: {kubeconfg: a}\n", "5:10", "SL-C02", "kubeconfig"},
};

static void config_clusters__bad_clusters_are_refused_at_their_place(void **state)
{
    (void)state;
    expect_refused(bad, sizeof bad / sizeof bad[0]);
}

static void config_clusters__each_way_is_read(void **state)
{
    (void)state;
    struct config *config = load_good(
        CLUSTERS
        "  east: {kubeconfig: /etc/east, context: admin, rate: 600/m, burst: 7,\n"
        "         concurrency: 3}\n"
        "  here: {in_cluster: true}\n"
        "  far: {virtual: true}\n"
        "cluster_check: {every: 2m, timeout: 1s, width: 3}\n");
    assert_int_equal(config->cluster_count, 3);
    const struct config_cluster *east = config_cluster_find(config, "east", NULL);
    assert_string_equal(east->kubeconfig, "/etc/east");
    assert_string_equal(east->context, "admin");
    assert_true(east->rate_per_s > 9.9 && east->rate_per_s < 10.1);
    assert_true(east->burst > 6.9 && east->burst < 7.1);
    assert_int_equal(east->concurrency, 3);
    assert_true(config_cluster_find(config, "here", NULL)->in_cluster);
    assert_true(config_cluster_find(config, "far", NULL)->is_virtual);
    assert_int_equal(config->cluster_check.every_ms, 120000);
    assert_int_equal(config->cluster_check.timeout_ms, 1000);
    assert_int_equal(config->cluster_check.width, 3);
    done(config);
}

static void config_clusters__what_is_left_out_is_the_usual(void **state)
{
    (void)state;
    struct config *config = load_good(CLUSTERS "  east: {kubeconfig: a}\n");
    const struct config_cluster *only = config_cluster_find(config, NULL, NULL);
    assert_string_equal(only->name, "east");
    assert_int_equal((int)only->rate_per_s, 50);
    assert_int_equal((int)only->burst, 100);
    assert_int_equal(only->concurrency, 10);
    assert_null(only->context);
    assert_int_equal(config->cluster_check.every_ms, 60000);
    assert_int_equal(config->cluster_check.width, 16);
    done(config);
}

static void config_clusters__a_wrong_name_lists_those_there_are(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct config *config =
        load_good(CLUSTERS "  east: {kubeconfig: a}\n  west: {kubeconfig: b}\n");
    assert_null(config_cluster_find(config, NULL, &err));
    assert_non_null(strstr(err.text, "east, west"));
    assert_null(config_cluster_find(config, "north", &err));
    assert_non_null(strstr(err.text, "\"north\""));
    assert_non_null(strstr(err.text, "east, west"));
    done(config);
    config = load_good(TARGET);
    assert_null(config_cluster_find(config, NULL, &err));
    assert_non_null(strstr(err.text, "no cluster is configured"));
    done(config);
}

static const struct CMUnitTest tests[] = {
#include UNIT_TESTS
};

int main(void)
{
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
