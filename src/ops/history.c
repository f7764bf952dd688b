/* Design. A lane says how its batch was settled; what of it is kept is decided under one
 * lock by three allowances a second, so that a fleet at full speed pays a few per cent
 * and not a round trip for each event. Failures have an allowance of their own: they are
 * what is looked for later. */
#include "ops/history.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "fleet/intake.h"
#include "history_text.h"
#include "ops/key.h"
#include "wire/redis_ask.h"

static const char add_text[] =
#include "ops/history_add.lua.inc"
    ;

enum {
    KEYS_AND_LIMITS = 7,
    WORDS_A_CHAPTER = 3,
    CHAPTERS_A_CALL = (REDIS_ARGS_MAX - KEYS_AND_LIMITS) / WORDS_A_CHAPTER,
    TIMEOUT_MS = 2000,
    NUMBER_LEN = 24,
    REASONS_A_BATCH = 16, /* further ones are counted with the next dead letter */
};

/* So many a second, and how many were left out since the last one that passed. */
struct allowance {
    int per_s;
    int64_t second;
    int taken;
    int64_t missed;
};

struct history {
    const struct config *config;
    struct redis *redis;
    struct redis_script *add;
    char *index_key;
    char *apps_key;
    char *recent_key;
    char *dead_key;
    char cap[NUMBER_LEN];
    char ttl[NUMBER_LEN];
    char chapters[NUMBER_LEN];
    char apps[NUMBER_LEN];
    char of_app[NUMBER_LEN];
    struct metric *dropped;
    pthread_mutex_t mu;
    /* guarded by mu */
    struct allowance plain;
    struct allowance trouble;
    struct allowance shown;
    struct allowance shown_trouble;
};

static bool take(struct history *h, struct allowance *a, int64_t *missed)
{
    int64_t second = now_ms() / 1000;
    MUST(pthread_mutex_lock(&h->mu));
    if (second != a->second) {
        a->second = second;
        a->taken = 0;
    }
    bool got = a->taken < a->per_s;
    if (got) {
        a->taken++;
        *missed = a->missed;
        a->missed = 0;
    } else {
        a->missed++;
    }
    MUST(pthread_mutex_unlock(&h->mu));
    return got;
}

static bool is_trouble(const struct unit *unit)
{
    return unit->verdict == VERDICT_DEFERRED || unit->verdict == VERDICT_DEAD ||
           unit->attempts > 1 || unit->round > 0;
}

static bool has_trouble(const struct batch_event *be)
{
    for (size_t i = 0; i < be->unit_count; i++) {
        if (is_trouble(&be->units[i])) {
            return true;
        }
    }
    return false;
}

/* --- chapters --- */

struct call {
    struct redis_command command;
    struct str texts[CHAPTERS_A_CALL];
    struct str apps[CHAPTERS_A_CALL];
    size_t count;
};

static void call_begin(const struct history *h, struct call *call)
{
    call->count = 0;
    call->command = redis_words(now_ms() + TIMEOUT_MS, false, h->index_key, h->apps_key,
                                h->ttl, h->cap, h->chapters, h->apps, h->of_app, NULL);
    call->command.script = h->add;
    call->command.key_count = 2;
    call->command.name = "history";
}

static void call_send(struct history *h, struct call *call)
{
    if (call->count > 0) {
        redis_send(h->redis, &call->command, 1);
    }
    for (size_t i = 0; i < call->count; i++) {
        str_release(&call->texts[i]);
        str_release(&call->apps[i]);
    }
    call->count = 0;
}

static void add_word(struct redis_command *c, const char *text, size_t len)
{
    c->args[c->arg_count] = text;
    c->lens[c->arg_count++] = len;
}

static void call_add(struct call *call, const char *id, struct str *chapter,
                     struct str *app)
{
    add_word(&call->command, id, strlen(id));
    add_word(&call->command, chapter->data, chapter->len);
    add_word(&call->command, app->data, app->len);
    call->texts[call->count] = *chapter; /* the structs move, their bytes stay */
    call->apps[call->count++] = *app;
}

static void write_chapters(struct history *h, const struct lane *lane,
                           const struct batch_of_events *batch, int64_t now_wall)
{
    struct call call;
    call_begin(h, &call);
    for (size_t i = 0; i < batch->event_count; i++) {
        const struct batch_event *be = &batch->events[i];
        const char *id = be->decoded ? be->event.fields[EVENT_ID] : NULL;
        int64_t missed;
        if (!id) {
            continue;
        }
        if (!take(h, has_trouble(be) ? &h->trouble : &h->plain, &missed)) {
            metric_inc(h->dropped);
            continue;
        }
        struct str chapter;
        struct str app;
        str_init(&chapter);
        str_init(&app);
        history_chapter(lane, batch, be, now_wall, &chapter);
        history_app(be, &app);
        call_add(&call, id, &chapter, &app);
        if (call.count == CHAPTERS_A_CALL) {
            call_send(h, &call);
            call_begin(h, &call);
        }
    }
    call_send(h, &call);
}

/* --- deliveries --- */

