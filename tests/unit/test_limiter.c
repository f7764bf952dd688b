#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "redis_server.h"

#include <pthread.h>

#include "base/mem.h"
#include "base/str.h"
#include "fleet/limiter.h"
#include "sync/ctx.h"

/* One server for all tests; each begins with FLUSHALL. */
static struct redis_server server;
static struct redis *redis;
static struct limiter *limiter;
static struct metrics *metrics;

static struct limiter *limiter_of(struct redis *on, double version)
{
    struct limiter_options options = {.prefix = "sluice",
                                      .version = version,
                                      .timeout_ms = PATIENCE_MS,
                                      .metrics = metrics};
    return limiter_new(on, &options);
}

static struct limiter_set *set_of(struct limiter *of, const char *name, double rate,
                                  double burst)
{
    struct limiter_bucket bucket = {.name = name, .rate_per_s = rate, .burst = burst};
    return limiter_set_new(of, "t", &bucket, 1);
}

static int begin(void **state)
{
    (void)state;
    redis_server_start(&server, false, NULL);
    redis = redis_client(server.url);
    metrics = metrics_new();
    limiter = limiter_of(redis, 1);
    /* A script the server does not know yet is loaded and sent again, after what was sent
     * behind it: let that be over. */
    struct limiter_set *any = set_of(limiter, "any", 1, 1);
    limiter_refund(limiter, any, 1);
    limiter_penalty(limiter, any, 1);
    return ask(redis, "PING").rc;
}

static int end(void **state)
{
    (void)state;
    redis_stop(redis, now_ms() + PATIENCE_MS);
    limiter_free(limiter);
    metrics_free(metrics);
    redis_server_stop(&server);
    return 0;
}

static void flush(void)
{
    assert_int_equal(ask(redis, "FLUSHALL").rc, 0);
}

static struct limiter_ask reserve(struct limiter_set *set, int want)
{
    struct limiter_ask one = {.set = set, .want = want};
    assert_int_equal(limiter_reserve(limiter, &one, 1), 0);
    assert_in_range(one.granted, 0, want);
    return one;
}

/* Write a bucket as it would be when nobody used it for long. */
static void set_level(const char *key, double level, double rate, double burst)
{
    double state[6] = {level * 1000000, 0, rate, burst, 1, 0};
    int64_t seconds = now_wall_ms() / 1000 - 1;
    state[1] = (double)seconds * 1000000;
    struct answer answer = {0};
    struct redis_command command = {.args = {"SET", key, (const char *)state},
                                    .lens = {3, strlen(key), sizeof state},
                                    .arg_count = 3,
                                    .deadline_ms = now_ms() + PATIENCE_MS,
                                    .done = answer_done,
                                    .arg = &answer};
    assert_int_equal(redis_call(redis, &command, 1), 0);
}

/* A slow bucket: nothing noticeable is earned while a test runs. */
enum { SLOW_BURST = 10 };
#define SLOW_RATE 0.001
#define SLOW_KEY  "sluice:{limit}:slow"

static void fill_slow(double level)
{
    flush();
    set_level(SLOW_KEY, level, SLOW_RATE, SLOW_BURST);
}

/* ---- what callers see ---- */

static void limiter_reserve__without_limits_grants_at_once(void **state)
{
    (void)state;
    struct limiter_set *none = limiter_set_new(limiter, "t", NULL, 0);
    struct limiter_ask one = reserve(none, 1000);
    assert_int_equal(one.granted, 1000);
    assert_int_equal(one.first_ms, one.last_ms);
    assert_true(one.first_ms <= now_ms());
    limiter_refund(limiter, none, 3);
    limiter_penalty(limiter, none, 1000);
}

