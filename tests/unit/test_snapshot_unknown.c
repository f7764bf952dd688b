/* The fleet's frame when somebody does not answer, or says strange things. */
#include "snapshot_made.h"

/* --- what is not known --- */

static void snapshot__without_redis_kafka_speaks(void **state)
{
    (void)state;
    set_up();
    t.in.redis_known = false;
    t.in.redis_why = "Redis does not answer: refused";
    t.in.kafka_asked = true;
    t.offsets[0] = (struct snapshot_offset){"ci", 0, 100, 300};
    t.offsets[1] = (struct snapshot_offset){"ci", 1, 100, 100};
    t.offsets[2] = (struct snapshot_offset){"ci.g.retry.1s", 0, 5, 9};
    t.in.offset_count = 3;
    make();
    assert_string_equal(text("/verdict/level"), "unknown");
    assert_string_equal(text("/verdict/text"),
                        "Unknown: Redis does not answer; Kafka says lag 200");
    assert_int_equal(number("/totals/lag_events"), 200);
    assert_int_equal(number("/totals/deferred"), 4);
    assert_null(json_at(t.frame, "/totals/dead"));
    assert_null(json_at(t.frame, "/partitions/0/owner"));
    assert_int_equal(number("/partitions/0/committed"), 100);
    assert_string_equal(text("/redis/why"), "Redis does not answer: refused");
    tear_down();
}

static void snapshot__without_both_it_says_so(void **state)
{
    (void)state;
    set_up();
    t.in.redis_known = false;
    t.in.redis_why = "gone";
    t.in.kafka_asked = true;
    t.in.kafka_why = "no broker answers";
    make();
    assert_string_equal(text("/verdict/text"),
                        "Unknown: Redis does not answer, nor does Kafka");
    assert_false(json_object_get_boolean(json_at(t.frame, "/kafka/known")));
    assert_string_equal(text("/kafka/why"), "no broker answers");
    tear_down();
}

static void snapshot__kafka_knows_better_than_a_heartbeat(void **state)
{
    (void)state;
    two_healthy();
    t.in.kafka_asked = true;
    t.offsets[0] = (struct snapshot_offset){"ci", 0, 100, 107};
    t.offsets[1] = (struct snapshot_offset){"ci", 9, -1, 50}; /* nobody speaks of it */
    t.in.offset_count = 2;
    make();
    assert_int_equal(number("/partitions/0/lag_events"), 7);
    assert_string_equal(text("/partitions/0/owner"), "c-1");
    assert_int_equal(number("/partitions/4/partition"), 9);
    assert_null(json_at(t.frame, "/partitions/4/lag_events"));
    assert_null(json_at(t.frame, "/totals/lag_events")); /* not all of it is known */
    tear_down();
}

static void snapshot__strange_heartbeats_do_no_harm(void **state)
{
    (void)state;
    static const char *const strange[] = {
        "not json",
        "[]",
        "{}",
        "{\"partitions\":7,\"targets\":{\"a\":1},\"latency\":[]}",
        "{\"partitions\":[null,1,{\"topic\":4,\"partition\":\"x\"}],\"targets\":[null,{}]"
        ","
        "\"limits\":[{\"name\":\"l\"}],\"state\":\"\\u001b[2J\",\"latency\":{\"bounds_"
        "s\":"
        "[1],\"counts\":[-4,1]}}",
    };
    set_up();
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
        char id[16];
        snprintf(id, sizeof id, "s-%zu", i);
        t.beats[t.in.beat_count++] =
            (struct snapshot_beat){mem_strdup(id), mem_strdup(strange[i]),
                                   strlen(strange[i]), NOW};
    }
    add_beat("z", 0, &usual);
    make();
    assert_int_equal(json_object_array_length(json_at(t.frame, "/consumers")), 4);
    assert_string_equal(text("/consumers/2/state"), "running");
    assert_string_equal(level_of_note("", "heartbeat cannot be read"), "warn");
    assert_string_equal(text("/targets/0/name"), "argocd");
    tear_down();
}

static void snapshot__buckets_of_another_version_are_left_out(void **state)
{
    (void)state;
    two_healthy();
    char *other = strstr((char *)t.beats[1].json, "[0.1,0.2]");
    other[3] = '3'; /* 0.3 */
    make();
    assert_int_equal(number("/targets/0/p95_ms"), 150);
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
