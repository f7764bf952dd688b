#include "fleet/limiter.h"

#include <endian.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "base/str.h"
#include "wire/crypto.h"

/* Design. The scripts hold the arithmetic, this file the two things only a client knows:
 * how much time really went by (its own steady clock bounds what the server's clock may
 * credit) and when the answer came (slots count from then, so they are never early; an
 * answer older than a slot's life is given back instead of used). Lock order: a set's mu
 * is a leaf. */

enum {
    RECENT_MS = 10000, /* a written bucket lives at least so long: gone means lost */
    JITTER_MS = LIMITER_AHEAD_MS / 2, /* half the debt still covers the wait */
    ARGS_MAX = 5 + 3 * LIMITER_BUCKETS_MAX,
    REPLY_NUMBERS = 5,
    NOTE_OLD = 2,
    FREE_PER_S = 1000000, /* what a bucket that only holds penalties gives */
};

static const char reserve_text[] =
#include "fleet/limiter_reserve.lua.inc"
    ;
static const char refund_text[] =
#include "fleet/limiter_refund.lua.inc"
    ;
static const char penalty_text[] =
#include "fleet/limiter_penalty.lua.inc"
    ;

struct bucket {
    char *key;
    char *name; /* NULL: a silence of our own */
    double rate;
    double burst;
    bool shared;
    struct metric *wait; /* NULL without metrics */
    struct metric *denied;
    struct metric *tokens;
};

struct limiter_set {
    struct limiter_set *next; /* guarded by the limiter's mu */
    /* read-only after limiter_set_new */
    struct limiter *limiter;
    struct bucket buckets[LIMITER_BUCKETS_MAX];
    size_t n;
    size_t given; /* of the n, without the one for silence */

    atomic_int owners;
    pthread_mutex_t mu;
    /* guarded by mu */
    double version;
    int64_t granted_sent_us; /* when the last call that granted was sent; 0: none */
    uint64_t fenced;         /* the limiter's fences this set has answered to */
};

struct limiter {
    struct redis *redis;
    char *prefix;
    double version;
    int64_t timeout_ms;
    struct metrics *metrics;
    struct redis_script *reserve;
    struct redis_script *refund;
    struct redis_script *penalty;
    atomic_uint_fast64_t fences;
    pthread_mutex_t mu;
    struct limiter_set *sets; /* guarded by mu */
};

struct limiter *limiter_new(struct redis *redis, const struct limiter_options *options)
{
    struct limiter *limiter = mem_zalloc(sizeof *limiter);
    limiter->redis = redis;
    limiter->prefix = mem_strdup(options->prefix);
    limiter->version = options->version;
    limiter->timeout_ms = options->timeout_ms;
    limiter->metrics = options->metrics;
    limiter->reserve = redis_script_new(redis, reserve_text);
    limiter->refund = redis_script_new(redis, refund_text);
    limiter->penalty = redis_script_new(redis, penalty_text);
    MUST(pthread_mutex_init(&limiter->mu, NULL));
    return limiter;
}

static void set_release(struct limiter_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        free(set->buckets[i].key);
        free(set->buckets[i].name);
    }
    MUST(pthread_mutex_destroy(&set->mu));
    free(set);
}

void limiter_free(struct limiter *limiter)
{
    if (!limiter) {
        return;
    }
    while (limiter->sets) {
        struct limiter_set *set = limiter->sets;
        limiter->sets = set->next;
        set_release(set);
    }
    MUST(pthread_mutex_destroy(&limiter->mu));
    free(limiter->prefix);
    free(limiter);
}

static void make_metrics(struct metrics *metrics, const char *name, struct bucket *bucket)
{
    static const double bounds[] = {0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5};
    if (!metrics) {
        return;
    }
    struct metric_family *wait =
        metrics_family(metrics, METRIC_HISTOGRAM, "sluice_rate_limit_wait_seconds",
                       "limit", "How far in the future the first slot of a grant was.",
                       bounds, sizeof bounds / sizeof *bounds);
    struct metric_family *denied =
        metrics_family(metrics, METRIC_COUNTER, "sluice_rate_limit_denied_total", "limit",
                       "Asks that got no slot because too many are promised already.",
                       NULL, 0);
    struct metric_family *tokens =
        metrics_family(metrics, METRIC_GAUGE, "sluice_rate_limit_tokens", "limit",
                       "Tokens in the bucket as last seen; negative: slots promised.",
                       NULL, 0);
    bucket->wait = metrics_series(wait, name, NULL, NULL, NULL);
    bucket->denied = metrics_series(denied, name, NULL, NULL, NULL);
    bucket->tokens = metrics_series(tokens, name, NULL, NULL, NULL);
}

