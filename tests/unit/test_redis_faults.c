#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "redis_server.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/un.h>

#include "base/mem.h"
#include "base/metrics.h"

static void stop_client(struct redis *redis)
{
    redis_stop(redis, now_ms() + PATIENCE_MS);
}

/* ---- when it is not there ---- */

static void redis_call__times_out_when_nobody_listens(void **state)
{
    char text[ERR_TEXT_MAX];
    (void)state;
    struct redis *redis = redis_client("unix:///nonexistent/redis.sock");
    struct answer a = ask_until(redis, "GET k", now_ms() + 100);
    assert_int_equal(a.rc, -ETIMEDOUT);
    assert_false(redis_is_connected(redis));
    assert_false(redis_is_refused(redis));
    redis_last_error(redis, text, sizeof text);
    assert_non_null(strstr(text, "cannot connect"));
    stop_client(redis);
}

static void redis_is_refused__after_a_wrong_password(void **state)
{
    struct redis_server server;
    char url[160];
    char text[ERR_TEXT_MAX];
    (void)state;
    redis_server_start(&server, true, "right");
    snprintf(url, sizeof url, "redis://:wrong@127.0.0.1:%d/0", server.port);
    struct redis *redis = redis_client(url);
    int64_t until = now_ms() + PATIENCE_MS;
    while (!redis_is_refused(redis) && now_ms() < until) {
        assert_int_equal(ask_until(redis, "GET k", now_ms() + 20).rc, -ETIMEDOUT);
    }
    assert_true(redis_is_refused(redis));
    redis_last_error(redis, text, sizeof text);
    assert_non_null(strstr(text, "WRONGPASS"));
    stop_client(redis);

    snprintf(url, sizeof url, "redis://127.0.0.1:%d/0", server.port);
    redis = redis_client(url);
    until = now_ms() + PATIENCE_MS;
    while (!redis_is_refused(redis) && now_ms() < until) {
        assert_int_equal(ask_until(redis, "GET k", now_ms() + 20).rc, -ETIMEDOUT);
    }
    assert_true(redis_is_refused(redis));
    redis_last_error(redis, text, sizeof text);
    assert_non_null(strstr(text, "NOAUTH"));
    stop_client(redis);
    redis_server_stop(&server);
}

static void redis_call__holds_its_deadline_on_a_frozen_server(void **state)
{
    struct redis_server server;
    (void)state;
    redis_server_start(&server, false, NULL);
    struct redis *redis = redis_client(server.url);
    assert_int_equal(ask(redis, "SET k old").rc, 0);
    redis_server_freeze(&server);
    int64_t before = now_ms();
    struct answer a = ask_until(redis, "ECHO late", before + 200);
    assert_int_equal(a.rc, -ETIMEDOUT);
    assert_true(now_ms() < before + 5000);
    redis_server_thaw(&server);
    /* the late reply is not taken for the next command's */
    assert_string_equal(ask(redis, "ECHO mine").text, "mine");
    assert_string_equal(ask(redis, "GET k").text, "old");
    stop_client(redis);
    redis_server_stop(&server);
}

static void note_end(void *arg, int rc, const struct redis_reply *reply)
{
    (void)rc;
    (void)reply;
    atomic_fetch_add((atomic_int *)arg, 1);
}

/* While a reply is awaited nobody wakes the thread; it must look by itself. */
static void redis_call__is_taken_while_another_waits_for_its_reply(void **state)
{
    struct redis_server server;
    atomic_int ends = 0;
    struct redis_command command = {.args = {"PING"},
                                    .lens = {4},
                                    .arg_count = 1,
                                    .deadline_ms = now_ms() + PATIENCE_MS,
                                    .idempotent = true,
                                    .done = note_end,
                                    .arg = &ends};
    (void)state;
    redis_server_start(&server, false, NULL);
    struct redis *redis = redis_client(server.url);
    assert_int_equal(ask(redis, "PING").rc, 0);
    redis_server_freeze(&server);
    redis_send(redis, &command, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask_until(redis, "ECHO now", now_ms() + 20).rc, -ETIMEDOUT);
    }
    /* else the thread slept until the first one's time was over, or a silence was */
    assert_int_equal(atomic_load(&ends), 0);
    assert_true(redis_is_connected(redis));
    redis_server_thaw(&server);
    assert_string_equal(ask(redis, "ECHO later").text, "later");
    assert_int_equal(atomic_load(&ends), 1);
    stop_client(redis);
    redis_server_stop(&server);
}

