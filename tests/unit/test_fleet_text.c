/* The fleet's frame as a page of text. */
#include "../../consumer/fleet_text.h"
#include "snapshot_made.h"

static struct str page;

static void show(const char *filter)
{
    struct fleet_look look = {.paint = {"", "", "", "", ""}, .filter = filter};
    make();
    str_init(&page);
    fleet_text(t.frame, &look, &page);
}

static void end(void)
{
    str_release(&page);
    tear_down();
}

static bool has(const char *words)
{
    return strstr(page.data, words) != NULL;
}

#define ONE(name, state, ok, why) \
    "{\"name\":\"" name "\",\"state\":\"" state \
    "\",\"checked_ms\":999998000,\"ok_ms\":" ok ",\"why\":\"" why "\"}"

static void one_consumer(const char *clusters)
{
    struct made m = usual;
    set_up();
    m.clusters = clusters;
    m.end = 4;
    add_beat("c-1", 100, &m);
}

static void fleet_text__clusters_are_a_table_of_their_own(void **state)
{
    (void)state;
    one_consumer(ONE("edge", "connected", "999998000",
                     "") "," ONE("prod", "timeout", "999880000", "no answer in 5s"));
    show(NULL);
    assert_true(has("\nCLUSTER  STATE      SEEN BY  CHECKED  LAST OK  WHY\n"
                    "edge     connected      1/1    2.0 s    2.0 s  -\n"
                    "prod     timeout        1/1    2.0 s    2 min  no answer in 5s\n"));
    end();
}

static void fleet_text__a_bad_cluster_is_starred_with_the_next_step(void **state)
{
    (void)state;
    one_consumer(ONE("prod", "timeout", "null", "no answer in 5s"));
    show(NULL);
    assert_true(has("! Delivering, but cluster prod is not connected, no lag\n"));
    assert_true(has("\n* cluster prod is not connected (timeout): no answer in 5s; "));
    assert_true(has("→ sluice-consumer doctor\n"));
    end();
}

static void fleet_text__without_clusters_there_is_no_table_of_them(void **state)
{
    (void)state;
    one_consumer(NULL);
    show(NULL);
    assert_true(has("\nCONSUMER "));
    assert_false(has("CLUSTER"));
    end();
}

static void fleet_text__clusters_are_filtered_like_all_else(void **state)
{
    (void)state;
    one_consumer(ONE("edge", "connected", "1", "") "," ONE("prod", "connected", "1", ""));
    show("prod");
    assert_true(has("\nprod "));
    assert_false(has("\nedge "));
    end();
}

static void fleet_text__kinds_are_told_where_one_is_not_plain(void **state)
{
    (void)state;
    one_consumer(NULL);
    show(NULL);
    assert_true(has("\nTARGET  STATE "));
    str_release(&page);
    char *said = strstr(t.beats[0].json, "\"kind\":\"http\"");
    memcpy(said, "\"kind\":\"flux\"", strlen("\"kind\":\"flux\""));
    show(NULL);
    assert_true(has("\nTARGET  KIND  STATE "));
    assert_true(has("\nargocd  flux  ok "));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
