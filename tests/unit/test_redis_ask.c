#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "redis_server.h"
#include "wire/redis_ask.h"

static struct redis_server server;

static struct redis *connect_to(const char *password)
{
    struct redis_options options = {.url = server.url,
                                    .password = password,
                                    .connect_timeout_ms = PATIENCE_MS};
    struct redis *redis = redis_start(&options, NULL);
    assert_non_null(redis);
    return redis;
}

static void redis_ask__keeps_each_answer(void **state)
{
    (void)state;
    redis_server_start(&server, false, NULL);
    struct redis *redis = connect_to(NULL);
    int64_t until = now_ms() + PATIENCE_MS;
    struct redis_value values[4];
    struct redis_command commands[] = {
        redis_words(until, true, "HSET", "h", "a", "1", "b", "two words", NULL),
        redis_words(until, true, "HGETALL", "h", NULL),
        redis_words(until, true, "GET", "nothing", NULL),
        redis_words(until, true, "LRANGE", "nothing", "0", "-1", NULL),
    };
    assert_int_equal(redis_ask(redis, commands, 4, values, NULL), 0);
    assert_int_equal(values[0].integer, 2);
    assert_string_equal(redis_value_field(&values[1], "b")->text, "two words");
    assert_null(redis_value_field(&values[1], "c"));
    assert_int_equal(values[2].kind, REDIS_NIL);
    assert_int_equal(values[3].kind, REDIS_ARRAY);
    assert_int_equal(values[3].count, 0);
    redis_values_release(values, 4);
    redis_stop(redis, now_ms() + PATIENCE_MS);
    redis_server_stop(&server);
}

static void redis_ask__says_what_redis_says(void **state)
{
    (void)state;
    redis_server_start(&server, false, NULL);
    struct redis *redis = connect_to(NULL);
    struct err err = ERR_INIT;
    struct redis_value values[2];
    int64_t until = now_ms() + PATIENCE_MS;
    struct redis_command commands[] = {
        redis_words(until, true, "SET", "text", "x", NULL),
        redis_words(until, true, "HGETALL", "text", NULL),
    };
    assert_int_equal(redis_ask(redis, commands, 2, values, &err), -EPROTO);
    assert_non_null(strstr(err.text, "WRONGTYPE"));
    redis_values_release(values, 2);
    redis_stop(redis, now_ms() + PATIENCE_MS);
    redis_server_stop(&server);
}

static void redis_ask__tells_a_refusal_from_silence(void **state)
{
    (void)state;
    redis_server_start(&server, false, "right");
    struct redis *redis = connect_to("wrong");
    struct err err = ERR_INIT;
    struct redis_value value;
    int rc = -EIO;
    while (!redis_is_refused(redis)) {
        struct redis_command command = redis_words(now_ms() + 50, true, "GET", "x", NULL);
        rc = redis_ask(redis, &command, 1, &value, &err);
        redis_values_release(&value, 1);
    }
    struct redis_command command = redis_words(now_ms() + 50, true, "GET", "x", NULL);
    rc = redis_ask(redis, &command, 1, &value, &err);
    assert_int_equal(rc, -EACCES);
    assert_non_null(strstr(err.text, "password_file"));
    redis_server_kill(&server);
    redis_stop(redis, now_ms());
    redis_server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
