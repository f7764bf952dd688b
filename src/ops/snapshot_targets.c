/* Targets and limits of the whole fleet: what the consumers count, added up, and what
 * operators ordered. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ops/put.h"
#include "snapshot_inside.h"

enum { NAMES_MAX = 1024, HELD_REASONS_MAX = 32 };

static int by_name(const void *a, const void *b)
{
    const struct said *left = a;
    const struct said *right = b;
    return strverscmp(left->name, right->name);
}

static struct said *find(struct said_list *list, const char *name, size_t by_max)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].name, name) == 0) {
            return &list->items[i];
        }
    }
    if (list->count == NAMES_MAX || name[0] == '\0') {
        return NULL;
    }
    struct said *said = &list->items[list->count++];
    *said = (struct said){.name = name,
                          .by = mem_array(by_max, sizeof(struct json_object *))};
    return said;
}

void said_gather(const struct fleet_beats *beats, const char *which,
                 struct said_list *list)
{
    *list = (struct said_list){.items = mem_array(NAMES_MAX, sizeof *list->items)};
    for (size_t i = 0; i < beats->count; i++) {
        size_t n;
        struct json_object *objects = beat_list_of(beats->items[i].doc, which, &n);
        for (size_t k = 0; k < n && beats->items[i].live; k++) {
            struct json_object *o = json_object_array_get_idx(objects, k);
            struct said *said = find(list, beat_text_of(o, "name"), beats->count);
            if (said && said->count < beats->count) {
                said->by[said->count++] = o;
            }
        }
    }
    qsort(list->items, list->count, sizeof *list->items, by_name);
}

void said_release(struct said_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].by);
    }
    free(list->items);
}

/* -1 when nobody knows. */
static int64_t sum_of(const struct said *said, const char *name)
{
    int64_t sum = -1;
    for (size_t i = 0; i < said->count; i++) {
        int64_t n = beat_count_of(said->by[i], name);
        if (n >= 0) {
            sum = sum < 0 ? n : sum + n;
        }
    }
    return sum;
}

int64_t said_max(const struct said *said, const char *name)
{
    int64_t max = -1;
    for (size_t i = 0; i < said->count; i++) {
        int64_t n = beat_count_of(said->by[i], name);
        max = n > max ? n : max;
    }
    return max;
}

static int64_t p95_of(const struct said *said, const char *name)
{
    struct spread_sum sum = {.bounds = 0};
    for (size_t i = 0; i < said->count; i++) {
        struct json_object *spread;
        if (json_object_object_get_ex(said->by[i], name, &spread)) {
            spread_sum_add(&sum, spread);
        }
    }
    return spread_sum_p95_ms(&sum);
}

/* --- limits --- */

static bool uses(struct json_object *target, const char *limit)
{
    size_t n;
    struct json_object *limits = beat_list_of(target, "limits", &n);
    for (size_t i = 0; i < n; i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(limits, i));
        if (name && strcmp(name, limit) == 0) {
            return true;
        }
    }
    return false;
}

/* What all targets of all consumers that take from the limit call in a second. */
static double calls_on(const struct said_list *targets, const char *limit)
{
    double sum = -1;
    for (size_t i = 0; i < targets->count; i++) {
        for (size_t k = 0; k < targets->items[i].count; k++) {
            struct json_object *target = targets->items[i].by[k];
            double calls = uses(target, limit) ? beat_real_of(target, "calls_per_s") : -1;
            if (calls >= 0) {
                sum = sum < 0 ? calls : sum + calls;
            }
        }
    }
    return sum;
}