/* A client with a trial that writes its key, as a user of this password. */
static struct redis *client_of(const struct redis_server *server, const char *user)
{
    struct err err = ERR_INIT;
    struct redis_options options = {.url = server->url,
                                    .connect_timeout_ms = PATIENCE_MS,
                                    .username = user,
                                    .password = "p",
                                    .trial_text = "return redis.call('SET', KEYS[1], '')",
                                    .trial_key = "ours:trial"};
    struct redis *redis = redis_start(&options, &err);
    ASSERT(redis);
    return redis;
}

static void redis_start__tells_a_user_without_the_rights_for_scripts(void **state)
{
    static const char *const rights[] = {
        "ACL SETUSER a on >p ~ours:* +evalsha +script|load",       /* no SET */
        "ACL SETUSER b on >p ~ours:* +set +script|load",           /* no EVALSHA */
        "ACL SETUSER c on >p ~theirs:* +set +evalsha +script|load" /* not this key */
    };
    static const char *const names[] = {"a", "b", "c"};
    struct redis_server server;
    (void)state;
    redis_server_start(&server, false, NULL);
    struct redis *admin = redis_client(server.url);
    for (size_t i = 0; i < 3; i++) {
        char text[ERR_TEXT_MAX] = "";
        assert_int_equal(ask(admin, rights[i]).kind, REDIS_STATUS);
        struct redis *redis = client_of(&server, names[i]);
        int64_t until = now_ms() + PATIENCE_MS;
        while (!redis_is_refused(redis) && now_ms() < until) {
            assert_int_equal(ask_until(redis, "PING", now_ms() + 20).rc, -ETIMEDOUT);
        }
        redis_last_error(redis, text, sizeof text);
        assert_true(redis_is_refused(redis));
        assert_non_null(strstr(text, "redis-users.acl"));
        stop_client(redis);
    }
    /* and one with all of them; neither INFO nor CONFIG is among them */
    assert_int_equal(
        ask(admin, "ACL SETUSER d on >p ~ours:* +set +evalsha +script|load +ping").kind,
        REDIS_STATUS);
    struct redis *redis = client_of(&server, "d");
    assert_int_equal(ask(redis, "PING").rc, 0);
    assert_int_equal(ask(admin, "EXISTS ours:trial").integer, 1);
    stop_client(redis);
    stop_client(admin);
    redis_server_stop(&server);
}

static void redis_start__gives_up_a_handshake_nobody_answers(void **state)
{
    struct redis_server server;
    struct err err = ERR_INIT;
    char text[ERR_TEXT_MAX] = "";
    (void)state;
    redis_server_start(&server, false, NULL);
    struct redis *first = redis_client(server.url);
    assert_int_equal(ask(first, "PING").rc, 0);
    stop_client(first);
    redis_server_freeze(&server);
    struct redis_options options = {.url = server.url, .connect_timeout_ms = 50};
    struct redis *redis = redis_start(&options, &err);
    int64_t until = now_ms() + PATIENCE_MS;
    while (!strstr(text, "no answer") && now_ms() < until) {
        assert_int_equal(ask_until(redis, "PING", now_ms() + 20).rc, -ETIMEDOUT);
        redis_last_error(redis, text, sizeof text);
    }
    assert_non_null(strstr(text, "no answer to the handshake"));
    assert_false(redis_is_refused(redis));
    redis_server_thaw(&server);
    assert_int_equal(ask(redis, "PING").rc, 0);
    stop_client(redis);
    redis_server_stop(&server);
}

static void redis_call__survives_kill_and_restart(void **state)
{
    struct redis_server server;
    struct answer again = {0};
    struct answer once = {0};
    char get[] = "SET k 7";
    char incr[] = "INCR n";
    (void)state;
    redis_server_start(&server, false, NULL);
    struct redis *redis = redis_client(server.url);
    assert_int_equal(ask(redis, "PING").rc, 0);
    redis_server_freeze(&server);
    int64_t until = now_ms() + PATIENCE_MS;
    struct redis_command commands[2] = {command_of(get, &again, until),
                                        command_of(incr, &once, until)};
    commands[1].idempotent = false;
    redis_send(redis, commands, 2);
    /* when this one is over, those before it have been written */
    assert_int_equal(ask_until(redis, "PING", now_ms() + 50).rc, -ETIMEDOUT);
    redis_server_kill(&server);
    redis_server_launch(&server);
    assert_string_equal(ask(redis, "GET k").text, "7");
    assert_int_equal(again.calls, 1);
    assert_int_equal(again.rc, 0);
    assert_int_equal(once.calls, 1);
    assert_int_equal(once.rc, -EIO);
    assert_int_equal(ask(redis, "GET n").kind, REDIS_NIL);
    stop_client(redis);
    redis_server_stop(&server);
}

