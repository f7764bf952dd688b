#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/metrics.h"
#include "redis_server.h"

#include <pthread.h>

static void stop_client(struct redis *redis)
{
    redis_stop(redis, now_ms() + PATIENCE_MS);
}

/* ---- URLs ---- */

static void redis_url_check__refuses_what_cannot_work(void **state)
{
    static const char *const bad[] = {
        "",
        "http://x",
        "rediss://",
        "rediss:///run/r.sock",
        "redis://",
        "redis://h:0",
        "redis://h:65536",
        "redis://h:port",
        "redis://[::1",
        "redis://[::1]6379",
        "redis://h/zero",
        "unix://relative/path",
        "unix:///p?x=1",
        "unix:///p?db=x",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = ERR_INIT;
        assert_int_equal(redis_url_check(bad[i], &err), -EINVAL);
        assert_true(strlen(err.text) > 0);
    }
    char path[256] = "unix:///";
    memset(path + 8, 'x', 200);
    assert_int_equal(redis_url_check(path, NULL), -EINVAL);
}

static void redis_url_check__takes_hosts_sockets_and_users(void **state)
{
    static const char *const good[] = {
        "redis://h",
        "rediss://u:p@h:6380/3",
        "redis://h:6380/3",
        "redis://:p%40ss@h:1/0",
        "redis://u:p/q@h/1",
        "redis://[::1]:6379",
        "redis://[fe80::1]/2",
        "unix:///run/r.sock",
        "unix:///r?db=4",
        "redis://user@h",
        "redis://:a:b@10.0.0.1",
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(redis_url_check(good[i], NULL), 0);
    }
}

static void redis_url_check__never_tells_the_password(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(redis_url_check("rediss://:hunter2@h:port", &err), -EINVAL);
    assert_null(strstr(err.text, "hunter2"));
}

/* ---- answers ---- */

static void redis_call__brings_each_kind_of_reply(void **state)
{
    struct redis_server server;
    (void)state;
    redis_server_start(&server, false, NULL);
    struct redis *redis = redis_client(server.url);
    struct answer a = ask(redis, "SET k value");
    assert_int_equal(a.rc, 0);
    assert_int_equal(a.kind, REDIS_STATUS);
    a = ask(redis, "GET k");
    assert_int_equal(a.kind, REDIS_STRING);
    assert_string_equal(a.text, "value");
    assert_int_equal(ask(redis, "GET none").kind, REDIS_NIL);
    assert_int_equal(ask(redis, "INCRBY n 41").integer, 41);
    a = ask(redis, "MGET k n none");
    assert_int_equal(a.kind, REDIS_ARRAY);
    assert_int_equal(a.count, 3);
    a = ask(redis, "INCR k");
    assert_int_equal(a.rc, 0);
    assert_int_equal(a.kind, REDIS_ERROR);
    assert_non_null(strstr(a.text, "not an integer"));
    assert_true(redis_is_connected(redis));
    stop_client(redis);
    redis_server_stop(&server);
}

static void redis_call__carries_bytes_of_any_value(void **state)
{
    struct redis_server server;
    struct answer set = {0};
    struct answer len = {0};
    char bytes[70000];
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (char)i;
    }
    redis_server_start(&server, false, NULL);
    struct redis *redis = redis_client(server.url);
    int64_t until = now_ms() + PATIENCE_MS;
    struct redis_command commands[2] = {
        {.args = {"SET", "k\r\n", bytes},
         .lens = {3, 3, sizeof bytes},
         .arg_count = 3,
         .deadline_ms = until,
         .done = answer_done,
         .arg = &set},
        {.args = {"STRLEN", "k\r\n"},
         .lens = {6, 3},
         .arg_count = 2,
         .deadline_ms = until,
         .done = answer_done,
         .arg = &len},
    };
    assert_int_equal(redis_call(redis, commands, 2), 0);
    assert_int_equal(len.integer, sizeof bytes);
    stop_client(redis);
    redis_server_stop(&server);
}

static void redis_start__authenticates_and_selects_over_tcp(void **state)
{
    struct redis_server server;
    char url[160];
    char policy[64];
    (void)state;
    redis_server_start(&server, true, "s3cret/@");
    snprintf(url, sizeof url, "redis://:s3cret%%2F%%40@127.0.0.1:%d/5", server.port);
    struct redis *redis = redis_client(url);
    assert_int_equal(ask(redis, "SET k 1").rc, 0);
    redis_eviction_policy(redis, policy, sizeof policy);
    assert_string_equal(policy, "noeviction");
    assert_non_null(strstr(ask(redis, "CLIENT INFO").text, " db=5 "));
    stop_client(redis);
    redis_server_stop(&server);
}

/* ---- scripts ---- */

static struct redis_command script_call(struct redis_script *script, const char *key,
                                        const char *value, struct answer *answer)
{
    return (struct redis_command){
        .args = {key, value},
        .lens = {strlen(key), strlen(value)},
        .arg_count = 2,
        .script = script,
        .key_count = 1,
        .deadline_ms = now_ms() + PATIENCE_MS,
        .idempotent = true,
        .done = answer_done,
        .arg = answer,
    };
}