static struct json_object *limit_object(const struct said *limit,
                                        const struct said_list *targets)
{
    struct json_object *o = json_object_new_object();
    double rate = beat_real_of(limit->by[0], "rate_per_s");
    double calls = calls_on(targets, limit->name);
    struct json_object *tokens = NULL;
    for (size_t i = 0; i < limit->count && !tokens; i++) {
        if (json_object_object_get_ex(limit->by[i], "tokens", &tokens) && tokens) {
            tokens = real_of(json_object_get_double(tokens), 1);
        }
    }
    put_text(o, "name", limit->name);
    put_real(o, "rate_per_s", rate);
    put_real(o, "burst", beat_real_of(limit->by[0], "burst"));
    json_object_object_add(o, "used",
                           rate > 0 && calls >= 0 ? real_of(calls / rate, 2) : NULL);
    json_object_object_add(o, "tokens", tokens);
    return o;
}

/* Its limits, and the longest wait among them. */
static struct json_object *limits_of(const struct said *target,
                                     const struct said_list *targets,
                                     const struct said_list *limits, int64_t *wait_ms)
{
    struct json_object *list = json_object_new_array();
    *wait_ms = -1;
    for (size_t i = 0; i < limits->count; i++) {
        const struct said *limit = &limits->items[i];
        if (limit->count > 0 && uses(target->by[0], limit->name)) {
            int64_t ms = p95_of(limit, "waited");
            *wait_ms = ms > *wait_ms ? ms : *wait_ms;
            json_object_array_add(list, limit_object(limit, targets));
        }
    }
    return list;
}

/* --- what operators ordered --- */

struct pause {
    bool on;
    int64_t left_ms; /* -1: until it is resumed */
    char reason[256];
    char who[128];
};

static void find_pause(const struct snapshot_input *in, const char *target,
                       struct pause *pause)
{
    *pause = (struct pause){.left_ms = -1};
    for (size_t i = 0; i < in->control_count; i++) {
        struct json_object *order;
        const char *name = in->control[i].name;
        const char *value = in->control[i].value;
        if (!text_starts(name, "pause:") || strcmp(name + 6, target) != 0 ||
            json_parse(value, strlen(value), &order, NULL)) {
            continue;
        }
        int64_t until_ms = beat_count_of(order, "until_ms");
        pause->on = until_ms <= 0 || until_ms > in->now_ms;
        pause->left_ms = until_ms > 0 ? until_ms - in->now_ms : -1;
        snprintf(pause->reason, sizeof pause->reason, "%s",
                 beat_text_of(order, "reason"));
        snprintf(pause->who, sizeof pause->who, "%s", beat_text_of(order, "who"));
        json_free(order);
    }
}

/* --- a target --- */

static int64_t count_open(const struct said *target)
{
    int64_t n = 0;
    for (size_t i = 0; i < target->count; i++) {
        n += beat_count_of(target->by[i], "open_ms") >= 0;
    }
    return n;
}

/* "" when no consumer says: those of an older version do not. */
static const char *kind_of(const struct said *target)
{
    const char *kind = "";
    for (size_t i = 0; i < target->count && kind[0] == '\0'; i++) {
        kind = beat_text_of(target->by[i], "kind");
    }
    return kind;
}

/* Units that began to wait in the last minute, by why; of all consumers. */
static struct json_object *held_of(const struct said *target)
{
    struct json_object *sum = json_object_new_object();
    for (size_t i = 0; i < target->count; i++) {
        struct json_object *held = json_at(target->by[i], "/held");
        if (!json_object_is_type(held, json_type_object)) {
            continue; /* of an older version */
        }
        json_object_object_foreach(held, reason, count)
        {
            (void)count;
            int64_t n = beat_count_of(held, reason);
            int64_t before = beat_count_of(sum, reason);
            if (n > 0 && json_object_object_length(sum) < HELD_REASONS_MAX) {
                put_count(sum, reason, before < 0 ? n : before + n);
            }
        }
    }
    return sum;
}