struct greeting {
    atomic_int calls;
    atomic_int changes;
};

static void greet(void *arg, const char *run_id, bool changed)
{
    struct greeting *greeting = arg;
    assert_int_equal(strlen(run_id), 40);
    atomic_fetch_add(&greeting->calls, 1);
    atomic_fetch_add(&greeting->changes, changed);
}

static void redis_options__connected_tells_another_server(void **state)
{
    struct redis_server server;
    struct greeting greeting = {0};
    struct metrics *metrics = metrics_new();
    struct err err = ERR_INIT;
    (void)state;
    redis_server_start(&server, false, NULL);
    struct redis_options options = {.url = server.url,
                                    .connect_timeout_ms = 2000,
                                    .connected = greet,
                                    .metrics = metrics,
                                    .arg = &greeting};
    struct redis *redis = redis_start(&options, &err);
    assert_int_equal(ask(redis, "PING").rc, 0);
    assert_int_equal(atomic_load(&greeting.calls), 1);
    assert_int_equal(atomic_load(&greeting.changes), 0);
    /* same server, new connection */
    char victim[64];
    struct redis *other = redis_client(server.url);
    snprintf(victim, sizeof victim, "CLIENT KILL ID %d",
             (int)ask(redis, "CLIENT ID").integer);
    assert_int_equal(ask(other, victim).integer, 1);
    stop_client(other);
    assert_int_equal(ask(redis, "PING").rc, 0);
    redis_server_kill(&server);
    redis_server_launch(&server);
    assert_int_equal(ask(redis, "SET k 1").rc, 0);
    assert_true(atomic_load(&greeting.calls) >= 2);
    assert_int_equal(atomic_load(&greeting.changes), 1);
    struct str text;
    str_init(&text);
    metrics_write(metrics, &text);
    assert_non_null(strstr(text.data, "sluice_redis_connected 1"));
    assert_null(strstr(text.data, "sluice_redis_errors_total{reason=\"lost\"} 0"));
    str_release(&text);
    stop_client(redis);
    metrics_free(metrics);
    redis_server_stop(&server);
}

static void redis_call__waits_out_a_read_only_server(void **state)
{
    struct redis_server server;
    struct answer set = {0};
    struct answer incr = {0};
    char set_text[] = "SET k 1";
    char incr_text[] = "INCR n";
    (void)state;
    redis_server_start(&server, false, NULL);
    struct redis *redis = redis_client(server.url);
    struct redis *admin = redis_client(server.url);
    assert_int_equal(ask(admin, "REPLICAOF 127.0.0.1 1").rc, 0);
    int64_t until = now_ms() + PATIENCE_MS;
    struct redis_command once = command_of(incr_text, &incr, until);
    once.idempotent = false;
    assert_int_equal(redis_call(redis, &once, 1), -EIO);
    struct redis_command command = command_of(set_text, &set, until);
    redis_send(redis, &command, 1);
    assert_int_equal(ask(admin, "REPLICAOF NO ONE").rc, 0);
    assert_string_equal(ask(redis, "GET k").text, "1");
    assert_int_equal(set.calls, 1);
    assert_int_equal(set.rc, 0);
    assert_int_equal(set.kind, REDIS_STATUS);
    stop_client(redis);
    stop_client(admin);
    redis_server_stop(&server);
}

static void redis_call__hands_other_refusals_to_the_caller(void **state)
{
    struct redis_server server;
    (void)state;
    redis_server_start(&server, false, NULL);
    struct redis *redis = redis_client(server.url);
    assert_int_equal(ask(redis, "CONFIG SET maxmemory 1").rc, 0);
    struct answer a = ask(redis, "SET k 1");
    assert_int_equal(a.rc, 0);
    assert_int_equal(a.kind, REDIS_ERROR);
    assert_int_equal(strncmp(a.text, "OOM ", 4), 0);
    assert_true(redis_is_connected(redis));
    stop_client(redis);
    redis_server_stop(&server);
}

