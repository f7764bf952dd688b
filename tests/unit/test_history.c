/* What of settled batches is written down, by lanes on a stage. */
#include "lane_stage.h"

#include "ops/apps.h"
#include "ops/history.h"
#include "wire/json.h"
#include "wire/redis_ask.h"

static struct history *history;

static void begin_on(const char *extra, const char *topic, bool source)
{
    begin(extra, topic, source);
    history = history_new(t.config, t.fleet.redis, t.metrics);
    assert_non_null(history);
    t.fleet.settled = history_settled;
    t.fleet.settled_arg = history;
}

static void begin_with_history(const char *extra)
{
    begin_on(extra, "ci", true);
}

/* history_free comes after redis_stop, which is in end. */
static void end_with_history(void)
{
    struct history *h = history;
    end();
    history_free(h);
}

static struct redis_value ask_words(const char *a, const char *b, const char *c,
                                    const char *d)
{
    struct redis_value value;
    struct err err = ERR_INIT;
    struct redis_command command =
        redis_words(now_ms() + PATIENCE_MS, true, a, b, c, d, NULL);
    assert_int_equal(redis_ask(t.fleet.redis, &command, 1, &value, &err), 0);
    return value;
}

/* The same until there are so many: a script that Redis did not know yet goes out once
 * more, behind what was sent meanwhile. */
static struct redis_value ask_until_count(size_t count, const char *a, const char *b,
                                          const char *c, const char *d)
{
    int64_t until_ms = now_ms() + PATIENCE_MS;
    struct redis_value value = ask_words(a, b, c, d);
    while (value.count != count && now_ms() < until_ms) {
        redis_values_release(&value, 1);
        value = ask_words(a, b, c, d);
    }
    return value;
}

static size_t count_keys(const char *pattern)
{
    struct redis_value keys = ask_words("KEYS", pattern, NULL, NULL);
    size_t n = keys.count;
    redis_values_release(&keys, 1);
    return n;
}

static struct json_object *parse(const struct redis_value *value)
{
    struct json_object *doc;
    assert_int_equal(json_parse(value->text, value->len, &doc, NULL), 0);
    return doc;
}

static void history__tells_what_became_of_each_try(void **state)
{
    (void)state;
    begin_with_history("    retry: {hold: 5s, backoff: 1ms..2ms}\n");
    answer(0, "/a/x", 2, 503, 202);
    fake_publish(t.partition, "k", EVENT("the-id", "x", "c1"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    struct redis_value chapters =
        ask_until_count(1, "LRANGE", "sluice:ops:{g}:events:the-id", "0", "-1");
    assert_int_equal(chapters.count, 1);
    struct json_object *doc = parse(&chapters.items[0]);
    assert_string_equal(json_string_at(doc, "/topic", NULL), "ci");
    assert_string_equal(json_string_at(doc, "/repo", NULL), "r");
    assert_string_equal(json_string_at(doc, "/units/0/target", NULL), "a");
    assert_string_equal(json_string_at(doc, "/units/0/verdict", NULL), "triggered");
    assert_int_equal(json_object_get_int(json_at(doc, "/units/0/tries/0/status")), 503);
    assert_int_equal(json_object_get_int(json_at(doc, "/units/0/tries/1/status")), 202);
    json_free(doc);
    redis_values_release(&chapters, 1);
    end_with_history();
}

/* Whole, for one that is cut leads nowhere. */
static void history__keeps_how_to_follow_a_run(void **state)
{
    static char path[320] = "/";
    (void)state;
    memset(path + 1, 'p', 300);
    snprintf(path + 301, sizeof path - 301, "/sync");
    target_path = path;
    begin_with_history("    kind: argocd\n");
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    struct redis_value chapters =
        ask_until_count(1, "LRANGE", "sluice:ops:{g}:events:1", "0", "-1");
    struct json_object *doc = parse(&chapters.items[0]);
    assert_int_equal(strlen(json_string_at(doc, "/units/0/follow", NULL)), 301);
    json_free(doc);
    redis_values_release(&chapters, 1);
    end_with_history();
}

static void history__shows_each_delivery_once(void **state)
{
    (void)state;
    begin_with_history("");
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    fake_publish(t.partition, "k", EVENT("2", "y", "c1"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 3));
    stop_lane(LANE_NO_STARTS);
    struct redis_value recent = ask_words("XRANGE", "sluice:ops:{g}:recent", "-", "+");
    assert_true(recent.count >= 2);
    struct json_object *doc = parse(&recent.items[recent.count - 1].items[1].items[1]);
    assert_string_equal(json_string_at(doc, "/event", NULL), "2");
    assert_string_equal(json_string_at(doc, "/verdict", NULL), "triggered");
    assert_int_equal(json_object_get_int(json_at(doc, "/status")), 202);
    json_free(doc);
    redis_values_release(&recent, 1);
    end_with_history();
}

/* A record that was parked as held in this round. */
static void publish_held(const char *round)
{
    const char *const headers[] = {PARK_TARGET, "a",        PARK_REASON,
                                   "paused",    PARK_CLASS, PARK_CLASS_HELD,
                                   PARK_ROUND,  round,      NULL};
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), headers);
}

