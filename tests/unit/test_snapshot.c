/* The fleet's frame, out of made-up heartbeats. */
#include "ops/snapshot.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/now.h"

enum { BEATS_MAX = 64, NOW = 1000000000 };

static struct {
    struct snapshot_beat beats[BEATS_MAX];
    struct snapshot_pair control[4];
    struct snapshot_pair dead[4];
    struct snapshot_offset offsets[8];
    struct snapshot_input in;
    struct json_object *frame;
} t;

static void set_up(void)
{
    memset(&t, 0, sizeof t);
    t.in = (struct snapshot_input){.topic = "ci",
                                   .group = "g",
                                   .now_ms = NOW,
                                   .redis_known = true,
                                   .redis_why = "",
                                   .beats = t.beats,
                                   .control = t.control,
                                   .dead = t.dead,
                                   .offsets = t.offsets};
}

static void tear_down(void)
{
    json_free(t.frame);
    for (size_t i = 0; i < t.in.beat_count; i++) {
        free((char *)t.beats[i].json);
        free((char *)t.beats[i].id);
    }
}

/* What a made-up consumer says, beside partitions first to one before `end`. */
struct made {
    const char *state;
    const char *version;
    const char *hash;
    int first;
    int end;
    int all;
    int lag; /* of each partition */
    double in;
    double out;
    int open_ms;  /* of target argocd; -1: closed */
    int ok;       /* it took in the last minute */
    int batch_ms; /* how long its batches are open */
    const char *batch;
};
static const struct made usual = {"running", "1.0", "aa", 0,  2,  4,        0,
                                  5,         5,     -1,   60, 10, "barrier"};

static void add_beat(const char *id, int64_t age_ms, const struct made *m)
{
    struct str s;
    str_init(&s);
    str_addf(&s,
             "{\"v\":1,\"id\":\"%s\",\"boot\":\"00\",\"host\":\"h\",\"pid\":7,"
             "\"version\":\"%s\",\"revision\":\"r\",\"config_hash\":\"%s\",\"up_s\":60,"
             "\"state\":\"%s\",\"all_partitions\":%d,\"partitions\":[",
             id, m->version, m->hash, m->state, m->all);
    for (int p = m->first; p < m->end; p++) {
        str_addf(&s,
                 "%s{\"topic\":\"ci\",\"partition\":%d,\"source\":true,\"lag_events\":%d,"
                 "\"lag_s\":%d,\"committed\":100,\"end\":%d,\"in_per_s\":1,"
                 "\"out_per_s\":2,\"batch\":{\"state\":\"%s\",\"size\":50,\"events\":50,"
                 "\"units\":50,\"ended\":47,\"for_ms\":%d,\"waiting\":[{\"target\":"
                 "\"argocd\",\"units\":3,\"oldest_ms\":90}]}}",
                 p > m->first ? "," : "", p, m->lag, m->lag, 100 + m->lag, m->batch,
                 m->batch_ms);
    }
    str_addf(
        &s,
        "],\"targets\":[{\"name\":\"argocd\",\"open_ms\":%s,\"silent_ms\":0,"
        "\"in_flight\":2,\"triggered\":%d,\"none\":0,\"c1xx\":0,\"c2xx\":%d,"
        "\"c3xx\":0,\"c4xx\":1,\"c5xx\":2,\"calls_per_s\":4.5,\"took\":{\"bounds_s\":"
        "[0.1,0.2],\"counts\":[90,10,0]},\"limits\":[\"deploys\"]}],",
        m->open_ms < 0    ? "null"
        : m->open_ms == 0 ? "0"
                          : "12000",
        m->ok, m->ok);
    str_addf(&s,
             "\"limits\":[{\"name\":\"deploys\",\"rate_per_s\":10,\"burst\":20,"
             "\"tokens\":14,\"waited\":{\"bounds_s\":[0.1],\"counts\":[10,0]}}],"
             "\"lag_events\":%d,\"deferred\":0,\"in_per_s\":%g,\"out_per_s\":%g,"
             "\"in_flight\":2,\"p95_ms\":150,\"latency\":{\"bounds_s\":[1,2],\"counts\":"
             "[0,20,0]}}",
             m->lag * (m->end - m->first), m->in, m->out);
    size_t len = s.len;
    t.beats[t.in.beat_count++] =
        (struct snapshot_beat){mem_strdup(id), str_take(&s), len, NOW - age_ms};
}

static void make(void)
{
    json_free(t.frame);
    t.frame = snapshot_make(&t.in);
}

static const char *text(const char *pointer)
{
    const char *found = json_string_at(t.frame, pointer, NULL);
    return found ? found : "(null)";
}

static int64_t number(const char *pointer)
{
    struct json_object *at = json_at(t.frame, pointer);
    return at ? json_object_get_int64(at) : -999;
}