static void limiter_reserve__of_an_unknown_bucket_starts_empty(void **state)
{
    (void)state;
    flush();
    struct limiter_set *set = set_of(limiter, "fresh", 100, 50);
    int64_t before = now_ms();
    struct limiter_ask one = reserve(set, 200);
    /* no burst: what is granted lies within the half second ahead */
    assert_int_equal(one.granted, 100 * LIMITER_AHEAD_MS / 1000);
    assert_true(one.first_ms >= before + 10);
    assert_true(one.last_ms >= before + LIMITER_AHEAD_MS);
    assert_true(one.again_ms >= before);
    for (int i = 0; i < one.granted; i++) {
        assert_true(limiter_slot_ms(&one, i) >= before + 10 * (i + 1));
    }
    assert_int_equal(limiter_slot_ms(&one, one.granted - 1), one.last_ms);
}

static void limiter_reserve__grants_the_burst_of_a_full_bucket_now(void **state)
{
    (void)state;
    fill_slow(SLOW_BURST);
    struct limiter_set *set = set_of(limiter, "slow", SLOW_RATE, SLOW_BURST);
    struct limiter_ask one = reserve(set, 25);
    assert_int_equal(one.granted, SLOW_BURST);
    assert_true(one.last_ms <= now_ms() + 1);
    one = reserve(set, 1);
    assert_int_equal(one.granted, 0);
    assert_true(one.again_ms > now_ms() + 60000);
}

static void limiter_reserve__denied_by_one_bucket_debits_none(void **state)
{
    (void)state;
    fill_slow(0);
    struct limiter_bucket both[2] =
        {{.name = "wide", .rate_per_s = SLOW_RATE, .burst = 5},
         {.name = "slow", .rate_per_s = SLOW_RATE, .burst = SLOW_BURST}};
    set_level("sluice:{limit}:wide", 5, SLOW_RATE, 5);
    struct limiter_set *set = limiter_set_new(limiter, "t", both, 2);
    struct limiter_set *wide = set_of(limiter, "wide", SLOW_RATE, 5);
    assert_int_equal(reserve(set, 3).granted, 0);
    assert_int_equal(reserve(wide, 9).granted, 5);
}

static void limiter_reserve__takes_several_sets_in_one_call(void **state)
{
    (void)state;
    fill_slow(SLOW_BURST);
    struct limiter_ask asks[3] =
        {{.set = set_of(limiter, "slow", SLOW_RATE, SLOW_BURST), .want = 4},
         {.set = limiter_set_new(limiter, "t", NULL, 0), .want = 2},
         {.set = set_of(limiter, "slow", SLOW_RATE, SLOW_BURST), .want = 50}};
    assert_int_equal(limiter_reserve(limiter, asks, 3), 0);
    assert_int_equal(asks[0].granted, 4);
    assert_int_equal(asks[1].granted, 2);
    assert_int_equal(asks[2].granted, SLOW_BURST - 4);
}

static void limiter_reserve__says_when_redis_is_gone(void **state)
{
    (void)state;
    struct redis *nowhere = redis_client("unix:///nonexistent/redis.sock");
    struct limiter_options options = {.prefix = "sluice", .timeout_ms = 50};
    struct limiter *lonely = limiter_new(nowhere, &options);
    struct limiter_ask asks[2] = {{.set = set_of(lonely, "slow", 1, 1), .want = 1},
                                  {.set = limiter_set_new(lonely, "t", NULL, 0),
                                   .want = 1}};
    assert_int_equal(limiter_reserve(lonely, asks, 2), -ETIMEDOUT);
    assert_int_equal(asks[0].granted, -1);
    assert_int_equal(asks[1].granted, 1);
    redis_stop(nowhere, now_ms());
    limiter_free(lonely);
}

static void limiter_reserve__says_when_redis_refuses(void **state)
{
    (void)state;
    flush();
    struct limiter_ask one = {.set = set_of(limiter, "slow", 1, 1), .want = 1};
    assert_int_equal(ask(redis, "CONFIG SET maxmemory 1").rc, 0);
    assert_int_equal(limiter_reserve(limiter, &one, 1), -EIO);
    assert_int_equal(one.granted, -1);
    assert_int_equal(ask(redis, "CONFIG SET maxmemory 0").rc, 0);
}

