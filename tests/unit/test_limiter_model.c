#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "redis_server.h"

#include <math.h>

#include "base/mem.h"
#include "base/str.h"

/* The limiter's scripts against an exact model: whole micro-tokens and microseconds in
 * int64, whole rates. The scripts run as they are, but for the clock, which the test
 * turns. */

static const char reserve_lua[] =
#include "fleet/limiter_reserve.lua.inc"
    ;
static const char refund_lua[] =
#include "fleet/limiter_refund.lua.inc"
    ;
static const char penalty_lua[] =
#include "fleet/limiter_penalty.lua.inc"
    ;

enum { BUCKETS = 3, STEPS = 6000, MICRO = 1000000, ENDLESS = 0 };

static struct redis_server server;
static struct redis *redis;
static char *texts[3];
static struct redis_script *reserve_script;
static struct redis_script *refund_script;
static struct redis_script *penalty_script;

static char *with_test_clock(const char *text)
{
    static const char real[] = "redis.call('TIME')";
    static const char fake[] = "{0, redis.call('GET', 'clock')}";
    struct str out;
    str_init(&out);
    const char *found = strstr(text, real);
    if (found) {
        str_put(&out, text, (size_t)(found - text));
        str_add(&out, fake);
        text = found + sizeof real - 1;
        ASSERT(!strstr(text, real));
    }
    str_add(&out, text);
    char *result = str_take(&out);
    str_release(&out);
    return result;
}

static int begin(void **state)
{
    (void)state;
    redis_server_start(&server, false, NULL);
    redis = redis_client(server.url);
    texts[0] = with_test_clock(reserve_lua);
    texts[1] = with_test_clock(refund_lua);
    texts[2] = with_test_clock(penalty_lua);
    reserve_script = redis_script_new(redis, texts[0]);
    refund_script = redis_script_new(redis, texts[1]);
    penalty_script = redis_script_new(redis, texts[2]);
    return 0;
}

static int end(void **state)
{
    (void)state;
    redis_stop(redis, now_ms() + PATIENCE_MS);
    for (int i = 0; i < 3; i++) {
        free(texts[i]);
    }
    redis_server_stop(&server);
    return 0;
}

/* ---- the model ---- */

struct bucket {
    bool there;
    int64_t level; /* micro-tokens */
    int64_t seen;
    int64_t rate;
    int64_t burst;
    int64_t version;
};

struct asking {
    int want;
    int64_t ahead_us;
    bool fence;
    int64_t elapsed_us; /* ENDLESS: no bound */
    int64_t lost_us;
    int64_t rate[BUCKETS];
    int64_t burst[BUCKETS];
    int64_t version;
    bool uses[BUCKETS];
};

struct outcome {
    int64_t granted;
    double first_us;
    double last_us;
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}

/* The bucket as the asker finds it. Returns whether it must be written in any case. */
static bool model_settle(struct bucket *b, const struct asking *a, int i, int64_t now)
{
    bool changed = false;
    if (!b->there) {
        *b = (struct bucket){.level = -a->rate[i] * a->lost_us,
                             .rate = a->rate[i],
                             .burst = a->burst[i],
                             .version = a->version};
        changed = true;
    } else {
        int64_t passed = now - b->seen;
        if (passed < 0) {
            passed = 0;
            changed = true;
        } else if (a->elapsed_us != ENDLESS) {
            passed = least(passed, a->elapsed_us);
        }
        b->level = least(b->level + passed * b->rate, b->burst * MICRO);
        if (a->version >= b->version) {
            changed = changed || a->version > b->version;
            b->rate = a->rate[i];
            b->burst = a->burst[i];
            b->version = a->version;
        }
        b->level = least(b->level, b->burst * MICRO);
    }
    if (a->fence && b->level > 0) {
        b->level = 0;
        changed = true;
    }
    b->seen = now;
    b->there = true;
    return changed;
}

static struct outcome model_reserve(struct bucket *buckets, const struct asking *a,
                                    int64_t now)
{
    struct bucket found[BUCKETS];
    bool changed[BUCKETS];
    struct outcome out = {.granted = a->want};
    for (int i = 0; i < BUCKETS; i++) {
        if (a->uses[i]) {
            found[i] = buckets[i];
            changed[i] = model_settle(&found[i], a, i, now);
            out.granted =
                least(out.granted,
                      floor_div(found[i].level + found[i].rate * a->ahead_us, MICRO));
        }
    }
    out.granted = out.granted < 0 ? 0 : out.granted;
    for (int i = 0; i < BUCKETS; i++) {
        if (a->uses[i] && (out.granted > 0 || changed[i])) {
            buckets[i] = found[i];
            buckets[i].level -= out.granted * MICRO;
        }
        if (a->uses[i] && out.granted > 0) {
            double rate = (double)found[i].rate;
            out.first_us = fmax(out.first_us, (double)(MICRO - found[i].level) / rate);
            out.last_us =
                fmax(out.last_us, (double)(out.granted * MICRO - found[i].level) / rate);
        }
    }
    return out;
}