/* The note about somebody whose text has these words in it. */
static const char *level_of_note(const char *about, const char *words)
{
    struct json_object *notes = json_at(t.frame, "/notes");
    for (size_t i = 0; i < json_object_array_length(notes); i++) {
        struct json_object *note = json_object_array_get_idx(notes, i);
        if (strcmp(json_string_at(note, "/about", NULL), about) == 0 &&
            strstr(json_string_at(note, "/text", NULL), words)) {
            return json_string_at(note, "/level", NULL);
        }
    }
    return "none";
}

static void two_healthy(void)
{
    struct made other = usual;
    set_up();
    add_beat("c-1", 500, &usual);
    other.first = 2;
    other.end = 4;
    add_beat("c-2", 900, &other);
}

/* --- a healthy fleet --- */

static void snapshot__a_healthy_fleet_is_called_so(void **state)
{
    (void)state;
    two_healthy();
    make();
    assert_string_equal(text("/schema"), "sluice.fleet/1");
    assert_string_equal(text("/verdict/level"), "ok");
    assert_string_equal(text("/verdict/text"), "Healthy: all targets accepting, no lag");
    assert_int_equal(json_object_array_length(json_at(t.frame, "/notes")), 0);
    assert_int_equal(number("/totals/consumers"), 2);
    assert_int_equal(number("/totals/partitions"), 4);
    assert_int_equal(number("/totals/unowned"), 0);
    assert_int_equal(number("/totals/in_flight"), 4);
    assert_true(json_object_get_boolean(json_at(t.frame, "/kafka/known")));
    tear_down();
}

static void snapshot__joins_consumers_partitions_and_targets(void **state)
{
    (void)state;
    two_healthy();
    make();
    assert_string_equal(text("/consumers/0/id"), "c-1");
    assert_string_equal(text("/consumers/0/state"), "running");
    assert_int_equal(number("/consumers/1/age_ms"), 900);
    assert_string_equal(text("/consumers/0/partitions/0/batch/state"), "barrier");
    assert_int_equal(number("/consumers/0/partitions/0/batch/waiting/0/units"), 3);
    assert_string_equal(text("/partitions/0/owner"), "c-1");
    assert_string_equal(text("/partitions/3/owner"), "c-2");
    assert_string_equal(text("/targets/0/name"), "argocd");
    assert_string_equal(text("/targets/0/state"), "ok");
    assert_int_equal(number("/targets/0/ok_per_min"), 120);
    assert_int_equal(number("/targets/0/c5xx_per_min"), 4);
    assert_int_equal(number("/targets/0/p95_ms"), 150); /* 180 and 20 calls */
    assert_int_equal(number("/targets/0/token_wait_p95_ms"), 95);
    assert_true(json_object_get_double(json_at(t.frame, "/targets/0/limits/0/used")) ==
                0.9);
    assert_int_equal(number("/totals/p95_ms"), 1950);
    tear_down();
}

static void snapshot__consumers_are_in_the_order_of_their_numbers(void **state)
{
    (void)state;
    set_up();
    add_beat("c-10", 0, &usual);
    add_beat("c-2", 0, &usual);
    make();
    assert_string_equal(text("/consumers/0/id"), "c-2");
    tear_down();
}

static void snapshot__says_when_the_lag_is_gone(void **state)
{
    (void)state;
    struct made busy = usual;
    set_up();
    busy.lag = 600;
    busy.out = 15;
    busy.all = 2;
    add_beat("c-1", 0, &busy);
    make();
    assert_int_equal(number("/totals/lag_events"), 1200);
    assert_int_equal(number("/totals/drains_in_s"), 120);
    assert_int_equal(number("/partitions/0/drains_in_s"), 600);
    assert_string_equal(
        text("/verdict/text"),
        "Healthy: all targets accepting, lag 1,200, clears in about 2 min");
    tear_down();
}

/* --- trouble --- */

static void snapshot__without_consumers_nothing_is_delivered(void **state)
{
    (void)state;
    set_up();
    make();
    assert_string_equal(text("/verdict/level"), "bad");
    assert_string_equal(text("/verdict/text"),
                        "Not delivering: no consumer runs, lag not known");
    assert_null(json_at(t.frame, "/totals/lag_events"));
    assert_null(json_at(t.frame, "/totals/in_per_s"));
    tear_down();
}

static void snapshot__a_lag_that_grows_is_said(void **state)
{
    (void)state;
    struct made slow = usual;
    set_up();
    slow.lag = 600;
    slow.in = 20;
    slow.out = 15;
    slow.all = 2;
    add_beat("c-1", 0, &slow);
    make();
    assert_null(json_at(t.frame, "/totals/drains_in_s"));
    assert_string_equal(level_of_note("", "the lag grows: 20/s come, 15/s are done"),
                        "warn");
    assert_string_equal(text("/verdict/level"), "warn");
    tear_down();
}

