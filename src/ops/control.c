/* Design. What was read is copied on the redis thread and taken apart by whoever looks,
 * so that the redis thread parses nothing. HGETALL and TIME go out as one pipeline: ends
 * of pauses are in Redis' time, and are kept here as moments of our own steady clock, so
 * that they come also while Redis is gone. */
#include "ops/control.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "ops/key.h"
#include "put.h"

struct pair {
    char *name;
    char *value;
};

struct reading {
    struct pair *pairs;
    size_t count;
    int64_t redis_ms; /* 0: none */
};

struct pause {
    char target[OPTION_NAME_MAX];
    int64_t until_ms; /* monotonic; NOW_FOREVER: until it is resumed */
};

struct control {
    /* read-only after start */
    struct redis *redis;
    char *key;
    char *id;
    char *boot;

    pthread_mutex_t mu;
    /* guarded by mu */
    struct reading coming; /* its hash has come, its time has not */
    struct reading come;   /* not looked at yet */
    bool asked;            /* and not answered */

    /* of the thread that looks */
    int64_t next_ms;
    struct pause *pauses;
    size_t pause_count;
    struct control_orders orders;
    bool read_once;
    int64_t first_reload; /* the one that was there at the start */
    int64_t obeyed;       /* said last */
};

static char *key_of(const struct config *config)
{
    struct str key;
    str_init(&key);
    ops_key(config, "control", &key);
    return str_take(&key);
}

struct control *control_start(struct redis *redis, const struct config *config,
                              const char *boot)
{
    struct control *c = mem_zalloc(sizeof *c);
    c->redis = redis;
    c->key = key_of(config);
    c->id = mem_strdup(config->kafka.client_id);
    c->boot = mem_strdup(boot);
    c->pauses = mem_array(CONFIG_TARGETS_MAX, sizeof *c->pauses);
    MUST(pthread_mutex_init(&c->mu, NULL));
    return c;
}

static void reading_release(struct reading *reading)
{
    for (size_t i = 0; i < reading->count; i++) {
        free(reading->pairs[i].name);
        free(reading->pairs[i].value);
    }
    free(reading->pairs);
    *reading = (struct reading){0};
}

void control_free(struct control *c)
{
    reading_release(&c->coming);
    reading_release(&c->come);
    MUST(pthread_mutex_destroy(&c->mu));
    free(c->pauses);
    free(c->key);
    free(c->id);
    free(c->boot);
    free(c);
}

/* --- reading --- */

/* redis thread */
static void on_hash(void *arg, int rc, const struct redis_reply *reply)
{
    struct control *c = arg;
    size_t n = rc == 0 && redis_reply_kind(reply) == REDIS_ARRAY
                   ? redis_reply_count(reply) / 2
                   : 0;
    MUST(pthread_mutex_lock(&c->mu));
    reading_release(&c->coming);
    c->coming.pairs = mem_array(n + 1, sizeof *c->coming.pairs);
    for (size_t i = 0; i < n; i++) {
        size_t len;
        const char *name = redis_reply_text(redis_reply_at(reply, 2 * i), &len);
        c->coming.pairs[i].name = mem_strndup(name, len);
        const char *value = redis_reply_text(redis_reply_at(reply, 2 * i + 1), &len);
        c->coming.pairs[i].value = mem_strndup(value, len);
    }
    c->coming.count = n;
    c->coming.redis_ms =
        rc == 0 && redis_reply_kind(reply) == REDIS_ARRAY ? 1 : 0; /* until on_time */
    MUST(pthread_mutex_unlock(&c->mu));
}

static int64_t time_of(const struct redis_reply *reply)
{
    int64_t s = 0;
    int64_t us = 0;
    const char *first = redis_reply_text(redis_reply_at(reply, 0), NULL);
    const char *second = redis_reply_text(redis_reply_at(reply, 1), NULL);
    if (text_parse_int(first, 0, INT64_MAX / 1000, &s) ||
        text_parse_int(second, 0, 1000000, &us)) {
        return 0;
    }
    return s * 1000 + us / 1000;
}

/* redis thread */
static void on_time(void *arg, int rc, const struct redis_reply *reply)
{
    struct control *c = arg;
    bool good = rc == 0 && redis_reply_kind(reply) == REDIS_ARRAY &&
                redis_reply_count(reply) == 2;
    int64_t redis_ms = good ? time_of(reply) : 0;
    MUST(pthread_mutex_lock(&c->mu));
    c->asked = false;
    if (redis_ms > 0 && c->coming.redis_ms > 0) {
        reading_release(&c->come);
        c->come = c->coming;
        c->come.redis_ms = redis_ms;
        c->coming = (struct reading){0};
    }
    MUST(pthread_mutex_unlock(&c->mu));
}

static void ask(struct control *c, int64_t now)
{
    MUST(pthread_mutex_lock(&c->mu));
    bool wait = c->asked || now < c->next_ms;
    c->asked = c->asked || !wait;
    MUST(pthread_mutex_unlock(&c->mu));
    if (wait) {
        return;
    }
    c->next_ms = now + CONTROL_EVERY_MS;
    struct redis_command commands[] = {{.args = {"HGETALL", c->key},
                                        .lens = {7, strlen(c->key)},
                                        .arg_count = 2,
                                        .deadline_ms = now + CONTROL_OBEY_MS,
                                        .idempotent = true,
                                        .done = on_hash,
                                        .arg = c},
                                       {.args = {"TIME"},
                                        .lens = {4},
                                        .arg_count = 1,
                                        .deadline_ms = now + CONTROL_OBEY_MS,
                                        .idempotent = true,
                                        .done = on_time,
                                        .arg = c}};
    redis_send(c->redis, commands, 2);
}

