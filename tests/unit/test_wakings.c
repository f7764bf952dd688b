/* ops/wakings over a real Redis. */
#include "config_fixture.h"

#include "base/now.h"
#include "ops/wakings.h"
#include "redis_server.h"
#include "wire/json.h"

static struct redis_server server;
static struct config *config;
static struct ops_place place;

static int set_up(void **state)
{
    char text[512];
    struct err err = ERR_INIT;
    if (make_folder(state) != 0) {
        return -1;
    }
    redis_server_start(&server, false, NULL);
    snprintf(text, sizeof text, TARGET "redis: {url: \"%s\"}\n", server.url);
    config = load_good(text);
    return ops_place_open(&place, config, &err);
}

static int tear_down(void **state)
{
    ops_place_close(&place);
    done(config);
    redis_server_stop(&server);
    return remove_folder(state);
}

static struct json_object *read_all(void)
{
    struct err err = ERR_INIT;
    struct json_object *list = NULL;
    if (wakings_read(&place, now_ms() + PATIENCE_MS, &list, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return list;
}

static void note(int64_t at_ms, size_t padding)
{
    struct json_object *doc = json_object_new_object();
    char *text = calloc(1, padding + 1);
    assert_non_null(text);
    memset(text, 'x', padding);
    json_put_number(doc, "at_ms", at_ms);
    json_put_text(doc, "text", text);
    wakings_note(&place, doc);
    json_free(doc);
    free(text);
}

static void wakings__are_kept_newest_first_and_not_for_ever(void **state)
{
    (void)state;
    struct json_object *list = read_all();
    assert_int_equal(json_object_array_length(list), 0);
    json_free(list);
    for (int i = 0; i < WAKINGS_MAX + 5; i++) {
        note(i, 1);
    }
    note(1000, WAKINGS_BYTES_MAX); /* too long to be kept */
    list = read_all();
    assert_int_equal(json_object_array_length(list), WAKINGS_MAX);
    assert_int_equal(json_number_or(list, "/0/at_ms", -1), WAKINGS_MAX + 4);
    assert_int_equal(json_number_or(list, "/99/at_ms", -1), 5);
    json_free(list);
}

static const struct CMUnitTest tests[] = {
#include UNIT_TESTS
};

int main(void)
{
    log_setup(LOG_ERROR, LOG_TEXT, NULL);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