/* ---- the real one ---- */

struct reply {
    int calls;
    size_t count;
    double numbers[5 + BUCKETS];
};

static void take_numbers(void *arg, int rc, const struct redis_reply *reply)
{
    struct reply *out = arg;
    size_t len = 0;
    ASSERT(rc == 0);
    const char *bytes = redis_reply_text(reply, &len);
    out->calls++;
    if (redis_reply_kind(reply) == REDIS_STRING) {
        ASSERT(len <= sizeof out->numbers);
        memcpy(out->numbers, bytes, len);
        out->count = len / sizeof(double);
    } else if (redis_reply_kind(reply) == REDIS_ERROR) {
        print_error("%s\n", bytes);
    }
}

static const char *const keys[BUCKETS] = {"a", "b", "c"};

static struct reply run(struct redis_script *script, const bool *uses,
                        const void *argument, size_t len, int64_t now)
{
    char clock[24];
    struct reply reply = {0};
    snprintf(clock, sizeof clock, "%lld", (long long)now);
    struct redis_command commands[2] = {{.args = {"SET", "clock", clock},
                                         .lens = {3, 5, strlen(clock)},
                                         .arg_count = 3,
                                         .deadline_ms = now_ms() + PATIENCE_MS},
                                        {.script = script,
                                         .deadline_ms = now_ms() + PATIENCE_MS,
                                         .done = take_numbers,
                                         .arg = &reply}};
    struct redis_command *call = &commands[1];
    for (int i = 0; i < BUCKETS; i++) {
        if (uses[i]) {
            call->args[call->arg_count] = keys[i];
            call->lens[call->arg_count++] = 1;
        }
    }
    call->key_count = call->arg_count;
    call->args[call->arg_count] = argument;
    call->lens[call->arg_count++] = len;
    assert_int_equal(redis_call(redis, commands, 2), 0);
    assert_int_equal(reply.calls, 1);
    return reply;
}

static size_t pack_limits(double *out, const struct asking *a)
{
    size_t n = 0;
    for (int i = 0; i < BUCKETS; i++) {
        if (a->uses[i]) {
            out[n++] = (double)a->rate[i];
            out[n++] = (double)a->burst[i];
            out[n++] = (double)a->version;
        }
    }
    return n;
}

static struct reply run_reserve(const struct asking *a, int64_t now)
{
    double numbers[5 + 3 * BUCKETS] = {a->want, (double)a->ahead_us, a->fence ? 1 : 0,
                                       a->elapsed_us == ENDLESS ? 1e18
                                                                : (double)a->elapsed_us,
                                       (double)a->lost_us};
    size_t n = 5 + pack_limits(numbers + 5, a);
    return run(reserve_script, a->uses, numbers, n * sizeof *numbers, now);
}

/* ---- chance, the same each time ---- */

static uint64_t seed;

static int64_t dice(int64_t low, int64_t high)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return low + (int64_t)(seed % (uint64_t)(high - low + 1));
}

static void throw_limits(struct asking *a, int64_t version)
{
    /* a version's limits are the same whoever brings them */
    for (int i = 0; i < BUCKETS; i++) {
        a->rate[i] = 1 + (version * 7919 + i * 104729) % 997;
        a->burst[i] = 1 + (version * 31 + i * 17) % 50;
    }
    a->version = version;
    int mask = (int)dice(1, (1 << BUCKETS) - 1);
    for (int i = 0; i < BUCKETS; i++) {
        a->uses[i] = mask & (1 << i);
    }
}

static int64_t next_time(int64_t now)
{
    switch (dice(0, 19)) {
    case 0:
        return now - dice(1, 5 * MICRO); /* set back */
    case 1:
        return now + dice(1, 3600) * MICRO;
    case 2:
        return now;
    default:
        return now + dice(1, MICRO / 4);
    }
}

static void step_reserve(struct bucket *model, int64_t version, int64_t now)
{
    struct asking a = {.want = (int)dice(1, 40),
                       .ahead_us = dice(0, 3) ? MICRO / 2 : 0,
                       .fence = dice(0, 19) == 0,
                       .elapsed_us = dice(0, 1) ? ENDLESS : dice(1, MICRO),
                       .lost_us = dice(0, 1) ? 0 : MICRO / 2};
    throw_limits(&a, version - (dice(0, 9) == 0));
    struct outcome expected = model_reserve(model, &a, now);
    struct reply got = run_reserve(&a, now);
    assert_int_equal((int64_t)got.numbers[0], expected.granted);
    assert_true(fabs(got.numbers[1] - expected.first_us) < 0.001);
    assert_true(fabs(got.numbers[2] - expected.last_us) < 0.001);
    size_t at = 5;
    for (int i = 0; i < BUCKETS; i++) {
        if (a.uses[i] && expected.granted > 0) {
            assert_true(got.numbers[at] == (double)model[i].level);
        }
        at += a.uses[i];
    }
    assert_int_equal(got.count, at);
}