/* One slot of a cluster for all buckets, so that one script may touch several. */
static char *key_of(const struct limiter *limiter, const char *kind, const char *name)
{
    struct str key;
    str_init(&key);
    str_addf(&key, "%s:{limit}:%s", limiter->prefix, kind);
    str_add_percent(&key, name, strlen(name));
    char *text = str_take(&key);
    str_release(&key);
    return text;
}

/* No limit: a bucket in which a penalty shows, and nothing else. */
static void add_silence(struct limiter_set *set, const char *name)
{
    ASSERT(set->n < LIMITER_BUCKETS_MAX);
    set->buckets[set->n++] =
        (struct bucket){.key = key_of(set->limiter, "silence:", name),
                        .rate = FREE_PER_S,
                        .burst = FREE_PER_S};
}

struct limiter_set *limiter_set_new(struct limiter *limiter, const char *name,
                                    const struct limiter_bucket *buckets, size_t n)
{
    bool all_shared = n > 0;
    struct limiter_set *set = mem_zalloc(sizeof *set);
    set->limiter = limiter;
    set->fenced = atomic_load(&limiter->fences);
    set->version = limiter->version;
    atomic_init(&set->owners, 1);
    MUST(pthread_mutex_init(&set->mu, NULL));
    ASSERT(n < LIMITER_BUCKETS_MAX);
    for (size_t i = 0; i < n; i++) {
        ASSERT(buckets[i].rate_per_s > 0 && buckets[i].burst >= 1);
        all_shared = all_shared && buckets[i].shared;
        set->buckets[i] = (struct bucket){.key = key_of(limiter, "", buckets[i].name),
                                          .name = mem_strdup(buckets[i].name),
                                          .rate = buckets[i].rate_per_s,
                                          .burst = buckets[i].burst,
                                          .shared = buckets[i].shared};
        make_metrics(limiter->metrics, buckets[i].name, &set->buckets[i]);
    }
    set->n = n;
    set->given = n;
    if (all_shared) {
        add_silence(set, name);
    }
    MUST(pthread_mutex_lock(&limiter->mu));
    set->next = limiter->sets;
    limiter->sets = set;
    MUST(pthread_mutex_unlock(&limiter->mu));
    return set;
}

void limiter_measures(struct limiter *limiter, const char *name,
                      const struct metric **waited, const struct metric **tokens)
{
    *waited = NULL;
    *tokens = NULL;
    MUST(pthread_mutex_lock(&limiter->mu));
    for (struct limiter_set *set = limiter->sets; set && !*waited; set = set->next) {
        for (size_t i = 0; i < set->n; i++) {
            if (set->buckets[i].name && strcmp(set->buckets[i].name, name) == 0) {
                *waited = set->buckets[i].wait;
                *tokens = set->buckets[i].tokens;
            }
        }
    }
    MUST(pthread_mutex_unlock(&limiter->mu));
}

struct limiter_set *limiter_set_hold(struct limiter_set *set)
{
    atomic_fetch_add(&set->owners, 1);
    return set;
}

void limiter_set_free(struct limiter_set *set)
{
    if (atomic_fetch_sub(&set->owners, 1) > 1) {
        return;
    }
    MUST(pthread_mutex_lock(&set->limiter->mu));
    struct limiter_set **link = &set->limiter->sets;
    while (*link != set) {
        link = &(*link)->next;
    }
    *link = set->next;
    MUST(pthread_mutex_unlock(&set->limiter->mu));
    set_release(set);
}

bool limiter_set_is(const struct limiter_set *set, const struct limiter_bucket *buckets,
                    size_t n)
{
    bool same = n == set->given;
    for (size_t i = 0; i < n && same; i++) {
        const struct bucket *has = &set->buckets[i];
        char *key = key_of(set->limiter, "", buckets[i].name);
        same = strcmp(has->key, key) == 0 && has->rate == buckets[i].rate_per_s &&
               has->burst == buckets[i].burst && has->shared == buckets[i].shared;
        free(key);
    }
    return same;
}

void limiter_set_version(struct limiter_set *set, double version)
{
    MUST(pthread_mutex_lock(&set->mu));
    set->version = version;
    MUST(pthread_mutex_unlock(&set->mu));
}

void limiter_fence(struct limiter *limiter)
{
    atomic_fetch_add(&limiter->fences, 1);
}

/* ---- the scripts' numbers: little-endian doubles ---- */

struct numbers {
    unsigned char bytes[ARGS_MAX * 8];
    size_t len;
};

