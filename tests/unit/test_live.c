#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/str.h"
#include "ops/live.h"
#include "redis_server.h"
#include "sync/cond.h"

/* A fleet with a Redis of its own, and a gate that opens when the live thread wakes. */
struct fleet {
    struct redis_server server;
    struct redis *redis;
    struct config *config;
    struct live *live;
    pthread_mutex_t mu;
    pthread_cond_t cond;
    /* guarded by mu */
    int wakes;
    int snapshots;
};

static void on_wake(void *arg)
{
    struct fleet *f = arg;
    pthread_mutex_lock(&f->mu);
    f->wakes++;
    pthread_cond_broadcast(&f->cond);
    pthread_mutex_unlock(&f->mu);
}

static void snapshot(void *arg, struct ops_place *place, int64_t until_ms,
                     struct str *json)
{
    struct fleet *f = arg;
    (void)place;
    (void)until_ms;
    pthread_mutex_lock(&f->mu);
    int n = ++f->snapshots;
    pthread_mutex_unlock(&f->mu);
    str_addf(json, "{\"frame\":%d}", n);
}

static void set_up(struct fleet *f)
{
    static char *none[] = {NULL};
    memset(f, 0, sizeof *f);
    redis_server_start(&f->server, false, NULL);
    f->redis = redis_client(f->server.url);
    const struct config_override overrides[] = {
        {"redis.url", f->server.url, "test"},
        {"targets.t.url", "http://127.0.0.1:1/", "test"},
    };
    struct config_report report;
    f->config = config_load("/dev/null", overrides, 2, none, &report);
    config_report_release(&report);
    assert_non_null(f->config);
    pthread_mutex_init(&f->mu, NULL);
    cond_init(&f->cond);
    const struct live_options options = {.config = f->config,
                                         .subscribers_max = 4,
                                         .ring_bytes_max = 1 << 20,
                                         .snapshot = snapshot,
                                         .wake = on_wake,
                                         .arg = f};
    f->live = live_start(&options);
}

static void tear_down(struct fleet *f)
{
    live_stop(f->live);
    config_free(f->config);
    redis_stop(f->redis, now_ms());
    redis_server_stop(&f->server);
    pthread_mutex_destroy(&f->mu);
    pthread_cond_destroy(&f->cond);
}

static void add(struct fleet *f, const char *field, const char *json)
{
    struct answer answer = {0};
    struct redis_command command = {.args = {"XADD", "sluice:ops:{sluice}:recent", "*",
                                             field, json},
                                    .lens = {4, strlen("sluice:ops:{sluice}:recent"), 1,
                                             1, strlen(json)},
                                    .arg_count = 5,
                                    .deadline_ms = now_ms() + PATIENCE_MS,
                                    .done = answer_done,
                                    .arg = &answer};
    assert_int_equal(redis_call(f->redis, &command, 1), 0);
    assert_int_equal(answer.kind, REDIS_STRING);
}

/* Read until the text is there. */
static char *hear(struct fleet *f, struct feed_subscriber *s, const char *text)
{
    struct str heard;
    str_init(&heard);
    while (!strstr(heard.data, text)) {
        char bytes[4096];
        pthread_mutex_lock(&f->mu);
        int wakes = f->wakes;
        pthread_mutex_unlock(&f->mu);
        ssize_t n = feed_read(s, bytes, sizeof bytes);
        assert_true(n >= 0);
        str_put(&heard, bytes, (size_t)n);
        pthread_mutex_lock(&f->mu);
        while (n == 0 && f->wakes == wakes) {
            pthread_cond_wait(&f->cond, &f->mu);
        }
        pthread_mutex_unlock(&f->mu);
    }
    return str_take(&heard);
}

static struct feed_subscriber *look(struct fleet *f, const char *space)
{
    struct feed_subscriber *s = feed_subscribe(live_feed(f->live), space, NULL);
    assert_non_null(s);
    live_look(f->live);
    return s;
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part)) {
        n++;
    }
    return n;
}

static void live__shows_what_happens_to_whom_it_concerns(void **state)
{
    (void)state;
    struct fleet f;
    set_up(&f);
    add(&f, "d", "{\"repo\":\"acme/api\",\"at_ms\":1}");
    add(&f, "d", "{\"repo\":\"acme/api2\",\"at_ms\":2}");
    add(&f, "d", "no json");
    struct feed_subscriber *all = look(&f, NULL);
    struct feed_subscriber *api = look(&f, "/acme/api");
    free(hear(&f, all, "\"frame\":1"));
    add(&f, "n", "{\"kind\":\"pause\",\"text\":\"<b>\"}");
    char *text =
        hear(&f, api, "event: notice\ndata: {\"kind\":\"pause\",\"text\":\"<b>\"}");
    assert_int_equal(count(text, "event: delivery"), 1);
    assert_non_null(strstr(text, "data: {\"repo\":\"acme/api\",\"at_ms\":1}\n"));
    free(text);
    free(hear(&f, all, "event: notice"));
    feed_unsubscribe(all);
    feed_unsubscribe(api);
    tear_down(&f);
}