static void limiter_reserve__after_data_loss_owes_what_was_promised(void **state)
{
    (void)state;
    flush();
    struct limiter_set *set = set_of(limiter, "fresh", 100, 50);
    assert_int_equal(reserve(set, 50).granted, 50);
    flush();
    /* the promises of half a second may still be used: nothing is there for as long */
    assert_int_equal(reserve(set, 50).granted, 0);
    /* who was idle knows nothing of promises, but finds no burst either */
    struct limiter_set *idle = set_of(limiter, "other", 100, 50);
    assert_int_equal(reserve(idle, 100).granted, 50);
}

static void limiter_fence__takes_the_burst_once(void **state)
{
    (void)state;
    fill_slow(SLOW_BURST);
    struct limiter_set *set = set_of(limiter, "slow", SLOW_RATE, SLOW_BURST);
    assert_int_equal(reserve(set, 1).granted, 1);
    limiter_fence(limiter);
    assert_int_equal(reserve(set, 1).granted, 0);
    set_level(SLOW_KEY, 5, SLOW_RATE, SLOW_BURST);
    assert_int_equal(reserve(set, 9).granted, 5);
}

static void limiter_refund__gives_slots_back_up_to_the_burst(void **state)
{
    (void)state;
    fill_slow(SLOW_BURST);
    struct limiter_set *set = set_of(limiter, "slow", SLOW_RATE, SLOW_BURST);
    assert_int_equal(reserve(set, 6).granted, 6);
    limiter_refund(limiter, set, 2);
    assert_int_equal(reserve(set, 99).granted, SLOW_BURST - 6 + 2);
    limiter_refund(limiter, set, 1000);
    assert_int_equal(reserve(set, 99).granted, SLOW_BURST);
    flush();
    limiter_refund(limiter, set, 5);
    assert_int_equal(ask(redis, "EXISTS " SLOW_KEY).integer, 0);
}

static void limiter_penalty__silences_the_whole_fleet(void **state)
{
    (void)state;
    flush();
    set_level("sluice:{limit}:fast", 100, 1000, 100);
    struct redis *elsewhere = redis_client(server.url);
    struct limiter *other = limiter_of(elsewhere, 1);
    struct limiter_set *here = set_of(limiter, "fast", 1000, 100);
    struct limiter_ask there = {.set = set_of(other, "fast", 1000, 100), .want = 1};
    assert_int_equal(reserve(here, 1).granted, 1);
    limiter_penalty(limiter, here, 60000);
    int64_t before = now_ms();
    assert_int_equal(reserve(here, 1).granted, 0);
    assert_int_equal(limiter_reserve(other, &there, 1), 0);
    assert_int_equal(there.granted, 0);
    assert_true(there.again_ms >= before + 59000 - LIMITER_AHEAD_MS);
    /* a shorter one does not shorten it */
    limiter_penalty(other, there.set, 1000);
    assert_int_equal(limiter_reserve(other, &there, 1), 0);
    assert_true(there.again_ms >= before + 58000 - LIMITER_AHEAD_MS);
    /* the key outlives the silence */
    assert_true(ask(redis, "PTTL sluice:{limit}:fast").integer > 60000);
    redis_stop(elsewhere, now_ms() + PATIENCE_MS);
    limiter_free(other);
}

/* A worker whose clock was ahead is gone: those who start later have the say again. */
static void limiter_reserve__believes_no_limits_of_tomorrow(void **state)
{
    (void)state;
    flush();
    struct limiter *ahead = limiter_of(redis, (double)now_wall_ms() + 86400000);
    struct limiter_ask much = {.set = set_of(ahead, "cut", 1000, 1000), .want = 100};
    assert_int_equal(limiter_reserve(ahead, &much, 1), 0);
    assert_int_equal(much.granted, 100);
    struct limiter *later = limiter_of(redis, (double)now_wall_ms() + 1);
    struct limiter_ask cut = {.set = set_of(later, "cut", 10, 1), .want = 100};
    assert_int_equal(limiter_reserve(later, &cut, 1), 0);
    assert_true(cut.granted <= 1 + 10 * LIMITER_AHEAD_MS / 1000);
    limiter_free(ahead);
    limiter_free(later);
}

