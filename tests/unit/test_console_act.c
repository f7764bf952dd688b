/* What acts on the fleet through the console, when its reader leaves in the middle. */
#include "config_fixture.h"
#include "httpd_server.h"

#define ask ask_redis /* there are two of this name */
#include "redis_server.h"
#undef ask

#include <sched.h>

#include "../../consumer/console/console_api.h"

#define ACT \
    "Host: a\r\nX-Sluice-Action: 1\r\n" \
    "Authorization: Bearer 0123456789abcdef0123456789abcdef\r\n"
#define PAUSE_BODY "{\"reason\":\"INC-42\"}"
#define PAUSE \
    "POST /api/v1/targets/t/pause HTTP/1.1\r\n" ACT \
    "Content-Length: 19\r\n\r\n" PAUSE_BODY

static struct redis_server redis;
static struct redis *client;
static struct server console;
static struct config *config;
static struct guard *guard;
static struct console_api api;

static void serve(struct server *s, struct httpd_request *r)
{
    (void)s;
    assert_true(console_api_serve(&api, r));
}

static void on_left(void *arg, struct httpd_request *r)
{
    jobs_abort(api.jobs, r);
    count_aborted(arg);
}

static void begin(void)
{
    char text[512];
    struct err err = ERR_INIT;
    redis_server_start(&redis, false, NULL);
    client = redis_client(redis.url);
    write_file("secret", "0123456789abcdef0123456789abcdef\n");
    snprintf(text, sizeof text,
             "redis: {url: \"%s\"}\n" TARGET
             "console: {read_only: false, token_file: %s/secret}\n",
             redis.url, folder);
    config = load_good(text);
    const struct guard_options who = {.config = config, .console = true};
    guard = guard_new(&who, &err);
    assert_non_null(guard);
    api = (struct console_api){.config = config,
                               .guard = guard,
                               .jobs = jobs_start(config, &err)};
    server_init(&console, serve);
    struct httpd_options options = options_of(&console);
    options.aborted = on_left;
    console.httpd = httpd_start(&options, &err);
    assert_non_null(console.httpd);
}

/* What runs has run to its end afterwards. */
static void stop_console(void)
{
    server_stop(&console);
    jobs_stop(api.jobs);
}

static void end(void)
{
    guard_free(guard);
    redis_stop(client, now_ms() + PATIENCE_MS);
    redis_server_stop(&redis);
    done(config);
}

/* A consumer that is alive and obeys nothing yet. */
static void beat(void)
{
    char text[128];
    ask_redis(client, "HSET sluice:ops:{sluice}:beats c-1 {\"id\":\"c-1\"}");
    snprintf(text, sizeof text, "ZADD sluice:ops:{sluice}:beat-times %lld c-1",
             (long long)now_wall_ms());
    ask_redis(client, text);
}

static char *get_acts(void)
{
    return ask(httpd_port(console.httpd), "GET /api/v1/acts HTTP/1.1\r\nHost: a\r\n\r\n",
               "}\n");
}

/* Ask until it is told so: what was done is written down without waiting for it. */
static void await_acts(const char *part)
{
    char *answer = get_acts();
    int64_t until_ms = now_ms() + PATIENCE_MS;
    while (!strstr(answer, part) && now_ms() < until_ms) {
        free(answer);
        sched_yield();
        answer = get_acts();
    }
    assert_has(answer, part);
    free(answer);
}

static void console_act__is_finished_although_its_reader_left(void **state)
{
    (void)state;
    begin();
    beat();
    int fd = dial(httpd_port(console.httpd));
    say(fd, PAUSE);
    while (!ask_redis(client, "HEXISTS sluice:ops:{sluice}:control pause:t").integer) {
        sched_yield(); /* the order is given; that it is obeyed is waited for */
    }
    close(fd);
    await(&console, &console.aborted, 1);
    await_acts("\"kind\":\"pause\"");
    await_acts("\"why\":\"INC-42\"");
    await_acts("\"consumers\":1,\"obeyed\":0");
    ask_redis(client, "HSET sluice:ops:{sluice}:control seen:c-1 1");
    await_acts("\"consumers\":1,\"obeyed\":1");
    stop_console();
    end();
}

/* --- one that waits for its turn --- */

static struct gate {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    int running;
    bool open;
} gate = {.mu = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

static void wait_at_gate(void *arg, struct ops_place *place, struct httpd_request *r,
                         struct ctx *ctx)
{
    (void)arg;
    (void)place;
    (void)ctx;
    pthread_mutex_lock(&gate.mu);
    gate.running++;
    pthread_cond_broadcast(&gate.cond);
    while (!gate.open) {
        pthread_cond_wait(&gate.cond, &gate.mu);
    }
    pthread_mutex_unlock(&gate.mu);
    httpd_reply(r, 200, NULL, "done\n", 5);
}

/* One function alone does not get all hands. */
static void wait_too(void *arg, struct ops_place *place, struct httpd_request *r,
                     struct ctx *ctx)
{
    wait_at_gate(arg, place, r, ctx);
}

static void keep_busy(struct server *s, struct httpd_request *r)
{
    jobs_add(api.jobs, s->handled % 2 == 0 ? wait_at_gate : wait_too, NULL, r);
}

static void open_gate(void)
{
    pthread_mutex_lock(&gate.mu);
    gate.open = true;
    pthread_cond_broadcast(&gate.cond);
    pthread_mutex_unlock(&gate.mu);
}

static void console_act__is_not_begun_when_its_reader_left_before(void **state)
{
    (void)state;
    int fds[JOBS_THREADS];
    begin();
    server_handle(&console, keep_busy);
    for (int i = 0; i < JOBS_THREADS; i++) {
        fds[i] = dial(httpd_port(console.httpd));
        say(fds[i], "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    pthread_mutex_lock(&gate.mu);
    while (gate.running < JOBS_THREADS) {
        pthread_cond_wait(&gate.cond, &gate.mu);
    }
    pthread_mutex_unlock(&gate.mu);
    server_handle(&console, serve);
    int fd = dial(httpd_port(console.httpd));
    say(fd, PAUSE);
    await(&console, &console.handled, JOBS_THREADS + 1);
    close(fd);
    await(&console, &console.aborted, 1);
    open_gate();
    for (int i = 0; i < JOBS_THREADS; i++) {
        free(hear_until(fds[i], "done\n"));
        close(fds[i]);
    }
    await_acts("\"acts\":[]");
    stop_console();
    assert_int_equal(
        ask_redis(client, "HEXISTS sluice:ops:{sluice}:control pause:t").integer, 0);
    end();
}

static const struct CMUnitTest tests[] = {
#include UNIT_TESTS
};

int main(void)
{
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