static void put(struct numbers *out, double value)
{
    uint64_t bits;
    ASSERT(out->len + sizeof bits <= sizeof out->bytes);
    memcpy(&bits, &value, sizeof bits);
    bits = htole64(bits);
    memcpy(out->bytes + out->len, &bits, sizeof bits);
    out->len += sizeof bits;
}

static double number_at(const char *bytes, size_t i)
{
    uint64_t bits;
    double value;
    memcpy(&bits, bytes + i * sizeof bits, sizeof bits);
    bits = le64toh(bits);
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void put_limit(struct numbers *out, const struct limiter_set *set, size_t i,
                      double version)
{
    put(out, set->buckets[i].rate);
    put(out, set->buckets[i].burst);
    put(out, version);
}

static double version_of(struct limiter_set *set)
{
    MUST(pthread_mutex_lock(&set->mu));
    double version = set->version;
    MUST(pthread_mutex_unlock(&set->mu));
    return version;
}

static struct redis_command command_new(const struct limiter_set *set,
                                        struct redis_script *script)
{
    return (struct redis_command){
        .script = script,
        .deadline_ms = now_ms() + set->limiter->timeout_ms,
        .idempotent = true,
    };
}

static void add_argument(struct redis_command *command, const void *bytes, size_t len)
{
    command->args[command->arg_count] = bytes;
    command->lens[command->arg_count++] = len;
}

static void add_key(struct redis_command *command, const struct bucket *bucket)
{
    add_argument(command, bucket->key, strlen(bucket->key));
    command->key_count++;
}

static struct redis_command command_on(const struct limiter_set *set,
                                       struct redis_script *script, const void *argument,
                                       size_t len)
{
    struct redis_command command = command_new(set, script);
    for (size_t i = 0; i < set->n; i++) {
        add_key(&command, &set->buckets[i]);
    }
    add_argument(&command, argument, len);
    return command;
}

/* ---- reserve ---- */

struct call {
    struct limiter_ask *ask;
    struct numbers numbers;
    int64_t sent_us;
    uint64_t fences; /* that this call carries */
};

static int64_t jittered_ms(int64_t ms)
{
    return ms + (int64_t)(crypto_random_u64() % (JITTER_MS + 1));
}

static int64_t ceil_ms(double us)
{
    return (int64_t)ceil(us / 1000);
}

static void call_begin(struct call *call, struct limiter_ask *ask)
{
    struct limiter_set *set = ask->set;
    call->ask = ask;
    call->fences = atomic_load(&set->limiter->fences);
    MUST(pthread_mutex_lock(&set->mu));
    call->sent_us = now_us();
    int64_t since_us = call->sent_us - set->granted_sent_us;
    bool granted_before = set->granted_sent_us != 0;
    bool fence = set->fenced != call->fences;
    double version = set->version;
    MUST(pthread_mutex_unlock(&set->mu));
    bool recent = granted_before && since_us < (int64_t)RECENT_MS * 1000;
    /* the script may run as late as the deadline, so that much more may have passed */
    double elapsed_us = (double)(since_us + set->limiter->timeout_ms * 1000);
    put(&call->numbers, ask->want);
    put(&call->numbers, LIMITER_AHEAD_MS * 1000.0);
    put(&call->numbers, fence ? 1 : 0);
    put(&call->numbers, granted_before ? elapsed_us : 1e18);
    put(&call->numbers, recent ? LIMITER_AHEAD_MS * 1000.0 : 0);
    for (size_t i = 0; i < set->n; i++) {
        put_limit(&call->numbers, set, i, version);
    }
}

static void note_answer(struct limiter_set *set, const struct call *call, int granted)
{
    MUST(pthread_mutex_lock(&set->mu));
    if (granted > 0 && call->sent_us > set->granted_sent_us) {
        set->granted_sent_us = call->sent_us;
    }
    if (call->fences > set->fenced) {
        set->fenced = call->fences;
    }
    MUST(pthread_mutex_unlock(&set->mu));
}

static void measure(const struct limiter_set *set, int granted, double first_us,
                    const char *levels)
{
    for (size_t i = 0; i < set->n; i++) {
        const struct bucket *bucket = &set->buckets[i];
        if (!bucket->tokens) {
            continue;
        }
        metric_set(bucket->tokens, number_at(levels, i) / 1000000);
        if (granted > 0) {
            metric_observe(bucket->wait, first_us > 0 ? first_us / 1000000 : 0);
        } else {
            metric_inc(bucket->denied);
        }
    }
}

/* Slots that came so late that their life is over: better another's than lost. */
static void give_back_late(struct limiter_ask *ask, int granted, int64_t age_us)
{
    if (age_us < (LIMITER_AHEAD_MS + LIMITER_USE_MS) * INT64_C(1000)) {
        limiter_refund(ask->set->limiter, ask->set, granted);
    }
    LOG(LOG_WARN, "rate limit answered too late to be used", LI("age_us", age_us), LEND);
}

static void answered(void *arg, int rc, const struct redis_reply *reply)
{
    struct call *call = arg;
    struct limiter_ask *ask = call->ask;
    int64_t got_us = now_us();
    size_t len = 0;
    const char *bytes = rc == 0 ? redis_reply_text(reply, &len) : "";
    if (rc == 0 && redis_reply_kind(reply) == REDIS_ERROR) {
        LOG(LOG_WARN, "redis refused a rate limit", LS("error", bytes), LEND);
        return;
    }
    if (len != (REPLY_NUMBERS + ask->set->n) * sizeof(double)) {
        return;
    }
    int granted = (int)number_at(bytes, 0);
    double first_us = number_at(bytes, 1);
    double last_us = number_at(bytes, 2);
    if ((int)number_at(bytes, 4) & NOTE_OLD) {
        LOG(LOG_WARN, "redis holds newer limits than this worker's configuration",
            LS("limit", ask->set->buckets[0].key), LEND);
    }
    note_answer(ask->set, call, granted);
    measure(ask->set, granted, first_us, bytes + REPLY_NUMBERS * sizeof(double));
    ask->granted = granted;
    ask->first_ms = ceil_ms((double)got_us + (first_us > 0 ? first_us : 0));
    ask->last_ms = ceil_ms((double)got_us + (last_us > 0 ? last_us : 0));
    double again_us = number_at(bytes, 3);
    ask->again_ms = jittered_ms(ceil_ms((double)got_us + (again_us > 0 ? again_us : 0)));
    int64_t age_us = got_us - call->sent_us;
    if (granted > 0 && age_us > LIMITER_USE_MS * INT64_C(1000)) {
        give_back_late(ask, granted, age_us);
        ask->granted = 0;
        ask->again_ms = jittered_ms(now_ms());
    }
}

int limiter_reserve(struct limiter *limiter, struct limiter_ask *asks, size_t n)
{
    struct call *calls = mem_array(n, sizeof *calls);
    struct redis_command *commands = mem_array(n, sizeof *commands);
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        struct limiter_ask *ask = &asks[i];
        ASSERT(ask->want >= 1);
        int64_t now = now_ms();
        ask->granted = ask->set->n == 0 ? ask->want : -1;
        ask->first_ms = now;
        ask->last_ms = now;
        ask->again_ms = jittered_ms(now);
        if (ask->set->n > 0) {
            struct call *call = &calls[count];
            call_begin(call, ask);
            commands[count] = command_on(ask->set, limiter->reserve, call->numbers.bytes,
                                         call->numbers.len);
            commands[count].name = "reserve";
            commands[count].done = answered;
            commands[count].arg = call;
            count++;
        }
    }
    int rc = redis_call(limiter->redis, commands, count);
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = asks[i].granted < 0 ? -EIO : 0;
    }
    free(commands);
    free(calls);
    return rc == 0 || rc == -ETIMEDOUT ? rc : -EIO;
}