/* A limit that was idle for long is full, not lost: the next event waits for nothing. */
static void limiter_reserve__remembers_an_idle_bucket(void **state)
{
    (void)state;
    flush();
    struct limiter_set *set = set_of(limiter, "idle", 10, 1);
    assert_int_equal(reserve(set, 1).granted, 1);
    assert_true(ask(redis, "PTTL sluice:{limit}:idle").integer > 24 * 3600 * 1000);
}

/* Two downstreams under one limit: one asks for silence, the other is served. */
static void limiter_penalty__leaves_a_shared_bucket_to_others(void **state)
{
    (void)state;
    flush();
    set_level("sluice:{limit}:all", 100, 1000, 100);
    struct limiter_bucket all = {.name = "all",
                                 .rate_per_s = 1000,
                                 .burst = 100,
                                 .shared = true};
    struct limiter_set *one = limiter_set_new(limiter, "one", &all, 1);
    struct limiter_set *two = limiter_set_new(limiter, "two", &all, 1);
    assert_int_equal(reserve(one, 1).granted, 1);
    limiter_penalty(limiter, one, 60000);
    int64_t before = now_ms();
    struct limiter_ask denied = reserve(one, 1);
    assert_int_equal(denied.granted, 0);
    assert_true(denied.again_ms >= before + 59000 - LIMITER_AHEAD_MS);
    assert_int_equal(reserve(two, 90).granted, 90);
}

static void limiter_reserve__with_old_limits_is_held_to_the_new(void **state)
{
    (void)state;
    flush();
    struct limiter *newer = limiter_of(redis, 2);
    struct limiter_ask cut = {.set = set_of(newer, "cut", 10, 1), .want = 100};
    assert_int_equal(limiter_reserve(newer, &cut, 1), 0);
    assert_int_equal(cut.granted, 10 * LIMITER_AHEAD_MS / 1000);
    limiter_refund(newer, cut.set, cut.granted);
    struct limiter_set *old = set_of(limiter, "cut", 1000, 1000);
    assert_in_range(reserve(old, 1000).granted, 1, 10 * LIMITER_AHEAD_MS / 1000 + 1);
    limiter_free(newer);
}

static void limiter_reserve__counts_what_it_did(void **state)
{
    (void)state;
    fill_slow(1);
    struct limiter_set *set = set_of(limiter, "counted", SLOW_RATE, SLOW_BURST);
    set_level("sluice:{limit}:counted", 1, SLOW_RATE, SLOW_BURST);
    assert_int_equal(reserve(set, 1).granted, 1);
    assert_int_equal(reserve(set, 1).granted, 0);
    struct str text;
    str_init(&text);
    metrics_write(metrics, &text);
    assert_non_null(
        strstr(text.data, "sluice_rate_limit_denied_total{limit=\"counted\"} 1"));
    assert_non_null(
        strstr(text.data, "sluice_rate_limit_wait_seconds_count{limit=\"counted\"} 1"));
    assert_non_null(strstr(text.data, "sluice_rate_limit_tokens{limit=\"counted\"} 0"));
    str_release(&text);
}

/* ---- the promise, over three processes' worth of limiters ---- */

enum { FLEET = 3, RATE = 400, BURST = 20, RUN_MS = 1500, SLOTS_MAX = 20000 };

