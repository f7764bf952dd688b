/* The operator's side: orders are written, and the workers' answers awaited. */
#include "ops/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "ops/audit.h"
#include "ops/key.h"
#include "ops/snapshot.h"
#include "ops/words.h"
#include "put.h"
#include "sync/ctx.h"
#include "wire/json.h"
#include "wire/redis_ask.h"

enum { LOOK_MS = 50, ASK_MS = 5000, CONSUMERS_MAX = 4096 };

/* --- who is there --- */

enum { CONTROL, BEATS, TIMES, CLOCK, ASKED };

struct view {
    struct redis_value values[ASKED];
    int64_t redis_ms;
};

static void view_release(struct view *view)
{
    redis_values_release(view->values, ASKED);
}

static int look(struct ops_place *place, struct view *view, struct err *err)
{
    static const char *const names[] = {"control", "beats", "beat-times"};
    struct str keys[3];
    int64_t until_ms = now_ms() + ASK_MS;
    for (size_t i = 0; i < 3; i++) {
        str_init(&keys[i]);
        ops_key(place->config, names[i], &keys[i]);
    }
    struct redis_command commands[ASKED] =
        {[CONTROL] = redis_words(until_ms, true, "HGETALL", keys[0].data, NULL),
         [BEATS] = redis_words(until_ms, true, "HGETALL", keys[1].data, NULL),
         [TIMES] = redis_words(until_ms, true, "ZRANGE", keys[2].data, "0", "-1",
                               "WITHSCORES", NULL),
         [CLOCK] = redis_words(until_ms, true, "TIME", NULL)};
    int rc = redis_ask(place->redis, commands, ASKED, view->values, err);
    for (size_t i = 0; i < 3; i++) {
        str_release(&keys[i]);
    }
    if (rc == 0 && view->values[CLOCK].count == 2) {
        view->redis_ms = strtoll(view->values[CLOCK].items[0].text, NULL, 10) * 1000 +
                         strtoll(view->values[CLOCK].items[1].text, NULL, 10) / 1000;
    }
    return rc;
}

/* Give fn every consumer whose last beat is young; doc: its heartbeat. Returns how many.
 */
typedef void alive_fn(void *arg, const char *id, struct json_object *doc);
static int each_alive(const struct view *view, alive_fn *fn, void *arg)
{
    int n = 0;
    const struct redis_value *times = &view->values[TIMES];
    for (size_t i = 0; i + 1 < times->count && n < CONSUMERS_MAX; i += 2) {
        const char *id = times->items[i].text;
        const struct redis_value *json = redis_value_field(&view->values[BEATS], id);
        int64_t age_ms = view->redis_ms - strtoll(times->items[i + 1].text, NULL, 10);
        struct json_object *doc = NULL;
        if (age_ms > SNAPSHOT_LATE_MS || !json || !json->text ||
            json_parse(json->text, json->len, &doc, NULL)) {
            continue;
        }
        fn(arg, id, doc);
        json_free(doc);
        n++;
    }
    return n;
}

/* "seen:c-1" -> its number, or 0. */
static int64_t seen_by(const struct view *view, const char *id)
{
    struct str field;
    str_init(&field);
    str_addf(&field, "seen:%s", id);
    const struct redis_value *value =
        redis_value_field(&view->values[CONTROL], field.data);
    int64_t number = value && value->text ? strtoll(value->text, NULL, 10) : 0;
    str_release(&field);
    return number;
}

struct count {
    const struct view *view;
    int64_t number;
    int obeyed;
};

static void count_obeyed(void *arg, const char *id, struct json_object *doc)
{
    (void)doc;
    struct count *count = arg;
    count->obeyed += seen_by(count->view, id) >= count->number;
}

/* Who was killed has not taken back what it said: what is of consumers that even the
 * heartbeats have forgotten goes. One that lives says it again. */
static void forget_gone(struct ops_place *place, const struct view *view)
{
    struct str key;
    str_init(&key);
    ops_key(place->config, "control", &key);
    struct redis_command command =
        redis_words(now_ms() + ASK_MS, true, "HDEL", key.data, NULL);
    const struct redis_value *control = &view->values[CONTROL];
    for (size_t i = 0; i + 1 < control->count; i += 2) {
        const struct redis_value *name = &control->items[i];
        bool said = name->text && (text_starts(name->text, "seen:") ||
                                   text_starts(name->text, "reloaded:"));
        if (said && command.arg_count < REDIS_ARGS_MAX &&
            !redis_value_field(&view->values[TIMES], strchr(name->text, ':') + 1)) {
            command.args[command.arg_count] = name->text;
            command.lens[command.arg_count++] = name->len;
        }
    }
    if (command.arg_count > 2) {
        redis_send(place->redis, &command, 1);
    }
    str_release(&key);
}