/* ---- lingering and stop ---- */

static void redis_send__lingering_is_delivered_after_a_restart(void **state)
{
    struct redis_server server;
    struct answer waiting = {0};
    struct answer flying = {0};
    char first[] = "SET flying 1";
    char second[] = "SET waiting 1";
    (void)state;
    redis_server_start(&server, false, NULL);
    struct redis *redis = redis_client(server.url);
    assert_int_equal(ask(redis, "PING").rc, 0);
    redis_server_freeze(&server);
    struct redis_command command = command_of(first, &flying, now_ms() + 50);
    command.linger_ms = PATIENCE_MS;
    assert_int_equal(redis_call(redis, &command, 1), -ETIMEDOUT);
    redis_server_kill(&server);
    command = command_of(second, &waiting, now_ms() + 50);
    command.linger_ms = PATIENCE_MS;
    assert_int_equal(redis_call(redis, &command, 1), -ETIMEDOUT);
    redis_server_launch(&server);
    assert_string_equal(ask(redis, "GET flying").text, "1");
    assert_string_equal(ask(redis, "GET waiting").text, "1");
    assert_int_equal(flying.calls, 1);
    assert_int_equal(waiting.calls, 1);
    stop_client(redis);
    redis_server_stop(&server);
}

/* A full server refuses writes: the caller is told so once, the fact is told again. */
static void redis_send__lingering_is_delivered_after_a_refusal(void **state)
{
    struct redis_server server;
    char set[] = "SET k 7";
    struct answer fact = {0};
    (void)state;
    redis_server_start(&server, false, NULL);
    struct redis *redis = redis_client(server.url);
    assert_string_equal(ask(redis, "CONFIG SET maxmemory 1").text, "OK");
    struct redis_command command = command_of(set, &fact, now_ms() + PATIENCE_MS);
    command.linger_ms = PATIENCE_MS;
    redis_send(redis, &command, 1);
    assert_int_equal(ask(redis, "GET k").kind, REDIS_NIL);
    assert_int_equal(fact.calls, 1);
    assert_int_equal(fact.kind, REDIS_ERROR);
    assert_string_equal(ask(redis, "CONFIG SET maxmemory 0").text, "OK");
    stop_client(redis); /* waits for it */
    redis = redis_client(server.url);
    assert_string_equal(ask(redis, "GET k").text, "7");
    assert_int_equal(fact.calls, 1);
    stop_client(redis);
    redis_server_stop(&server);
}

static void redis_send__lingering_ends_with_its_time(void **state)
{
    struct answer answer = {0};
    char text[] = "SET k 1";
    struct metrics *metrics = metrics_new();
    struct err err = ERR_INIT;
    (void)state;
    struct redis_options options = {.url = "unix:///nonexistent/redis.sock",
                                    .connect_timeout_ms = 100,
                                    .metrics = metrics};
    struct redis *redis = redis_start(&options, &err);
    struct redis_command command = command_of(text, &answer, now_ms() + 10);
    command.linger_ms = 10;
    assert_int_equal(redis_call(redis, &command, 1), -ETIMEDOUT);
    /* nothing is open any more once it is dropped, so stop does not wait for it */
    redis_stop(redis, now_ms() + PATIENCE_MS);
    struct str out;
    str_init(&out);
    metrics_write(metrics, &out);
    assert_non_null(
        strstr(out.data, "sluice_redis_errors_total{reason=\"linger_dropped\"} 1"));
    str_release(&out);
    metrics_free(metrics);
}

static void redis_stop__delivers_what_is_open(void **state)
{
    struct redis_server server;
    struct answer answers[100] = {0};
    (void)state;
    redis_server_start(&server, false, NULL);
    struct redis *redis = redis_client(server.url);
    for (int i = 0; i < 100; i++) {
        char text[] = "INCR n";
        struct redis_command command =
            command_of(text, &answers[i], now_ms() + PATIENCE_MS);
        redis_send(redis, &command, 1);
    }
    redis_stop(redis, now_ms() + PATIENCE_MS);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(answers[i].calls, 1);
        assert_int_equal(answers[i].integer, i + 1);
    }
    redis_server_stop(&server);
}