struct worker {
    struct redis *redis;
    struct limiter *limiter;
    struct limiter_set *set;
    int64_t until_ms;
    int64_t longest_trip_ms;
    int64_t slots[SLOTS_MAX];
    int count;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
    while (now_ms() < w->until_ms) {
        struct limiter_ask one = {.set = w->set, .want = 16};
        int64_t before = now_ms();
        ASSERT(limiter_reserve(w->limiter, &one, 1) == 0);
        int64_t trip = now_ms() - before;
        w->longest_trip_ms = trip > w->longest_trip_ms ? trip : w->longest_trip_ms;
        for (int i = 0; i < one.granted && w->count < SLOTS_MAX; i++) {
            w->slots[w->count++] = limiter_slot_ms(&one, i);
        }
        if (one.granted < one.want) {
            ASSERT(ctx_sleep(ctx, one.again_ms) == 0);
        }
    }
    ctx_free(ctx);
    return NULL;
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The largest excess of any window over rate * T. */
static double worst_excess(const int64_t *slots, int n)
{
    double lowest = 0;
    double worst = 0;
    for (int i = 0; i < n; i++) {
        double line = (double)(slots[i] - slots[0]) * RATE / 1000;
        double here = i - line;
        if (i == 0 || here < lowest) {
            lowest = here;
        }
        if (here - lowest + 1 > worst) {
            worst = here - lowest + 1;
        }
    }
    return worst;
}

/* Run three workers; `fault` happens in the middle. Returns the worst excess, less what
 * the replies' own travel may move a slot. */
static double run_fleet(void (*fault)(struct worker *workers), int *total)
{
    static struct worker workers[FLEET];
    static int64_t slots[FLEET * SLOTS_MAX];
    pthread_t threads[FLEET];
    int64_t trip = 0;
    int n = 0;
    flush();
    for (int i = 0; i < FLEET; i++) {
        struct worker *w = &workers[i];
        w->redis = redis_client(server.url);
        w->limiter = limiter_of(w->redis, 1);
        w->set = set_of(w->limiter, "fleet", RATE, BURST);
        w->until_ms = now_ms() + RUN_MS;
        w->count = 0;
        w->longest_trip_ms = 0;
        MUST(pthread_create(&threads[i], NULL, work, w));
    }
    struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
    assert_int_equal(ctx_sleep(ctx, now_ms() + RUN_MS / 2), 0);
    fault(workers);
    ctx_free(ctx);
    for (int i = 0; i < FLEET; i++) {
        struct worker *w = &workers[i];
        MUST(pthread_join(threads[i], NULL));
        redis_stop(w->redis, now_ms() + PATIENCE_MS);
        limiter_free(w->limiter);
        memcpy(slots + n, w->slots, (size_t)w->count * sizeof *slots);
        n += w->count;
        trip = w->longest_trip_ms > trip ? w->longest_trip_ms : trip;
    }
    qsort(slots, (size_t)n, sizeof *slots, by_time);
    *total = n;
    return worst_excess(slots, n) - (double)(trip + 1) * RATE / 1000;
}

static void nothing(struct worker *workers)
{
    (void)workers;
}

static void lose_state(struct worker *workers)
{
    (void)workers;
    flush();
    assert_int_equal(ask(redis, "SCRIPT FLUSH").rc, 0);
}

static void fence_all(struct worker *workers)
{
    for (int i = 0; i < FLEET; i++) {
        limiter_fence(workers[i].limiter);
    }
}

static void limiter_reserve__holds_the_rate_over_the_fleet(void **state)
{
    int total;
    (void)state;
    double excess = run_fleet(nothing, &total);
    assert_true(excess <= BURST);
    /* it was saturated: slots lie up to half a second past the end */
    assert_true(total >= RATE * RUN_MS / 1000);
}

static void limiter_reserve__holds_the_rate_through_state_loss(void **state)
{
    int total;
    (void)state;
    double excess = run_fleet(lose_state, &total);
    assert_true(excess <= BURST + RATE * LIMITER_AHEAD_MS / 1000.0);
    assert_true(excess <= BURST); /* all had grants lately, so even this */
}

static void limiter_reserve__holds_the_rate_through_a_fence(void **state)
{
    int total;
    (void)state;
    assert_true(run_fleet(fence_all, &total) <= BURST);
    assert_true(total >= RATE * RUN_MS / 1000 - BURST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    return cmocka_run_group_tests(tests, begin, end);
}
