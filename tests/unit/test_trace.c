#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ops/trace.h"

static const char chapters[] =
    "[{\"ended_ms\":1500,\"consumer\":\"c-1\",\"topic\":\"ci\",\"partition\":4,"
    "\"offset\":7,"
    "\"published_ms\":1050,\"opened_ms\":1000,\"began_ms\":1200,\"events\":5,"
    "\"closed_by\":\"size\",\"repo\":\"acme/api\",\"commit\":\"3f9c\",\"units\":["
    "{\"target\":\"a\",\"verdict\":\"triggered\",\"round\":0,\"attempts\":1,"
    "\"tries\":[{\"at_ms\":1210,\"took_ms\":90,\"status\":202}]},"
    "{\"target\":\"b\",\"verdict\":\"deferred\",\"round\":0,\"reason\":\"http_503\","
    "\"attempts\":2,\"tries\":[{\"at_ms\":1205,\"took_ms\":10,\"status\":503,"
    "\"reason\":\"http_503\"},{\"at_ms\":1400,\"took_ms\":20,\"status\":0,"
    "\"reason\":\"timeout\"}]}]},"
    "{\"ended_ms\":9000,\"consumer\":\"c-2\",\"topic\":\"ci.g.retry.5s\",\"partition\":0,"
    "\"offset\":0,\"published_ms\":1600,\"opened_ms\":6600,\"began_ms\":6601,\"events\":"
    "1,"
    "\"closed_by\":\"age\",\"units\":[{\"target\":\"b\",\"verdict\":\"triggered\","
    "\"round\":1,\"attempts\":3,\"tries\":[{\"at_ms\":6610,\"took_ms\":5,"
    "\"status\":200}]}]}]";

static struct json_object *story_of(const char *text)
{
    struct json_object *doc;
    assert_int_equal(json_parse(text, strlen(text), &doc, NULL), 0);
    struct json_object *story = trace_story("e-1", "history", doc);
    json_free(doc);
    return story;
}

static void trace__tells_steps_in_the_order_of_time(void **state)
{
    (void)state;
    static const char *const expected[] = {"published", "taken", "batched",   "try",
                                           "try",       "try",   "triggered", "deferred",
                                           "waiting",   "taken", "batched",   "try",
                                           "triggered"};
    struct json_object *story = story_of(chapters);
    struct json_object *steps = json_at(story, "/steps");
    size_t n = sizeof expected / sizeof expected[0];
    assert_int_equal(json_object_array_length(steps), n);
    int64_t before_ms = 0;
    for (size_t i = 0; i < n; i++) {
        struct json_object *step = json_object_array_get_idx(steps, i);
        int64_t at_ms = json_object_get_int64(json_at(step, "/at_ms"));
        assert_string_equal(json_string_at(step, "/what", NULL), expected[i]);
        assert_true(at_ms >= before_ms);
        before_ms = at_ms;
    }
    assert_string_equal(json_string_at(story, "/steps/0/text", NULL), "ci[4]@7");
    assert_string_equal(json_string_at(story, "/repo", NULL), "acme/api");
    json_free(story);
}

static void trace__counts_tries_over_the_rounds(void **state)
{
    (void)state;
    struct json_object *story = story_of(chapters);
    struct json_object *last = json_at(story, "/steps/11");
    assert_int_equal(json_object_get_int(json_at(last, "/try")), 3);
    assert_int_equal(json_object_get_int(json_at(last, "/status")), 200);
    assert_string_equal(json_string_at(last, "/consumer", NULL), "c-2");
    json_free(story);
}

static void trace__says_how_it_stands_with_each_target(void **state)
{
    (void)state;
    struct json_object *story = story_of(chapters);
    assert_int_equal(json_object_array_length(json_at(story, "/units")), 2);
    assert_string_equal(json_string_at(story, "/units/1/target", NULL), "b");
    assert_string_equal(json_string_at(story, "/units/1/verdict", NULL), "triggered");
    assert_null(json_at(story, "/units/1/reason"));
    json_free(story);
}

static void trace__says_what_is_held(void **state)
{
    (void)state;
    struct json_object *story =
        story_of("[{\"units\":[{\"target\":\"a\",\"verdict\":\"deferred\",\"held\":true,"
                 "\"reason\":\"hibernating\",\"attempts\":0}]}]");
    struct json_object *steps = json_at(story, "/steps");
    size_t last = json_object_array_length(steps) - 1;
    struct json_object *step = json_object_array_get_idx(steps, last);
    assert_string_equal(json_string_at(step, "/what", NULL), "held");
    assert_string_equal(json_string_at(step, "/text", NULL), "hibernating");
    assert_string_equal(json_string_at(story, "/units/0/verdict", NULL), "deferred");
    assert_true(json_object_get_boolean(json_at(story, "/units/0/held")));
    json_free(story);
}

static void trace__what_is_called_at_last_is_held_no_more(void **state)
{
    (void)state;
    struct json_object *story =
        story_of("[{\"units\":[{\"target\":\"a\",\"verdict\":\"deferred\","
                 "\"held\":true,\"reason\":\"hibernating\",\"attempts\":0}]},"
                 "{\"units\":[{\"target\":\"a\",\"verdict\":\"triggered\","
                 "\"attempts\":1}]}]");
    assert_string_equal(json_string_at(story, "/units/0/verdict", NULL), "triggered");
    assert_null(json_at(story, "/units/0/held"));
    json_free(story);
}

static void trace__a_duplicate_does_not_undo_a_trigger(void **state)
{
    (void)state;
    struct json_object *story = story_of(
        "[{\"units\":[{\"target\":\"a\",\"verdict\":\"triggered\",\"attempts\":1}]},"
        "{\"units\":[{\"target\":\"a\",\"verdict\":\"duplicate\",\"attempts\":0}]}]");
    assert_string_equal(json_string_at(story, "/units/0/verdict", NULL), "triggered");
    json_free(story);
}

static void trace__tells_a_try_once_though_two_letters_have_it(void **state)
{
    (void)state;
    struct json_object *story =
        story_of("[{\"seen_ms\":100,\"units\":[{\"target\":\"a\",\"verdict\":\"dead\","
                 "\"attempts\":1,"
                 "\"tries\":[{\"at_ms\":110,\"took_ms\":1,\"status\":401}]}]},"
                 "{\"seen_ms\":200,\"units\":[{\"target\":\"a\",\"verdict\":\"dead\","
                 "\"attempts\":2,"
                 "\"tries\":[{\"at_ms\":110,\"took_ms\":1,\"status\":401},"
                 "{\"at_ms\":210,\"took_ms\":1,\"status\":401}]}]}]");
    struct json_object *steps = json_at(story, "/steps");
    int64_t tries = 0;
    for (size_t i = 0; i < json_object_array_length(steps); i++) {
        struct json_object *step = json_object_array_get_idx(steps, i);
        if (strcmp(json_string_at(step, "/what", NULL), "try") == 0) {
            tries++;
            assert_int_equal(json_object_get_int64(json_at(step, "/try")), tries);
        }
    }
    assert_int_equal(tries, 2);
    json_free(story);
}

static void trace__survives_chapters_it_does_not_understand(void **state)
{
    (void)state;
    struct json_object *story =
        story_of("[{},5,null,\"x\",{\"units\":5},{\"units\":[{\"tries\":[1,{}]},7]}]");
    assert_string_equal(json_string_at(story, "/event", NULL), "e-1");
    json_free(story);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