static void live__samples_and_says_how_many_were_left_out(void **state)
{
    (void)state;
    struct fleet f;
    set_up(&f);
    struct feed_subscriber *s = look(&f, NULL);
    free(hear(&f, s, "event: fleet"));
    redis_server_freeze(&f.server); /* so that all of them come in one turn */
    struct redis_command commands[90];
    struct answer answers[90] = {{0}};
    char texts[90][64];
    for (int i = 0; i < 90; i++) {
        snprintf(texts[i], sizeof texts[i], "{\"repo\":\"a/b\",\"n\":%d%s}", i,
                 i == 50 ? ",\"more\":7" : "");
        commands[i] =
            (struct redis_command){.args = {"XADD", "sluice:ops:{sluice}:recent", "*",
                                            "d", texts[i]},
                                   .lens = {4, strlen("sluice:ops:{sluice}:recent"), 1, 1,
                                            strlen(texts[i])},
                                   .arg_count = 5,
                                   .deadline_ms = now_ms() + PATIENCE_MS,
                                   .done = answer_done,
                                   .arg = &answers[i]};
    }
    redis_send(f.redis, commands, 90);
    redis_server_thaw(&f.server);
    struct str heard;
    str_init(&heard);
    while (!strstr(heard.data, "\"n\":89")) {
        char *text = hear(&f, s, "event: fleet");
        str_add(&heard, text);
        free(text);
    }
    int64_t shown = 0;
    int64_t more = 0;
    for (const char *at = strstr(heard.data, "\"n\":"); at;
         at = strstr(at + 1, "\"n\":")) {
        shown++;
    }
    for (const char *at = strstr(heard.data, "\"more\":"); at;
         at = strstr(at + 1, "\"more\":")) {
        more += strtol(at + 7, NULL, 10);
    }
    assert_in_range(shown, 1, 89);
    assert_int_equal(shown + more, 90 + 7);
    str_release(&heard);
    feed_unsubscribe(s);
    assert_int_equal(ask(f.redis, "PING").rc, 0); /* the answers above are in */
    tear_down(&f);
}

/* A burst: what is shown of it fits the bounds of a client that reads. */
static void live__shows_so_many_notices_at_once(void **state)
{
    (void)state;
    struct fleet f;
    set_up(&f);
    struct feed_subscriber *s = look(&f, NULL);
    free(hear(&f, s, "event: fleet"));
    redis_server_freeze(&f.server); /* so that all of them come in one turn */
    static const char json[] = "{\"kind\":\"test\"}";
    struct redis_command commands[LIVE_NOTICES + 50];
    for (size_t k = 0; k < sizeof commands / sizeof commands[0]; k++) {
        commands[k] =
            (struct redis_command){.args = {"XADD", "sluice:ops:{sluice}:recent", "*",
                                            "n", json},
                                   .lens = {4, strlen("sluice:ops:{sluice}:recent"), 1, 1,
                                            sizeof json - 1},
                                   .arg_count = 5,
                                   .deadline_ms = now_ms() + PATIENCE_MS};
    }
    redis_send(f.redis, commands, sizeof commands / sizeof commands[0]);
    redis_server_thaw(&f.server);
    char *text = hear(&f, s, "more notices");
    assert_non_null(strstr(text, "\"text\":\"50 more notices\""));
    assert_int_equal(count(text, "\"kind\":\"test\""), LIVE_NOTICES);
    free(text);
    feed_unsubscribe(s);
    tear_down(&f);
}

struct frame {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    int calls;
    char json[64];
};

static void on_frame(void *arg, const char *json, size_t len)
{
    struct frame *frame = arg;
    (void)len;
    pthread_mutex_lock(&frame->mu);
    frame->calls++;
    snprintf(frame->json, sizeof frame->json, "%s", json);
    pthread_cond_broadcast(&frame->cond);
    pthread_mutex_unlock(&frame->mu);
}

static void live__gives_a_frame_to_who_asks(void **state)
{
    (void)state;
    struct fleet f;
    set_up(&f);
    struct frame frame = {.mu = PTHREAD_MUTEX_INITIALIZER,
                          .cond = PTHREAD_COND_INITIALIZER};
    for (int i = 1; !strstr(frame.json, "{\"frame\":2}");
         i++) { /* the same for a while */
        assert_true(live_ask(f.live, on_frame, &frame));
        pthread_mutex_lock(&frame.mu);
        while (frame.calls < i) {
            pthread_cond_wait(&frame.cond, &frame.mu);
        }
        pthread_mutex_unlock(&frame.mu);
        assert_non_null(strstr(frame.json, "{\"frame\":"));
    }
    tear_down(&f);
}

static void live__answers_who_still_waits_when_it_stops(void **state)
{
    (void)state;
    struct fleet f;
    set_up(&f);
    struct frame frame = {.mu = PTHREAD_MUTEX_INITIALIZER,
                          .cond = PTHREAD_COND_INITIALIZER};
    assert_true(live_ask(f.live, on_frame, &frame));
    tear_down(&f);
    assert_int_equal(frame.calls, 1);
}

static void live__does_nothing_while_nobody_looks(void **state)
{
    (void)state;
    struct fleet f;
    set_up(&f);
    tear_down(&f);
    assert_int_equal(f.snapshots, 0);
    assert_int_equal(f.wakes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