static void history__tells_of_a_unit_that_still_waits_in_one_place(void **state)
{
    static const char *const paused[] = {"a"};
    static const char key[] = "sluice:ops:{g}:events:1";
    (void)state;
    begin_on("", "ci.g.retry.1ms", false);
    plans_pause(t.fleet.plans, paused, 1);
    struct redis_value first = ask_words("RPUSH", key, "{\"ended_ms\":1}", NULL);
    redis_values_release(&first, 1);
    publish_held("1");
    publish_held("2");
    go();
    assert_true(fake_await_done(t.partition, 2));
    publish_held("3");
    assert_true(fake_await_done(t.partition, 3));
    stop_lane(LANE_NO_STARTS);
    int64_t until_ms = now_ms() + PATIENCE_MS;
    struct redis_value last = ask_words("LINDEX", key, "-1", NULL);
    while (!strstr(last.text, "\"round\":3") && now_ms() < until_ms) {
        redis_values_release(&last, 1);
        last = ask_words("LINDEX", key, "-1", NULL);
    }
    struct json_object *doc = parse(&last);
    redis_values_release(&last, 1);
    assert_int_equal(json_object_get_int(json_at(doc, "/units/0/round")), 3);
    struct redis_value chapters = ask_words("LRANGE", key, "0", "-1");
    assert_int_equal(chapters.count, 2);
    assert_string_equal(chapters.items[0].text, "{\"ended_ms\":1}");
    assert_true(json_object_get_boolean(json_at(doc, "/units/0/held")));
    json_free(doc);
    redis_values_release(&chapters, 1);
    assert_int_equal(count_keys("sluice:ops:{g}:recent"), 0); /* that was shown before */
    end_with_history();
}

static void history__shows_what_is_held_as_such(void **state)
{
    static const char *const paused[] = {"a"};
    (void)state;
    begin_with_history("");
    assert_int_equal(count_keys("*"),
                     0); /* Redis answers: what is paused asks it nothing */
    plans_pause(t.fleet.plans, paused, 1);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 1));
    stop_lane(LANE_NO_STARTS);
    struct redis_value recent = ask_words("XRANGE", "sluice:ops:{g}:recent", "-", "+");
    assert_int_equal(recent.count, 1);
    struct json_object *doc = parse(&recent.items[0].items[1].items[1]);
    assert_string_equal(json_string_at(doc, "/verdict", NULL), "deferred");
    assert_true(json_object_get_boolean(json_at(doc, "/held")));
    json_free(doc);
    redis_values_release(&recent, 1);
    end_with_history();
}

static void history__what_is_given_back_is_not_held(void **state)
{
    static const char *const paused[] = {"a"};
    (void)state;
    begin_with_history("");
    assert_int_equal(count_keys("*"), 0);
    plans_pause(t.fleet.plans, paused, 1);
    fake_broker_fail(-EIO, 1000000);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    go();
    assert_true(fake_await_refused(1));
    assert_int_equal(stop_lane(LANE_NO_STARTS), 1);
    struct redis_value chapters =
        ask_until_count(1, "LRANGE", "sluice:ops:{g}:events:1", "0", "-1");
    struct json_object *doc = parse(&chapters.items[0]);
    assert_string_equal(json_string_at(doc, "/units/0/verdict", NULL), "returned");
    assert_null(json_at(doc, "/units/0/held"));
    json_free(doc);
    redis_values_release(&chapters, 1);
    end_with_history();
}