/* Until every worker has seen the order, or the patience is over. */
static int await_obeyed(struct ops_place *place, struct control_answer *answer,
                        struct err *err)
{
    int rc = 0;
    int64_t until_ms = now_ms() + CONTROL_OBEY_MS;
    struct ctx *ctx = ctx_new(place->ctx, NOW_FOREVER);
    do {
        struct view view = {.redis_ms = 0};
        rc = look(place, &view, err);
        struct count count = {&view, answer->number, 0};
        if (rc == 0) {
            answer->consumers = each_alive(&view, count_obeyed, &count);
            answer->obeyed = count.obeyed;
            if (answer->obeyed >= answer->consumers) {
                forget_gone(place, &view);
            }
        }
        view_release(&view);
    } while (rc == 0 && answer->obeyed < answer->consumers && now_ms() < until_ms &&
             ctx_sleep(ctx, now_ms() + LOOK_MS) != -ECANCELED);
    ctx_free(ctx);
    return rc;
}

/* --- writing an order --- */

/* value  takes; NULL: the order is taken back. number: of a count taken before, or 0. */
static int write_order(struct ops_place *place, const char *field,
                       struct json_object *value, struct control_answer *answer,
                       struct err *err)
{
    struct str key;
    struct str json;
    struct redis_value values[2];
    int64_t until_ms = now_ms() + ASK_MS;
    str_init(&key);
    str_init(&json);
    ops_key(place->config, "control", &key);
    if (value) {
        json_print(value, &json);
    }
    struct redis_command commands[2] =
        {value ? redis_words(until_ms, false, "HSET", key.data, field, json.data, NULL)
               : redis_words(until_ms, false, "HDEL", key.data, field, NULL),
         redis_words(until_ms, false, "HINCRBY", key.data, "order", "1", NULL)};
    int rc = redis_ask(place->redis, commands, 2, values, err);
    if (rc == 0) {
        answer->number = values[1].integer;
    }
    redis_values_release(values, 2);
    str_release(&key);
    str_release(&json);
    json_free(value);
    return rc;
}

static struct json_object *order_of(const struct ops_place *place, const char *reason,
                                    int64_t redis_ms)
{
    struct json_object *o = json_object_new_object();
    put_text(o, "reason", reason);
    put_text(o, "why", reason);
    put_text(o, "who", place->who);
    put_count(o, "at_ms", redis_ms);
    return o;
}

static void note(struct ops_place *place, const char *kind, const char *what,
                 const char *why, const char *text, int64_t order)
{
    audit_write(place, &(struct audit){kind, what, why, text, order});
}

/* --- pauses --- */