/* --- taking it apart --- */

static int64_t number_in(struct json_object *doc, const char *pointer)
{
    struct json_object *value = json_at(doc, pointer);
    return value ? json_object_get_int64(value) : 0;
}

static const char *text_in(struct json_object *doc, const char *pointer)
{
    const char *value = json_string_at(doc, pointer, NULL);
    return value ? value : "";
}

static void take_pause(struct control *c, const char *target, struct json_object *doc,
                       int64_t redis_ms, int64_t now)
{
    int64_t until_ms = number_in(doc, "/until_ms");
    if (c->pause_count == CONFIG_TARGETS_MAX || (until_ms > 0 && until_ms <= redis_ms)) {
        return;
    }
    struct pause *pause = &c->pauses[c->pause_count++];
    snprintf(pause->target, sizeof pause->target, "%s", target);
    pause->until_ms = until_ms > 0 ? now + (until_ms - redis_ms) : NOW_FOREVER;
}

static void take_reload(struct control *c, struct json_object *doc)
{
    c->orders.reload = number_in(doc, "/number");
    snprintf(c->orders.who, sizeof c->orders.who, "%s", text_in(doc, "/who"));
    snprintf(c->orders.why, sizeof c->orders.why, "%s", text_in(doc, "/why"));
}

static void take_pair(struct control *c, const struct pair *pair, int64_t redis_ms,
                      int64_t now)
{
    struct json_object *doc = NULL;
    if (strcmp(pair->name, "order") == 0) {
        if (text_parse_int(pair->value, 0, INT64_MAX, &c->orders.number)) {
            c->orders.number = 0;
        }
        return;
    }
    if (text_starts(pair->name, "seen:") && strcmp(pair->name + 5, c->id) == 0) {
        (void)text_parse_int(pair->value, 0, INT64_MAX, &c->obeyed);
        return;
    }
    bool pause = text_starts(pair->name, "pause:");
    bool drain = text_starts(pair->name, "drain:") && strcmp(pair->name + 6, c->id) == 0;
    bool reload = strcmp(pair->name, "reload") == 0;
    if ((!pause && !drain && !reload) ||
        json_parse(pair->value, strlen(pair->value), &doc, NULL)) {
        return;
    }
    if (pause) {
        take_pause(c, pair->name + 6, doc, redis_ms, now);
    } else if (reload) {
        take_reload(c, doc);
    } else {
        /* one of an earlier life is none */
        c->orders.drain = strcmp(text_in(doc, "/boot"), c->boot) == 0;
    }
    json_free(doc);
}

static void take(struct control *c, const struct reading *reading, int64_t now)
{
    c->pause_count = 0;
    c->obeyed = 0; /* what Redis lost is said again */
    c->orders = (struct control_orders){.number = 0};
    for (size_t i = 0; i < reading->count; i++) {
        take_pair(c, &reading->pairs[i], reading->redis_ms, now);
    }
    if (!c->read_once) {
        c->read_once = true;
        c->first_reload = c->orders.reload;
    }
    if (c->orders.reload <= c->first_reload) {
        c->orders.reload = 0;
    }
}

void control_look(struct control *c, int64_t now, struct control_orders *orders)
{
    ask(c, now);
    MUST(pthread_mutex_lock(&c->mu));
    struct reading reading = c->come;
    c->come = (struct reading){0};
    MUST(pthread_mutex_unlock(&c->mu));
    if (reading.redis_ms > 0) {
        take(c, &reading, now);
    }
    reading_release(&reading);
    c->orders.paused_count = 0;
    for (size_t i = 0; i < c->pause_count; i++) {
        if (now < c->pauses[i].until_ms) {
            c->orders.paused[c->orders.paused_count++] = c->pauses[i].target;
        }
    }
    c->orders.known = c->read_once;
    *orders = c->orders;
}

/* --- saying what was done --- */

static void tell(struct control *c, const char *kind, const char *value)
{
    struct str field;
    str_init(&field);
    str_addf(&field, "%s:%s", kind, c->id);
    struct redis_command command = {.args = {value ? "HSET" : "HDEL", c->key, field.data,
                                             value ? value : ""},
                                    .lens = {4, strlen(c->key), field.len,
                                             value ? strlen(value) : 0},
                                    .arg_count = value ? 4 : 3,
                                    .deadline_ms = now_ms() + CONTROL_OBEY_MS,
                                    .idempotent = true};
    redis_send(c->redis, &command, 1);
    str_release(&field);
}

void control_obeyed(struct control *c, int64_t number)
{
    char text[24];
    if (number == c->obeyed || number == 0) {
        return;
    }
    c->obeyed = number;
    snprintf(text, sizeof text, "%lld", (long long)number);
    tell(c, "seen", text);
}

void control_reloaded(struct control *c, int64_t number, bool taken, const char *outcome)
{
    struct str json;
    struct json_object *o = json_object_new_object();
    put_count(o, "number", number);
    put_flag(o, "ok", taken);
    put_text(o, "text", outcome);
    str_init(&json);
    json_print(o, &json);
    json_free(o);
    tell(c, "reloaded", json.data);
    str_release(&json);
}

void control_stop(struct control *c)
{
    if (redis_is_connected(c->redis)) {
        tell(c, "seen", NULL);
        tell(c, "reloaded", NULL);
        tell(c, "drain", NULL);
    }
}