static void history__counts_the_dead_by_target_and_reason(void **state)
{
    (void)state;
    begin_with_history("");
    answer(0, "/a/x", 1, 404);
    fake_publish(t.partition, "k", EVENT("1", "x", "c1"), NULL);
    fake_publish(t.partition, "l", EVENT("2", "x", "c1"), NULL);
    fake_publish(t.partition, "m", "{", NULL);
    go();
    assert_true(fake_await_done(t.partition, 3));
    stop_lane(LANE_NO_STARTS);
    struct redis_value count =
        ask_words("HGET", "sluice:ops:{g}:dead", "a|http_404", NULL);
    assert_string_equal(count.text, "2");
    redis_values_release(&count, 1);
    count = ask_words("HGET", "sluice:ops:{g}:dead", "none|bad-json", NULL);
    assert_string_equal(count.text, "1");
    redis_values_release(&count, 1);
    end_with_history();
}

/* n events of their own; their texts live until the next call. */
static void publish_many(int n)
{
    static char events[FAKE_RECORDS_MAX][80];
    assert_true(n <= FAKE_RECORDS_MAX);
    for (int i = 0; i < n; i++) {
        snprintf(events[i], sizeof events[i],
                 "{\"id\":\"e-%03d\",\"app\":\"x\",\"repo\":\"r\",\"commit\":\"c\"}", i);
        fake_publish(t.partition, NULL, events[i], NULL);
    }
}

static void history__forgets_the_oldest_events_first(void **state)
{
    (void)state;
    begin_with_history("history: {events: 3}\n");
    publish_many(12);
    go();
    assert_true(fake_await_done(t.partition, 12));
    stop_lane(LANE_NO_STARTS);
    struct redis_value ids =
        ask_until_count(3, "ZRANGE", "sluice:ops:{g}:events", "0", "-1");
    assert_int_equal(ids.count, 3);
    assert_int_equal(count_keys("sluice:ops:{g}:events:*"), 3);
    redis_values_release(&ids, 1);
    end_with_history();
}

/* The ids that apps_last gives, as "newest,older". */
static char *last_of(const char *app)
{
    struct ops_place place = {.config = t.config, .redis = t.fleet.redis};
    struct json_object *ids;
    struct str text;
    str_init(&text);
    if (apps_last(&place, app, now_ms() + PATIENCE_MS, &ids, NULL) == 0) {
        for (size_t i = 0; i < json_object_array_length(ids); i++) {
            str_addf(&text, "%s%s", i ? "," : "",
                     json_object_get_string(json_object_array_get_idx(ids, i)));
        }
    }
    json_free(ids);
    return str_take(&text);
}

static void assert_last(const char *app, const char *ids)
{
    int64_t until_ms = now_ms() + PATIENCE_MS;
    char *text = last_of(app);
    while (strcmp(text, ids) != 0 && now_ms() < until_ms) {
        free(text);
        text = last_of(app);
    }
    assert_string_equal(text, ids);
    free(text);
}