static void show(struct history *h, const struct lane *lane, const struct unit *unit,
                 int64_t now_wall)
{
    char about[NUMBER_LEN];
    int64_t more;
    if (unit->verdict == VERDICT_RETURNED || intake_still_held(unit) ||
        !take(h, is_trouble(unit) ? &h->shown_trouble : &h->shown, &more)) {
        return;
    }
    struct str delivery;
    str_init(&delivery);
    history_delivery(lane, unit, now_wall, more, &delivery);
    snprintf(about, sizeof about, "%d", HISTORY_RECENT_MAX);
    struct redis_command command =
        redis_words(now_ms() + TIMEOUT_MS, false, "XADD", h->recent_key, "MAXLEN", "~",
                    about, "*", "d", delivery.data, NULL);
    redis_send(h->redis, &command, 1);
    str_release(&delivery);
}

/* --- dead letters --- */

struct dead_count {
    char field[256];
    int count;
};

static void count_one(struct dead_count *counts, size_t *n, const char *field)
{
    for (size_t i = 0; i < *n; i++) {
        if (strcmp(counts[i].field, field) == 0) {
            counts[i].count++;
            return;
        }
    }
    if (*n < REASONS_A_BATCH) {
        snprintf(counts[*n].field, sizeof counts[*n].field, "%s", field);
        counts[(*n)++].count = 1;
    }
}

static void count_dead(struct history *h, const struct batch_of_events *batch)
{
    struct dead_count counts[REASONS_A_BATCH];
    size_t n = 0;
    for (size_t i = 0; i < batch->unit_count; i++) {
        const struct unit *unit = &batch->units[i];
        char field[256];
        if (unit->verdict == VERDICT_DEAD) {
            history_dead_field(unit->target ? unit->target->config->name
                                            : unit->event->target_name,
                               unit->reason, field, sizeof field);
            count_one(counts, &n, field);
        }
    }
    for (size_t i = 0; i < n; i++) {
        char by[NUMBER_LEN];
        snprintf(by, sizeof by, "%d", counts[i].count);
        struct redis_command command =
            redis_words(now_ms() + TIMEOUT_MS, false, "HINCRBY", h->dead_key,
                        counts[i].field, by, NULL);
        redis_send(h->redis, &command, 1);
    }
}

void history_dead_field(const char *target, const char *reason, char *field, size_t len)
{
    snprintf(field, len, "%.120s|%.100s", target ? target : "none", reason);
}

void history_settled(void *history, const struct lane *lane,
                     const struct batch_of_events *batch)
{
    struct history *h = history;
    int64_t now_wall = now_wall_ms();
    if (!redis_is_connected(h->redis)) {
        metric_add(h->dropped, (double)batch->event_count);
        return;
    }
    write_chapters(h, lane, batch, now_wall);
    for (size_t i = 0; i < batch->unit_count; i++) {
        show(h, lane, &batch->units[i], now_wall);
    }
    count_dead(h, batch);
}

/* --- life --- */

static char *key_of(const struct config *config, const char *name)
{
    struct str key;
    str_init(&key);
    ops_key(config, name, &key);
    char *text = str_take(&key);
    str_release(&key);
    return text;
}

struct history *history_new(const struct config *config, struct redis *redis,
                            struct metrics *metrics)
{
    if (config->history.events == 0) {
        return NULL;
    }
    struct history *h = mem_zalloc(sizeof *h);
    h->config = config;
    h->redis = redis;
    h->add = redis_script_new(redis, add_text);
    h->index_key = key_of(config, "events");
    h->apps_key = key_of(config, "apps");
    h->recent_key = key_of(config, "recent");
    h->dead_key = key_of(config, "dead");
    snprintf(h->cap, sizeof h->cap, "%lld", (long long)config->history.events);
    snprintf(h->ttl, sizeof h->ttl, "%lld", (long long)config->history.ttl_ms);
    snprintf(h->chapters, sizeof h->chapters, "%d", HISTORY_CHAPTERS_MAX);
    snprintf(h->apps, sizeof h->apps, "%d", HISTORY_APPS_MAX);
    snprintf(h->of_app, sizeof h->of_app, "%d", HISTORY_EVENTS_OF_APP);
    h->plain.per_s = h->trouble.per_s = HISTORY_PER_S;
    h->shown.per_s = HISTORY_SAMPLE_PER_S;
    h->shown_trouble.per_s = HISTORY_TROUBLE_PER_S;
    h->dropped = metrics_series(
        metrics_family(metrics, METRIC_COUNTER, "sluice_history_dropped_total", "",
                       "Events whose story was left out: too many a second, or no Redis",
                       NULL, 0),
        NULL, NULL, NULL, NULL);
    MUST(pthread_mutex_init(&h->mu, NULL));
    return h;
}

void history_free(struct history *h)
{
    if (!h) {
        return;
    }
    MUST(pthread_mutex_destroy(&h->mu));
    free(h->index_key);
    free(h->apps_key);
    free(h->recent_key);
    free(h->dead_key);
    free(h);
}