int64_t limiter_slot_ms(const struct limiter_ask *ask, int i)
{
    ASSERT(i >= 0 && i < ask->granted);
    if (ask->granted == 1) {
        return ask->first_ms;
    }
    int64_t span = ask->last_ms - ask->first_ms;
    int64_t steps = ask->granted - 1;
    return ask->first_ms + (span * i + steps - 1) / steps;
}

/* ---- refund and penalty ---- */

void limiter_refund(struct limiter *limiter, struct limiter_set *set, int n)
{
    char number[16];
    if (n <= 0 || set->n == 0) {
        return;
    }
    int len = snprintf(number, sizeof number, "%d", n);
    struct redis_command command = command_on(set, limiter->refund, number, (size_t)len);
    command.idempotent = false; /* given back twice would be too much */
    redis_send(limiter->redis, &command, 1);
}

void limiter_penalty(struct limiter *limiter, struct limiter_set *set,
                     int64_t retry_after_ms)
{
    struct numbers numbers = {.len = 0};
    if (retry_after_ms <= 0 || set->n == 0) {
        return;
    }
    struct redis_command command = command_new(set, limiter->penalty);
    double version = version_of(set);
    put(&numbers, (double)retry_after_ms * 1000);
    for (size_t i = 0; i < set->n; i++) {
        if (!set->buckets[i].shared) {
            add_key(&command, &set->buckets[i]);
            put_limit(&numbers, set, i, version);
        }
    }
    add_argument(&command, numbers.bytes, numbers.len);
    redis_send(limiter->redis, &command, 1);
}