static void snapshot__a_consumer_is_late_then_gone(void **state)
{
    (void)state;
    two_healthy();
    t.beats[1].at_ms = NOW - SNAPSHOT_LATE_MS;
    make();
    assert_string_equal(text("/consumers/1/state"), "running");
    t.beats[1].at_ms = NOW - SNAPSHOT_LATE_MS - 1;
    make();
    assert_string_equal(text("/consumers/1/state"), "late");
    assert_string_equal(level_of_note("c-2", "is late: no heartbeat for 10 s"), "warn");
    assert_string_equal(text("/partitions/3/owner"), "c-2");
    assert_null(json_at(t.frame, "/consumers/1/in_per_s"));
    t.beats[1].at_ms = NOW - SNAPSHOT_GONE_MS - 1;
    make();
    assert_string_equal(text("/consumers/1/state"), "gone");
    assert_null(json_at(t.frame, "/partitions/3/owner"));
    assert_int_equal(number("/totals/unowned"), 2);
    assert_int_equal(number("/totals/consumers"), 1);
    assert_string_equal(
        level_of_note("c-2", "is gone: no heartbeat for 30 s, 2 of its partitions have"),
        "warn");
    assert_string_equal(
        level_of_note("", "2 partitions have no owner: ci[2], ci[3]; the group"), "warn");
    tear_down();
}

static void snapshot__a_gone_consumer_keeps_its_row(void **state)
{
    (void)state;
    struct made heir = usual;
    two_healthy();
    t.beats[1].at_ms = NOW - 45000;
    heir.end = 4;
    t.in.beat_count = 2;
    add_beat("c-3", 0, &heir);
    make();
    assert_string_equal(text("/consumers/1/state"), "gone");
    assert_int_equal(number("/consumers/1/partitions/0/partition"), 2);
    assert_null(json_at(t.frame, "/consumers/1/partitions/0/batch"));
    assert_string_equal(text("/partitions/2/owner"), "c-3");
    assert_int_equal(json_object_array_length(json_at(t.frame, "/partitions")), 4);
    assert_string_equal(level_of_note("c-2", "others took over its 2 partitions"),
                        "info");
    assert_string_equal(text("/verdict/level"), "ok");
    tear_down();
}

static void snapshot__when_all_are_late_nothing_is_known_to_be_delivered(void **state)
{
    (void)state;
    set_up();
    add_beat("c-1", 20000, &usual);
    make();
    assert_string_equal(text("/verdict/level"), "bad");
    tear_down();
}

static void snapshot__partitions_that_nobody_speaks_of_have_no_owner(void **state)
{
    (void)state;
    set_up();
    add_beat("c-1", 0, &usual); /* two of four */
    make();
    assert_int_equal(number("/totals/unowned"), 2);
    assert_string_equal(text("/verdict/level"), "warn");
    tear_down();
}

static void snapshot__an_idle_consumer_is_told_what_to_do(void **state)
{
    (void)state;
    struct made idle = usual;
    two_healthy();
    idle.state = "idle";
    idle.first = idle.end = 0;
    add_beat("c-3", 0, &idle);
    make();
    assert_string_equal(level_of_note("c-3", "is idle: 4 partitions, all owned; add"),
                        "info");
    assert_string_equal(text("/verdict/level"), "ok");
    tear_down();
}

static void snapshot__who_runs_another_version_differs(void **state)
{
    (void)state;
    struct made old = usual;
    two_healthy();
    old.first = old.end = 0;
    old.version = "0.9";
    add_beat("c-3", 0, &old);
    make();
    assert_false(json_object_get_boolean(json_at(t.frame, "/consumers/0/skew")));
    assert_true(json_object_get_boolean(json_at(t.frame, "/consumers/2/skew")));
    assert_string_equal(level_of_note("c-3", "runs 0.9, the others 1.0"), "warn");
    tear_down();
}

static void snapshot__who_has_another_configuration_differs(void **state)
{
    (void)state;
    struct made other = usual;
    two_healthy();
    other.first = other.end = 0;
    other.hash = "bb";
    add_beat("c-3", 0, &other);
    make();
    assert_string_equal(level_of_note("c-3", "another configuration (bb)"), "warn");
    tear_down();
}