static void redis_script__is_loaded_again_when_forgotten(void **state)
{
    struct redis_server server;
    struct answer answers[3] = {0};
    (void)state;
    redis_server_start(&server, false, NULL);
    struct redis *redis = redis_client(server.url);
    assert_int_equal(ask(redis, "PING").rc, 0);
    struct redis_script *push =
        redis_script_new(redis, "redis.call('RPUSH', KEYS[1], ARGV[1]) return ARGV[1]");
    struct redis_script *size =
        redis_script_new(redis, "return redis.call('LLEN', KEYS[1])");
    for (int turn = 1; turn <= 3; turn++) {
        struct redis_command commands[3] = {script_call(push, "l", "a", &answers[0]),
                                            script_call(push, "l", "b", &answers[1]),
                                            script_call(size, "l", "", &answers[2])};
        assert_int_equal(redis_call(redis, commands, 3), 0);
        assert_string_equal(answers[0].text, "a");
        assert_string_equal(answers[1].text, "b");
        assert_int_equal(answers[2].integer, 2 * turn);
        assert_int_equal(ask(redis, "SCRIPT FLUSH").rc, 0);
    }
    assert_string_equal(ask(redis, "LINDEX l 4").text, "a");
    redis_server_kill(&server);
    redis_server_launch(&server);
    struct redis_command command = script_call(size, "l", "", &answers[2]);
    assert_int_equal(redis_call(redis, &command, 1), 0);
    assert_int_equal(answers[2].integer, 0);
    stop_client(redis);
    redis_server_stop(&server);
}

static void redis_script__that_does_not_compile_is_an_error(void **state)
{
    struct redis_server server;
    struct answer answer = {0};
    (void)state;
    redis_server_start(&server, false, NULL);
    struct redis *redis = redis_client(server.url);
    assert_int_equal(ask(redis, "PING").rc, 0);
    struct redis_script *broken = redis_script_new(redis, "this is no Lua");
    struct redis_command command = script_call(broken, "k", "v", &answer);
    assert_int_equal(redis_call(redis, &command, 1), 0);
    assert_int_equal(answer.kind, REDIS_ERROR);
    assert_int_equal(ask(redis, "PING").rc, 0);
    stop_client(redis);
    redis_server_stop(&server);
}

/* ---- many callers ---- */

enum { CALLERS = 8, CALLS = 300 };

struct caller {
    struct redis *redis;
    int id;
    int wrong;
};

static void *call_often(void *arg)
{
    struct caller *caller = arg;
    for (int i = 0; i < CALLS; i++) {
        struct answer incr = {0};
        struct answer echo = {0};
        char first[] = "INCR n";
        char second[64];
        char expected[32];
        snprintf(expected, sizeof expected, "%d-%d", caller->id, i);
        snprintf(second, sizeof second, "ECHO %s", expected);
        int64_t until = now_ms() + PATIENCE_MS;
        struct redis_command commands[2] = {command_of(first, &incr, until),
                                            command_of(second, &echo, until)};
        int rc = redis_call(caller->redis, commands, 2);
        caller->wrong += rc != 0 || incr.calls != 1 || strcmp(echo.text, expected) != 0;
    }
    return NULL;
}

static void redis_call__from_many_threads(void **state)
{
    struct redis_server server;
    pthread_t threads[CALLERS];
    struct caller callers[CALLERS];
    char total[16];
    (void)state;
    redis_server_start(&server, false, NULL);
    struct redis *redis = redis_client(server.url);
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.redis = redis, .id = i};
        MUST(pthread_create(&threads[i], NULL, call_often, &callers[i]));
    }
    for (int i = 0; i < CALLERS; i++) {
        MUST(pthread_join(threads[i], NULL));
        assert_int_equal(callers[i].wrong, 0);
    }
    snprintf(total, sizeof total, "%d", CALLERS * CALLS);
    assert_string_equal(ask(redis, "GET n").text, total);
    stop_client(redis);
    redis_server_stop(&server);
}

static void redis_call__measures_what_has_a_name(void **state)
{
    (void)state;
    struct redis_server server;
    redis_server_start(&server, false, NULL);
    struct metrics *metrics = metrics_new();
    struct redis_options options = {.url = server.url,
                                    .connect_timeout_ms = 2000,
                                    .metrics = metrics};
    struct redis *redis = redis_start(&options, NULL);
    assert_non_null(redis);
    struct redis_command ping = {.args = {"PING"},
                                 .lens = {4},
                                 .arg_count = 1,
                                 .deadline_ms = now_ms() + PATIENCE_MS,
                                 .idempotent = true,
                                 .name = "ping"};
    assert_int_equal(redis_call(redis, &ping, 1), 0);
    ping.name = NULL;
    assert_int_equal(redis_call(redis, &ping, 1), 0);
    struct str out;
    str_init(&out);
    metrics_write(metrics, &out);
    assert_non_null(
        strstr(out.data,
               "sluice_redis_command_duration_seconds_count{command=\"ping\"} 1\n"));
    str_release(&out);
    stop_client(redis);
    metrics_free(metrics);
    redis_server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