static void redis_stop__is_bounded_on_a_frozen_server(void **state)
{
    struct redis_server server;
    struct answer answer = {0};
    char text[] = "SET k 1";
    (void)state;
    redis_server_start(&server, false, NULL);
    struct redis *redis = redis_client(server.url);
    assert_int_equal(ask(redis, "PING").rc, 0);
    redis_server_freeze(&server);
    struct redis_command command = command_of(text, &answer, now_ms() + 60000);
    redis_send(redis, &command, 1);
    int64_t before = now_ms();
    redis_stop(redis, before + 200);
    assert_true(now_ms() < before + 5000);
    assert_int_equal(answer.calls, 1);
    assert_int_equal(answer.rc, -ECANCELED);
    redis_server_thaw(&server);
    redis_server_stop(&server);
}

/* ---- a server that says what a test wants ---- */

struct fake {
    char dir[64];
    char path[96];
    char url[128];
    int listener;
    pthread_t thread;
    const char *const *replies; /* of the first command, one for each connection */
    size_t count;
    atomic_int connections;
};

/* Read until `mark` was seen. */
static bool fake_expect(int fd, const char *mark)
{
    char seen[4096] = "";
    size_t len = 0;
    while (!strstr(seen, mark)) {
        ssize_t n = recv(fd, seen + len, sizeof seen - 1 - len, 0);
        if (n <= 0) {
            return false;
        }
        len += (size_t)n;
        seen[len] = '\0';
    }
    return true;
}

static void *fake_main(void *arg)
{
    static const char hello[] = "$7\r\nnothing\r\n-NOPERM no\r\n";
    struct fake *fake = arg;
    int fds[8];
    for (size_t i = 0; i < fake->count; i++) {
        fds[i] = accept(fake->listener, NULL, NULL);
        ASSERT(fds[i] >= 0);
        atomic_fetch_add(&fake->connections, 1);
        if (fake_expect(fds[i], "memory\r\n")) {
            (void)send(fds[i], hello, sizeof hello - 1, MSG_NOSIGNAL);
        }
        if (fake_expect(fds[i], "PING\r\n")) {
            (void)send(fds[i], fake->replies[i], strlen(fake->replies[i]), MSG_NOSIGNAL);
        }
    }
    for (size_t i = 0; i < fake->count; i++) {
        (void)fake_expect(fds[i], "never said");
        close(fds[i]);
    }
    return NULL;
}

static void fake_start(struct fake *fake, const char *const *replies, size_t n)
{
    memset(fake, 0, sizeof *fake);
    strncpy(fake->dir, "/tmp/sluice-redis-XXXXXX", sizeof fake->dir - 1);
    ASSERT(mkdtemp(fake->dir));
    snprintf(fake->path, sizeof fake->path, "%s/sock", fake->dir);
    snprintf(fake->url, sizeof fake->url, "unix://%s", fake->path);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, fake->path, sizeof address.sun_path - 1);
    fake->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    fake->replies = replies;
    fake->count = n;
    ASSERT(bind(fake->listener, (struct sockaddr *)&address, sizeof address) == 0);
    ASSERT(listen(fake->listener, 8) == 0);
    MUST(pthread_create(&fake->thread, NULL, fake_main, fake));
}

static void fake_stop(struct fake *fake)
{
    MUST(pthread_join(fake->thread, NULL));
    close(fake->listener);
    unlink(fake->path);
    rmdir(fake->dir);
}

static void redis_call__goes_on_after_servers_that_fail(void **state)
{
    static const char *const replies[] = {
        "-LOADING Redis is loading the dataset in memory\r\n",
        "-ERR Error running script (call to f_1): @user_script:1: -MASTERDOWN Link\r\n",
        "?what\r\n",
        "$9999999999\r\n",
        "+PONG\r\n",
    };
    struct fake fake;
    (void)state;
    fake_start(&fake, replies, 5);
    struct redis *redis = redis_client(fake.url);
    struct answer a = ask(redis, "PING");
    assert_int_equal(a.rc, 0);
    assert_string_equal(a.text, "PONG");
    assert_int_equal(atomic_load(&fake.connections), 5);
    stop_client(redis);
    fake_stop(&fake);
}

static void redis_call__leaves_a_silent_connection(void **state)
{
    static const char *const replies[] = {"", "+PONG\r\n"};
    struct fake fake;
    (void)state;
    fake_start(&fake, replies, 2);
    struct redis *redis = redis_client(fake.url);
    struct answer a = ask(redis, "PING");
    assert_int_equal(a.rc, 0);
    assert_string_equal(a.text, "PONG");
    stop_client(redis);
    fake_stop(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