static void put_state(struct json_object *o, const struct said *target,
                      const struct pause *pause)
{
    static const char *const calls[] = {"c1xx", "c2xx", "c3xx", "c4xx", "c5xx", "none"};
    int64_t open_ms = said_max(target, "open_ms");
    int64_t silent_ms = said_max(target, "silent_ms");
    int64_t called = 0;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        int64_t n = sum_of(target, calls[i]);
        called += n > 0 ? n : 0;
    }
    const char *state = pause->on       ? "paused"
                        : open_ms >= 0  ? "open"
                        : silent_ms > 0 ? "silent"
                        : called > 0    ? "ok"
                                        : "idle";
    put_text(o, "state", state);
    put_count(o, "for_ms",
              pause->on       ? pause->left_ms
              : open_ms >= 0  ? open_ms
              : silent_ms > 0 ? silent_ms
                              : -1);
    put_text(o, "reason", pause->on ? pause->reason : "");
    put_text(o, "who", pause->on ? pause->who : "");
    put_count(o, "open_at", count_open(target));
}

static struct json_object *target_object(const struct said *target,
                                         const struct said_list *targets,
                                         const struct said_list *limits,
                                         const struct snapshot_input *in)
{
    struct pause pause;
    int64_t wait_ms;
    struct json_object *o = json_object_new_object();
    find_pause(in, target->name, &pause);
    put_text(o, "name", target->name);
    put_text(o, "kind", kind_of(target));
    put_state(o, target, &pause);
    put_count(o, "in_flight", sum_of(target, "in_flight"));
    put_count(o, "ok_per_min", sum_of(target, "triggered"));
    put_count(o, "c4xx_per_min", sum_of(target, "c4xx"));
    put_count(o, "c5xx_per_min", sum_of(target, "c5xx"));
    put_count(o, "none_per_min", sum_of(target, "none"));
    json_object_object_add(o, "held_per_min", held_of(target));
    put_count(o, "p95_ms", p95_of(target, "took"));
    struct json_object *its_limits = limits_of(target, targets, limits, &wait_ms);
    put_count(o, "token_wait_p95_ms", wait_ms);
    json_object_object_add(o, "limits", its_limits);
    return o;
}

/* --- dead letters --- */

struct dead {
    const char *name;
    int64_t count;
};

static int by_count(const void *a, const void *b)
{
    const struct dead *left = a;
    const struct dead *right = b;
    return left->count > right->count   ? -1
           : left->count < right->count ? 1
                                        : strcmp(left->name, right->name);
}

static int64_t put_dead(struct json_object *frame, const struct snapshot_input *in)
{
    struct dead *list = mem_array(in->dead_count, sizeof *list);
    struct json_object *array = json_object_new_array();
    size_t n = 0;
    int64_t all = 0;
    for (size_t i = 0; i < in->dead_count; i++) {
        int64_t count;
        if (text_parse_int(in->dead[i].value, 1, INT64_MAX / 4096, &count) == 0) {
            list[n++] = (struct dead){in->dead[i].name, count};
            all += count;
        }
    }
    qsort(list, n, sizeof *list, by_count);
    for (size_t i = 0; i < n; i++) {
        const char *bar = strchr(list[i].name, '|');
        size_t len = bar ? (size_t)(bar - list[i].name) : 0;
        char *target = mem_strndup(list[i].name, len);
        struct json_object *o = json_object_new_object();
        put_text(o, "target", target);
        put_text(o, "reason", bar ? bar + 1 : list[i].name);
        put_count(o, "count", list[i].count);
        json_object_array_add(array, o);
        free(target);
    }
    json_object_object_add(frame, "dead", array);
    free(list);
    return in->redis_known ? all : -1;
}

int64_t snapshot_targets(struct json_object *frame, const struct fleet_beats *beats,
                         const struct snapshot_input *in)
{
    struct said_list targets;
    struct said_list limits;
    struct json_object *list = json_object_new_array();
    said_gather(beats, "targets", &targets);
    said_gather(beats, "limits", &limits);
    for (size_t i = 0; i < targets.count; i++) {
        json_object_array_add(list,
                              target_object(&targets.items[i], &targets, &limits, in));
    }
    json_object_object_add(frame, "targets", list);
    said_release(&targets);
    said_release(&limits);
    return put_dead(frame, in);
}