static void snapshot__an_open_circuit_names_its_next_probe(void **state)
{
    (void)state;
    struct made sick = usual;
    two_healthy();
    sick.open_ms = 12000;
    sick.first = sick.end = 0;
    add_beat("c-3", 0, &sick);
    make();
    assert_string_equal(text("/targets/0/state"), "open");
    assert_int_equal(number("/targets/0/for_ms"), 12000);
    assert_int_equal(number("/targets/0/open_at"), 1);
    assert_string_equal(level_of_note("argocd",
                                      "at 1 of 3 consumers, next probe in 12 s"),
                        "warn");
    assert_string_equal(text("/verdict/text"),
                        "Delivering, but argocd has its circuit open, no lag");
    tear_down();
}

static void snapshot__when_no_target_accepts_it_is_bad(void **state)
{
    (void)state;
    struct made sick = usual;
    set_up();
    sick.open_ms = 0;
    sick.all = 2;
    add_beat("c-1", 0, &sick);
    make();
    assert_string_equal(text("/verdict/text"),
                        "Not delivering: no target accepts, no lag");
    tear_down();
}

static void snapshot__a_pause_says_who_and_why(void **state)
{
    (void)state;
    two_healthy();
    t.control[0] = (struct snapshot_pair){
        "pause:argocd",
        "{\"until_ms\":1000720000,\"reason\":\"INC-42\",\"who\":\"ann\",\"at_ms\":1}"};
    t.in.control_count = 1;
    make();
    assert_string_equal(text("/targets/0/state"), "paused");
    assert_string_equal(text("/targets/0/reason"), "INC-42");
    assert_int_equal(number("/targets/0/for_ms"), 720000);
    assert_string_equal(
        level_of_note("argocd", "is paused by ann for 12 min more: INC-42; its units"),
        "warn");
    t.in.now_ms = 1000720001; /* it is over */
    t.beats[0].at_ms = t.beats[1].at_ms = t.in.now_ms;
    make();
    assert_string_equal(text("/targets/0/state"), "ok");
    tear_down();
}

static void snapshot__a_pause_without_end_has_no_time_left(void **state)
{
    (void)state;
    two_healthy();
    t.control[0] = (struct snapshot_pair){"pause:argocd", "{\"until_ms\":0}"};
    t.control[1] = (struct snapshot_pair){"pause:argocd", "no json"};
    t.in.control_count = 2;
    make();
    assert_string_equal(text("/targets/0/state"), "paused");
    assert_null(json_at(t.frame, "/targets/0/for_ms"));
    tear_down();
}

static void snapshot__a_batch_that_stays_open_is_said(void **state)
{
    (void)state;
    struct made stuck = usual;
    set_up();
    stuck.batch_ms = 41000;
    stuck.all = 2;
    add_beat("c-1", 0, &stuck);
    make();
    assert_string_equal(
        level_of_note("c-1", "has a batch of ci[0] open for 41 s, it waits for argocd"),
        "warn");
    tear_down();
}

static void snapshot__who_is_blocked_is_said(void **state)
{
    (void)state;
    struct made stuck = usual;
    set_up();
    stuck.batch = "blocked";
    stuck.batch_ms = 6000;
    stuck.all = 2;
    add_beat("c-1", 0, &stuck);
    make();
    assert_string_equal(level_of_note("c-1", "works nothing on 2 partitions"), "warn");
    tear_down();
}

static void snapshot__dead_letters_are_counted_most_first(void **state)
{
    (void)state;
    two_healthy();
    t.dead[0] = (struct snapshot_pair){"argocd|timeout", "3"};
    t.dead[1] = (struct snapshot_pair){"gh-deploy|http-401", "14"};
    t.dead[2] = (struct snapshot_pair){"gh-deploy|http-500", "0"};
    t.dead[3] = (struct snapshot_pair){"|bad-json", "-1"};
    t.in.dead_count = 4;
    make();
    assert_int_equal(number("/totals/dead"), 17);
    assert_string_equal(text("/dead/0/target"), "gh-deploy");
    assert_string_equal(text("/dead/0/reason"), "http-401");
    assert_int_equal(json_object_array_length(json_at(t.frame, "/dead")), 2);
    assert_string_equal(level_of_note("", "17 dead letters → sluice-consumer dlq list"),
                        "info");
    tear_down();
}

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

/* --- many --- */

static void snapshot__five_hundred_partitions_each_once(void **state)
{
    (void)state;
    struct made m = usual;
    set_up();
    m.all = 500;
    for (int i = 0; i < 50; i++) {
        char id[16];
        snprintf(id, sizeof id, "c-%d", i);
        m.first = i * 10;
        m.end = m.first + 10;
        add_beat(id, 0, &m);
    }
    make();
    assert_int_equal(json_object_array_length(json_at(t.frame, "/partitions")), 500);
    assert_int_equal(number("/partitions/499/partition"), 499);
    assert_int_equal(number("/totals/unowned"), 0);
    assert_int_equal(number("/targets/0/ok_per_min"), 3000);
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