static void history__knows_the_last_events_of_an_application(void **state)
{
    (void)state;
    begin_with_history("");
    struct ops_place place = {.config = t.config, .redis = t.fleet.redis};
    struct apps apps;
    struct err err = ERR_INIT;
    struct json_object *ids;
    fake_publish(t.partition, "k", EVENT("1", "team/x", "c1"), NULL);
    fake_publish(t.partition, "k", EVENT("2", "y", "c1"), NULL);
    go();
    assert_true(fake_await_done(t.partition, 2));
    fake_publish(t.partition, "k", EVENT("3", "team/x", "c1"), NULL);
    assert_true(fake_await_done(t.partition, 3));
    fake_publish(t.partition, "k", EVENT("1", "team/x", "c1"), NULL); /* once more */
    assert_true(fake_await_done(t.partition, 4));
    stop_lane(LANE_NO_STARTS);
    struct redis_value chapters =
        ask_until_count(2, "LRANGE", "sluice:ops:{g}:events:1", "0", "-1");
    redis_values_release(&chapters, 1);
    assert_last("team/x", "3,1");
    assert_last("y", "2");
    assert_int_equal(apps_list(&place, now_ms() + PATIENCE_MS, &apps, NULL), 0);
    assert_int_equal(apps.count, 2);
    assert_string_equal(apps.items[0].name, "team/x");
    assert_string_equal(apps.items[1].name, "y");
    assert_true(apps.items[0].last_ms >= now_wall_ms() - PATIENCE_MS);
    apps_release(&apps);
    assert_int_equal(apps_last(&place, "z", now_ms() + PATIENCE_MS, &ids, &err), -ENOENT);
    assert_null(ids);
    assert_non_null(strstr(err.text, "nothing is known of application z"));
    end_with_history();
}

/* As the script is called by hand, for what would take many events. */
static void add_chapter(struct redis_script *script, const char *apps_max,
                        const char *of_app, const char *id, const char *app)
{
    struct err err = ERR_INIT;
    struct redis_value value;
    struct redis_command command =
        redis_words(now_ms() + PATIENCE_MS, true, "sluice:ops:{g}:events",
                    "sluice:ops:{g}:apps", "60000", "100", "20", apps_max, of_app, id,
                    "{}", app, NULL);
    command.script = script;
    command.key_count = 2;
    assert_int_equal(redis_ask(t.fleet.redis, &command, 1, &value, &err), 0);
    redis_values_release(&value, 1);
}

static void history__bounds_what_it_knows_of_applications(void **state)
{
    (void)state;
    static const char text[] =
#include "ops/history_add.lua.inc"
        ;
    begin_with_history("");
    struct redis_script *script = redis_script_new(t.fleet.redis, text);
    add_chapter(script, "2", "3", "e1", "1000:a");
    add_chapter(script, "2", "3", "e2", "2000:a");
    add_chapter(script, "2", "3", "e3", "1500:a"); /* seen between the two */
    add_chapter(script, "2", "3", "e4", "3000:a");
    assert_last("a", "e4,e2,e3");
    add_chapter(script, "2", "3", "e4", "9000:a"); /* later, and no newer */
    add_chapter(script, "2", "3", "e5", "4000:a");
    assert_last("a", "e5,e4,e2");
    add_chapter(script, "2", "3", "e6", "1:b");
    add_chapter(script, "2", "3", "e7", "1:c:d");
    add_chapter(script, "2", "3", "e8", ""); /* of no application */
    assert_last("a", "");
    assert_last("b", "e6");
    assert_last("c:d", "e7");
    assert_int_equal(count_keys("sluice:ops:{g}:apps:*"), 2);
    end_with_history();
}

static void history__shows_so_many_deliveries_a_second_and_how_many_more(void **state)
{
    (void)state;
    enum { EVENTS = 200 };
    int64_t shown = 0;
    begin_with_history("    match: {branch: none}\n");
    int64_t began_s = now_ms() / 1000;
    publish_many(EVENTS);
    while (!redis_is_connected(t.fleet.redis)) {
        sched_yield();
    }
    go();
    assert_true(fake_await_done(t.partition, EVENTS));
    stop_lane(LANE_NO_STARTS);
    int64_t seconds = now_ms() / 1000 - began_s + 1;
    struct redis_value recent = ask_words("XRANGE", "sluice:ops:{g}:recent", "-", "+");
    for (size_t i = 0; i < recent.count; i++) {
        struct json_object *doc = parse(&recent.items[i].items[1].items[1]);
        assert_string_equal(json_string_at(doc, "/reason", NULL), "no-target");
        shown += 1 + json_object_get_int(json_at(doc, "/more"));
        json_free(doc);
    }
    assert_true(recent.count > 0);
    assert_true((int64_t)recent.count <= seconds * HISTORY_SAMPLE_PER_S);
    assert_true(shown <= EVENTS);
    redis_values_release(&recent, 1);
    end_with_history();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