static void step_refund(struct bucket *model, int64_t version, int64_t now)
{
    struct asking a = {0};
    char number[16];
    int n = (int)dice(1, 10);
    throw_limits(&a, version);
    for (int i = 0; i < BUCKETS; i++) {
        if (a.uses[i] && model[i].there) {
            model[i].level =
                least(model[i].level + (int64_t)n * MICRO, model[i].burst * MICRO);
        }
    }
    snprintf(number, sizeof number, "%d", n);
    (void)run(refund_script, a.uses, number, strlen(number), now);
}

static void step_penalty(struct bucket *model, int64_t version, int64_t now)
{
    struct asking a = {0};
    double numbers[1 + 3 * BUCKETS];
    int64_t silence_us = dice(1, 3 * MICRO);
    throw_limits(&a, version);
    for (int i = 0; i < BUCKETS; i++) {
        struct bucket *b = &model[i];
        if (a.uses[i] && !b->there) {
            *b = (struct bucket){.there = true,
                                 .rate = a.rate[i],
                                 .burst = a.burst[i],
                                 .version = version};
        }
        if (a.uses[i]) {
            b->level = least(b->level, -b->rate * silence_us);
            b->seen = now;
        }
    }
    numbers[0] = (double)silence_us;
    size_t n = 1 + pack_limits(numbers + 1, &a);
    (void)run(penalty_script, a.uses, numbers, n * sizeof *numbers, now);
}

static void limiter_scripts__agree_with_an_exact_model(void **state)
{
    struct bucket model[BUCKETS] = {0};
    int64_t now = now_wall_ms() * 1000;
    int64_t version = 1000;
    int64_t granted = 0;
    (void)state;
    seed = UINT64_C(0x9E3779B97F4A7C15);
    for (int i = 0; i < STEPS; i++) {
        now = next_time(now);
        int64_t what = dice(0, 99);
        if (what < 3) {
            /* keys expire by the real clock, which stands still here: drop them at will
             */
            assert_int_equal(ask(redis, "DEL a b c").rc, 0);
            memset(model, 0, sizeof model);
        } else if (what < 12) {
            step_refund(model, version, now);
        } else if (what < 18) {
            step_penalty(model, version, now);
        } else {
            version += dice(0, 49) == 0;
            step_reserve(model, version, now);
            granted++;
        }
    }
    assert_true(granted > STEPS / 2);
}

/* ---- clocks that jump ---- */

static struct asking saturating(int64_t elapsed_us)
{
    struct asking a = {.want = 16,
                       .ahead_us = MICRO / 2,
                       .elapsed_us = elapsed_us,
                       .rate = {100},
                       .burst = {400},
                       .version = 1,
                       .uses = {true}};
    return a;
}

/* One caller asks every 10 ms of its own time for 4 s; the server's clock is set by
 * `jump_us` in the middle. Returns slots granted. */
static int64_t granted_over_jump(int64_t jump_us)
{
    /* ahead of the real clock, by which the server ends its keys */
    int64_t start = now_wall_ms() * 1000 + INT64_C(86400) * MICRO;
    int64_t own = 0;
    int64_t granted_at = 0;
    int64_t granted = 0;
    assert_int_equal(ask(redis, "DEL a").rc, 0);
    for (own = 0; own < 4 * MICRO; own += 10000) {
        struct asking a = saturating(own - granted_at + 50000);
        int64_t now = start + own + (own >= 2 * MICRO ? jump_us : 0);
        struct reply reply = run_reserve(&a, now);
        if (reply.numbers[0] > 0) {
            granted_at = own;
            granted += (int64_t)reply.numbers[0];
        }
    }
    return granted;
}

static void limiter_reserve__is_not_fooled_by_a_jumping_clock(void **state)
{
    (void)state;
    int64_t steady = granted_over_jump(0);
    assert_in_range(steady, 4 * 100, 4 * 100 + 50);
    for (int64_t seconds = 3; seconds <= 3000; seconds *= 10) {
        /* ahead: what the caller cannot rule out, its interval and its timeout */
        assert_in_range(granted_over_jump(seconds * MICRO), steady, steady + 16 + 6);
        /* back: one interval is not credited */
        assert_in_range(granted_over_jump(-seconds * MICRO), steady - 3, steady);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    return cmocka_run_group_tests(tests, begin, end);
}