static bool is_target(const struct config *config, const char *name, struct err *err)
{
    const char *names[CONFIG_TARGETS_MAX];
    for (size_t i = 0; i < config->target_count; i++) {
        names[i] = config->targets[i].name;
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    const char *near = text_nearest(name, names, config->target_count);
    err_set(err, -EINVAL, "no target \"%s\" in the configuration%s%s%s", name,
            near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    return false;
}

static void say_pause(struct str *text, const char *target, int64_t for_ms,
                      const char *who, const char *reason)
{
    str_addf(text, "%s paused", target);
    if (for_ms > 0) {
        str_add(text, " for ");
        option_add_duration(text, for_ms);
    }
    str_addf(text, " by %s: %s", who, reason);
}

int control_pause(struct ops_place *place, const char *target, int64_t for_ms,
                  const char *reason, struct control_answer *answer, struct err *err)
{
    struct view view = {.redis_ms = 0};
    *answer = (struct control_answer){0};
    if (!is_target(place->config, target, err)) {
        return -EINVAL;
    }
    if (reason[0] == '\0') {
        return err_set(err, -EINVAL, "say why: --reason TEXT");
    }
    int rc = look(place, &view, err);
    if (rc == 0) {
        struct str text;
        char field[OPTION_NAME_MAX + 8];
        str_init(&text);
        say_pause(&text, target, for_ms, place->who, reason);
        struct json_object *order = order_of(place, reason, view.redis_ms);
        put_count(order, "until_ms", for_ms > 0 ? view.redis_ms + for_ms : 0);
        snprintf(field, sizeof field, "pause:%s", target);
        rc = write_order(place, field, order, answer, err);
        if (rc == 0) {
            note(place, "pause", target, reason, text.data, answer->number);
        }
        str_release(&text);
    }
    view_release(&view);
    return rc ? rc : await_obeyed(place, answer, err);
}

int control_resume(struct ops_place *place, const char *target, const char *reason,
                   struct control_answer *answer, struct err *err)
{
    struct view view = {.redis_ms = 0};
    char field[OPTION_NAME_MAX + 8];
    *answer = (struct control_answer){0};
    snprintf(field, sizeof field, "pause:%s", target);
    int rc = look(place, &view, err);
    bool there = rc == 0 && redis_value_field(&view.values[CONTROL], field);
    view_release(&view);
    if (rc == 0 && !there) {
        /* a target that is gone may still be paused; only then its name is asked for */
        return is_target(place->config, target, err)
                   ? err_set(err, -ENOENT, "%s is not paused", target)
                   : -EINVAL;
    }
    rc = rc ? rc : write_order(place, field, NULL, answer, err);
    if (rc == 0) {
        struct str text;
        str_init(&text);
        str_addf(&text, "%s resumed by %s%s%s", target, place->who, reason[0] ? ": " : "",
                 reason);
        note(place, "resume", target, reason, text.data, answer->number);
        str_release(&text);
    }
    return rc ? rc : await_obeyed(place, answer, err);
}

/* --- drains --- */

struct choice {
    const char *consumer; /* NULL: all */
    struct {
        char *id;
        char *boot;
        bool drained;
    } * chosen;
    size_t count;
};

static void choose(void *arg, const char *id, struct json_object *doc)
{
    struct choice *choice = arg;
    const char *boot = json_string_at(doc, "/boot", NULL);
    const char *state = json_string_at(doc, "/state", NULL);
    if (choice->consumer && strcmp(choice->consumer, id) != 0) {
        return;
    }
    choice->chosen[choice->count].id = mem_strdup(id);
    choice->chosen[choice->count].boot = mem_strdup(boot ? boot : "");
    choice->chosen[choice->count++].drained = state && strcmp(state, "drained") == 0;
}

static void choice_release(struct choice *choice)
{
    for (size_t i = 0; i < choice->count; i++) {
        free(choice->chosen[i].id);
        free(choice->chosen[i].boot);
    }
    free(choice->chosen);
}

static int nobody(const struct view *view, const char *consumer, struct err *err)
{
    const char *names[CONSUMERS_MAX];
    size_t n = 0;
    const struct redis_value *times = &view->values[TIMES];
    for (size_t i = 0; i + 1 < times->count && n < CONSUMERS_MAX; i += 2) {
        names[n++] = times->items[i].text;
    }
    if (!consumer) {
        return err_set(err, -EINVAL, "no consumer of this group is alive");
    }
    const char *near = text_nearest(consumer, names, n);
    return err_set(err, -EINVAL, "no consumer \"%s\" is alive%s%s%s; see: status",
                   consumer, near ? "; did you mean " : "", near ? near : "",
                   near ? "?" : "");
}

/* choice->chosen: those it is for. Returns 0, -EINVAL when there is none. */
static int find(struct ops_place *place, struct choice *choice, int64_t *redis_ms,
                struct err *err)
{
    struct view view = {.redis_ms = 0};
    choice->chosen = mem_array(CONSUMERS_MAX, sizeof *choice->chosen);
    int rc = look(place, &view, err);
    if (rc == 0) {
        each_alive(&view, choose, choice);
        *redis_ms = view.redis_ms;
    }
    if (rc == 0 && choice->count == 0) {
        rc = nobody(&view, choice->consumer, err);
    }
    view_release(&view);
    return rc;
}

/* Each consumer is an item of its own: the next one is not begun when nobody waits. */
static int stop_before(const struct ops_place *place, size_t i, size_t n, struct err *err)
{
    if (!place->ctx || ctx_err(place->ctx) == 0) {
        return 0;
    }
    return err_set(
        err, -ECANCELED,
        "nobody waits any more: %zu of %zu consumers were told, the others are "
        "as they were",
        i, n);
}

int control_drain(struct ops_place *place, const char *consumer, bool undo,
                  const char *reason, struct control_answer *answer, struct err *err)
{
    int64_t redis_ms = 0;
    struct choice choice = {.consumer = consumer};
    *answer = (struct control_answer){0};
    int rc = find(place, &choice, &redis_ms, err);
    for (size_t i = 0; i < choice.count && rc == 0; i++) {
        rc = stop_before(place, i, choice.count, err);
        if (rc) {
            break;
        }
        struct str text;
        struct str field;
        struct json_object *order = NULL;
        str_init(&text);
        str_init(&field);
        str_addf(&field, "drain:%s", choice.chosen[i].id);
        str_addf(&text, "%s %s by %s%s%s", choice.chosen[i].id,
                 undo ? "called back" : "drained", place->who, reason[0] ? ": " : "",
                 reason);
        if (!undo) {
            order = order_of(place, reason, redis_ms);
            put_text(order, "boot", choice.chosen[i].boot);
        }
        rc = write_order(place, field.data, order, answer, err);
        if (rc == 0) {
            note(place, "drain", choice.chosen[i].id, reason, text.data, answer->number);
        }
        str_release(&text);
        str_release(&field);
    }
    int n = (int)choice.count;
    choice_release(&choice);
    rc = rc ? rc : await_obeyed(place, answer, err);
    answer->consumers = n;
    return rc;
}

int control_await_drained(struct ops_place *place, const char *consumer, bool undo,
                          int64_t until_ms, struct err *err)
{
    int left = 1;
    struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
    while (left > 0) {
        int64_t redis_ms = 0;
        struct choice choice = {.consumer = consumer};
        int rc = find(place, &choice, &redis_ms, err);
        left = rc;
        for (size_t i = 0; i < choice.count && rc == 0; i++) {
            left += choice.chosen[i].drained == undo;
        }
        choice_release(&choice);
        if (now_ms() >= until_ms || (left > 0 && ctx_sleep(ctx, now_ms() + LOOK_MS))) {
            break;
        }
    }
    ctx_free(ctx);
    return left;
}

/* --- reloads --- */

/* By Redis' clock, so that it is above every one before also when the hash was lost. */
static int64_t next_reload(const struct view *view)
{
    struct json_object *last = NULL;
    const struct redis_value *value = redis_value_field(&view->values[CONTROL], "reload");
    if (!value || !value->text || json_parse(value->text, value->len, &last, NULL)) {
        return view->redis_ms;
    }
    struct json_object *number = json_at(last, "/number");
    int64_t after = number ? json_object_get_int64(number) + 1 : 0;
    json_free(last);
    return after > view->redis_ms ? after : view->redis_ms;
}

int control_reload(struct ops_place *place, const char *reason,
                   struct control_answer *answer, struct err *err)
{
    struct view view = {.redis_ms = 0};
    *answer = (struct control_answer){0};
    int rc = look(place, &view, err);
    if (rc == 0) {
        struct json_object *order = order_of(place, reason, view.redis_ms);
        int64_t number = next_reload(&view);
        struct str text;
        str_init(&text);
        str_addf(&text, "reload asked for by %s%s%s", place->who, reason[0] ? ": " : "",
                 reason);
        put_count(order, "number", number);
        rc = write_order(place, "reload", order, answer, err);
        if (rc == 0) {
            note(place, "reload", place->config->kafka.group, reason, text.data,
                 answer->number);
        }
        str_release(&text);
        view_release(&view);
        rc = rc ? rc : await_obeyed(place, answer, err);
        answer->number = number;
        return rc;
    }
    view_release(&view);
    return rc;
}

struct telling {
    const struct view *view;
    int64_t number;
    control_outcome_fn *fn;
    void *arg;
};

static void tell_outcome(void *arg, const char *id, struct json_object *doc)
{
    (void)doc;
    struct telling *t = arg;
    struct str field;
    struct json_object *said = NULL;
    str_init(&field);
    str_addf(&field, "reloaded:%s", id);
    const struct redis_value *value =
        redis_value_field(&t->view->values[CONTROL], field.data);
    if (value && value->text && json_parse(value->text, value->len, &said, NULL)) {
        said = NULL;
    }
    struct json_object *number = json_at(said, "/number");
    bool known = number && json_object_get_int64(number) == t->number;
    const char *text = known ? json_string_at(said, "/text", NULL) : NULL;
    t->fn(t->arg, id, known && json_object_get_boolean(json_at(said, "/ok")),
          text ? text : "");
    json_free(said);
    str_release(&field);
}

int control_outcomes(struct ops_place *place, int64_t number, control_outcome_fn *fn,
                     void *arg, struct err *err)
{
    struct view view = {.redis_ms = 0};
    int rc = look(place, &view, err);
    if (rc == 0) {
        struct telling telling = {&view, number, fn, arg};
        each_alive(&view, tell_outcome, &telling);
    }
    view_release(&view);
    return rc;
}

/* --- what became of them --- */

int control_acts(struct ops_place *place, int64_t until_ms, struct json_object **acts,
                 struct err *err)
{
    struct view view = {.redis_ms = 0};
    int rc = audit_read(place, until_ms, acts, err);
    rc = rc ? rc : look(place, &view, err);
    for (size_t i = 0; rc == 0 && i < json_object_array_length(*acts); i++) {
        struct json_object *act = json_object_array_get_idx(*acts, i);
        struct count count = {&view, json_number_or(act, "/order", 0), 0};
        if (count.number > 0) {
            json_put_number(act, "consumers", each_alive(&view, count_obeyed, &count));
            json_put_number(act, "obeyed", count.obeyed);
        }
    }
    if (rc) {
        json_free(*acts);
        *acts = NULL;
    }
    view_release(&view);
    return rc;
}
