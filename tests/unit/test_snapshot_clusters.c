/* The clusters of the fleet's frame, out of made-up heartbeats. */
#include "snapshot_made.h"

#define SEEN(name, state, at, ok, why) \
    "{\"name\":\"" name "\",\"state\":\"" state "\",\"checked_ms\":" at ",\"ok_ms\":" ok \
    ",\"took_ms\":3,\"why\":\"" why "\"}"
#define UNASKED(name) "{\"name\":\"" name "\",\"state\":\"unknown\",\"why\":\"\"}"

/* Three consumers with these lists of clusters. */
static void three_that_see(const char *a, const char *b, const char *c)
{
    const char *const said[] = {a, b, c};
    set_up();
    for (int i = 0; i < 3; i++) {
        char id[16];
        struct made m = usual;
        m.clusters = said[i];
        m.first = i;
        m.end = i == 2 ? 4 : i + 1;
        snprintf(id, sizeof id, "c-%d", i + 1);
        add_beat(id, 100, &m);
    }
    make();
}

static void snapshot_clusters__the_worst_that_one_sees_is_said(void **state)
{
    (void)state;
    three_that_see(SEEN("prod", "connected", "900", "900", ""),
                   SEEN("prod", "timeout", "950", "400", "no answer in 5s"),
                   SEEN("prod", "connected", "800", "800", ""));
    assert_int_equal(json_object_array_length(json_at(t.frame, "/clusters")), 1);
    assert_string_equal(text("/clusters/0/name"), "prod");
    assert_string_equal(text("/clusters/0/state"), "timeout");
    assert_string_equal(text("/clusters/0/why"), "no answer in 5s");
    assert_int_equal(number("/clusters/0/consumers/connected"), 2);
    assert_int_equal(number("/clusters/0/consumers/timeout"), 1);
    assert_int_equal(number("/clusters/0/checked_ms"), 950);
    assert_int_equal(number("/clusters/0/ok_ms"), 900);
    assert_string_equal(level_of_note("cluster prod",
                                      "is not connected (timeout) for 1 of 3 consumers: "
                                      "no answer in 5s"),
                        "warn");
    assert_string_equal(level_of_note("cluster prod", "→ sluice-consumer doctor"),
                        "warn");
    assert_string_equal(text("/verdict/level"), "warn");
    assert_string_equal(text("/verdict/text"),
                        "Delivering, but cluster prod is not connected, no lag");
    tear_down();
}

static void snapshot_clusters__all_of_one_mind_are_not_counted(void **state)
{
    (void)state;
#define DOWN SEEN("prod", "tls-error", "900", "1", "its certificate is for another host")
    three_that_see(DOWN, DOWN, DOWN);
    assert_string_equal(level_of_note("cluster prod", "(tls-error): its certificate"),
                        "warn");
    tear_down();
}

static void snapshot_clusters__well_ones_are_no_news(void **state)
{
    (void)state;
#define WELL \
    SEEN("a", "connected", "9", "9", "") ",{\"name\":\"b\",\"state\":\"virtual\"}"
    three_that_see(WELL, WELL, WELL);
    assert_string_equal(text("/clusters/0/state"), "connected");
    assert_string_equal(text("/clusters/1/state"), "virtual");
    assert_null(json_at(t.frame, "/clusters/1/checked_ms"));
    assert_null(json_at(t.frame, "/clusters/1/ok_ms"));
    assert_int_equal(json_object_array_length(json_at(t.frame, "/notes")), 0);
    assert_string_equal(text("/verdict/level"), "ok");
    tear_down();
}

/* A consumer that has just started has asked nobody yet. */
static void snapshot_clusters__one_not_asked_yet_is_no_trouble(void **state)
{
    (void)state;
    three_that_see(SEEN("prod", "connected", "9", "9", ""), UNASKED("prod"),
                   UNASKED("prod"));
    assert_string_equal(text("/clusters/0/state"), "connected");
    assert_string_equal(text("/verdict/level"), "ok");
    tear_down();
    three_that_see(UNASKED("prod"), UNASKED("prod"), UNASKED("prod"));
    assert_string_equal(text("/clusters/0/state"), "unknown");
    assert_string_equal(text("/verdict/level"), "ok");
    tear_down();
}

static void snapshot_clusters__credentials_that_cannot_be_read_are_trouble(void **state)
{
    (void)state;
    three_that_see(SEEN("prod", "connected", "9", "9", ""),
                   "{\"name\":\"prod\",\"state\":\"unknown\",\"why\":\"no such file\"}",
                   SEEN("prod", "connected", "9", "9", ""));
    assert_string_equal(text("/clusters/0/state"), "unknown");
    assert_string_equal(level_of_note("cluster prod", "no such file"), "warn");
    tear_down();
}

static void snapshot_clusters__who_is_late_is_not_asked(void **state)
{
    (void)state;
    set_up();
    struct made m = usual;
    m.end = 4;
    m.clusters = SEEN("prod", "connected", "9", "9", "");
    add_beat("c-1", 100, &m);
    m.first = m.end = 0;
    m.clusters = SEEN("prod", "timeout", "9", "9", "old");
    add_beat("c-2", SNAPSHOT_LATE_MS + 1, &m);
    make();
    assert_string_equal(text("/clusters/0/state"), "connected");
    tear_down();
}

/* Other versions: no list, one that is none, words nobody knows. */
static void snapshot_clusters__what_others_wrote_is_read_with_care(void **state)
{
    (void)state;
    three_that_see(NULL, "1,null,{},{\"name\":7}",
                   SEEN("prod", "on-fire", "-5", "\"x\"", ""));
    assert_int_equal(json_object_array_length(json_at(t.frame, "/clusters")), 1);
    assert_string_equal(text("/clusters/0/state"), "unknown");
    assert_int_equal(number("/clusters/0/consumers/unknown"), 1);
    assert_null(json_at(t.frame, "/clusters/0/checked_ms"));
    assert_null(json_at(t.frame, "/clusters/0/ok_ms"));
    tear_down();
}

static void snapshot_clusters__without_any_the_list_is_empty(void **state)
{
    (void)state;
    two_healthy();
    make();
    assert_int_equal(json_object_array_length(json_at(t.frame, "/clusters")), 0);
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
