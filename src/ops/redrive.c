#include "ops/redrive.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/now.h"
#include "fleet/ledger.h"
#include "ops/audit.h"
#include "ops/follow.h"

enum { FOLLOW_MS = 15000, PLACE_MAX = 40 };

/* --- which letters --- */

static bool has_target(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->target_count; i++) {
        if (strcmp(config->targets[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Why it is left alone, NULL: it is sent. */
static const char *unfit(const struct ops_place *place, const struct letter *letter,
                         bool force)
{
    const char *why = letter_unfit(letter, has_target(place->config, letter->target));
    if (!why && !force && letter->redrives >= REDRIVE_COUNT_MAX) {
        why = "died again after 3 redrives (--force sends it all the same)";
    }
    return why;
}

/* --- planning --- */

struct planning {
    struct ops_place *place;
    const struct redrive_options *options;
    struct redrive_plan *plan;
};

static void count_unfit(struct redrive_plan *plan, const char *why)
{
    size_t i = 0;
    while (i < plan->unfit_count && strcmp(plan->unfit[i].why, why) != 0) {
        i++;
    }
    if (i == REDRIVE_UNFIT_MAX) {
        return;
    }
    plan->unfit_count = i == plan->unfit_count ? i + 1 : plan->unfit_count;
    snprintf(plan->unfit[i].why, sizeof plan->unfit[i].why, "%s", why);
    plan->unfit[i].count++;
}

static bool plan_letter(void *arg, struct letter *letter, const char *handled)
{
    (void)handled;
    struct planning *p = arg;
    const char *why = unfit(p->place, letter, p->options->force);
    int64_t limit = p->options->limit;
    p->plan->matched++;
    if (why) {
        count_unfit(p->plan, why);
    } else if (limit == 0 || p->plan->fit < limit) {
        p->plan->fit++;
    }
    return true;
}

int redrive_plan(struct ops_place *place, const struct redrive_options *options,
                 int64_t until_ms, struct redrive_plan *plan, struct err *err)
{
    struct planning p = {place, options, plan};
    *plan = (struct redrive_plan){0};
    int rc = deadletters_range(place, until_ms, &plan->range, err);
    return rc ? rc
              : deadletters_walk(place, &plan->range, &options->filter,
                                 DEADLETTERS_PATIENCE_MS, plan_letter, &p, err);
}

/* --- what a resume needs --- */

static void put(struct json_object *doc, const char *name, const char *text)
{
    if (text) {
        json_object_object_add(doc, name, json_object_new_string(text));
    }
}

static struct json_object *offsets_json(const int64_t *offsets, int n)
{
    struct json_object *list = json_object_new_array();
    for (int i = 0; i < n; i++) {
        json_object_array_add(list, json_object_new_int64(offsets[i]));
    }
    return list;
}

static void write_spec(const struct redrive_options *options,
                       const struct redrive_plan *plan, struct str *text)
{
    struct json_object *doc = json_object_new_object();
    const struct letter_filter *f = &options->filter;
    put(doc, "target", f->target);
    put(doc, "reason", f->reason);
    put(doc, "event", f->event);
    put(doc, "redrive", f->redrive);
    put(doc, "topic", plan->range.topic);
    json_object_object_add(doc, "since_ms", json_object_new_int64(f->since_ms));
    json_object_object_add(doc, "until_ms", json_object_new_int64(f->until_ms));
    json_object_object_add(doc, "force", json_object_new_boolean(options->force));
    json_object_object_add(doc, "total", json_object_new_int64(plan->fit));
    json_object_object_add(doc, "rate_per_s",
                           json_object_new_double(options->rate_per_s));
    json_object_object_add(doc, "first",
                           offsets_json(plan->range.first, plan->range.partitions));
    json_object_object_add(doc, "end",
                           offsets_json(plan->range.end, plan->range.partitions));
    json_print(doc, text);
    json_free(doc);
}

/* spec: out, owned: the filter borrows from it. */
static int read_spec(const char *text, struct json_object **spec,
                     struct redrive_options *options, struct redrive_plan *plan,
                     struct err *err)
{
    int rc = json_parse(text, strlen(text), spec, NULL);
    struct letter_filter *f = &options->filter;
    struct json_object *first = rc ? NULL : json_at(*spec, "/first");
    struct json_object *end = rc ? NULL : json_at(*spec, "/end");
    const char *topic = rc ? NULL : json_string_at(*spec, "/topic", NULL);
    if (!topic || !json_object_is_type(first, json_type_array) ||
        !json_object_is_type(end, json_type_array) ||
        json_object_array_length(end) > DEADLETTERS_PARTITIONS_MAX) {
        return err_set(err, -EBADMSG, "the task's record in Redis cannot be read");
    }
    *f = (struct letter_filter){
        .target = json_string_at(*spec, "/target", NULL),
        .reason = json_string_at(*spec, "/reason", NULL),
        .event = json_string_at(*spec, "/event", NULL),
        .redrive = json_string_at(*spec, "/redrive", NULL),
        .since_ms = json_object_get_int64(json_at(*spec, "/since_ms")),
        .until_ms = json_object_get_int64(json_at(*spec, "/until_ms")),
    };
    options->force = json_object_get_boolean(json_at(*spec, "/force"));
    if (options->rate_per_s <= 0) {
        options->rate_per_s = json_object_get_double(json_at(*spec, "/rate_per_s"));
    }
    *plan = (struct redrive_plan){.fit = json_object_get_int64(json_at(*spec, "/total"))};
    plan->range.partitions = (int)json_object_array_length(end);
    snprintf(plan->range.topic, sizeof plan->range.topic, "%s", topic);
    for (int i = 0; i < plan->range.partitions; i++) {
        plan->range.first[i] =
            json_object_get_int64(json_object_array_get_idx(first, (size_t)i));
        plan->range.end[i] =
            json_object_get_int64(json_object_array_get_idx(end, (size_t)i));
    }
    return 0;
}

/* --- sending --- */

struct sending {
    struct ops_place *place;
    const struct redrive_options *options;
    const struct redrive_plan *plan;
    struct task *task;
    struct follow *follow;
    int64_t too_large;
    struct err *err;
    int rc;
};

static int note(struct sending *s, const struct letter *letter)
{
    char text[64];
    struct deadletters_note one = {letter->partition, letter->record->offset,
                                   letter->target, letter->reason};
    snprintf(text, sizeof text, "redriven %s", task_id(s->task));
    return deadletters_handle(s->place, &one, 1, text, s->err);
}

/* Too large with the headers it gets: those behind it must not wait for it. */
static bool leave_out(struct sending *s)
{
    *s->err = (struct err)ERR_INIT;
    s->rc = 0;
    s->too_large++;
    return true;
}

static bool send_letter(void *arg, struct letter *letter, const char *handled)
{
    struct sending *s = arg;
    char place[PLACE_MAX];
    snprintf(place, sizeof place, "%d:%lld", letter->partition,
             (long long)letter->record->offset);
    struct task_unit unit = {
        .record = letter->record,
        .target = letter->target,
        .event_id = letter->id,
        .origin_topic = letter->origin_topic,
        .origin_partition = letter->origin_partition,
        .origin_offset = letter->origin_offset,
        /* above where the ledger has it as dead */
        .round =
            letter->round > LEDGER_DEAD_ROUND ? (int)letter->round : LEDGER_DEAD_ROUND,
        .attempts = letter->attempts,
        .redrives = letter->redrives,
        .redrives_of = place,
    };
    bool sent = task_has_sent(s->task, &unit);
    if (sent) {
        follow_add(s->follow, letter->target, letter->event.identity, unit.round);
    }
    if (sent || handled || unfit(s->place, letter, s->options->force)) {
        s->rc = task_keep(s->task, s->err);
        return s->rc == 0;
    }
    if (task_sent(s->task) >= s->plan->fit) {
        return false;
    }
    s->rc = task_send(s->task, &unit, s->options->rate_per_s, s->err);
    if (s->rc == -EINVAL) {
        return leave_out(s);
    }
    if (s->rc) {
        return false;
    }
    follow_add(s->follow, letter->target, letter->event.identity, unit.round);
    s->rc = note(s, letter);
    if (s->options->progress) {
        s->options->progress(s->options->arg, task_id(s->task), task_sent(s->task),
                             s->plan->fit);
    }
    return s->rc == 0;
}

/* Letters that died again by now: those in the topic that this task's units became. */
static bool count_again(void *arg, struct letter *letter, const char *handled)
{
    (void)letter;
    (void)handled;
    int64_t *count = arg;
    (*count)++;
    return true;
}

static void look_after(struct sending *s, struct redrive_result *result)
{
    struct follow_counts counts;
    struct deadletters_range range;
    struct letter_filter again = {.redrive = result->id, .handled = true};
    struct err err = ERR_INIT;
    result->waiting = result->sent;
    if (follow_wait(s->follow, s->options->ctx, now_ms() + FOLLOW_MS, &counts, &err)) {
        return;
    }
    if (deadletters_range(s->place, now_ms() + FOLLOW_MS, &range, &err) == 0) {
        memcpy(range.first, s->plan->range.end, sizeof range.first);
        (void)deadletters_walk(s->place, &range, &again, DEADLETTERS_PATIENCE_MS,
                               count_again, &result->dead_again, &err);
    }
    result->triggered = counts.triggered;
    result->waiting = counts.parked + counts.open - result->dead_again;
    result->waiting = result->waiting < 0 ? 0 : result->waiting;
}

/* What was sent, and whether there is more. */
static void tell(struct ops_place *place, const struct redrive_options *options,
                 const struct redrive_result *result)
{
    char text[256];
    snprintf(text, sizeof text, "%lld of %lld dead letters redriven by %s%s",
             (long long)result->sent, (long long)result->total, place->who,
             result->complete ? "" : ", stopped");
    audit_write(place, &(struct audit){"redrive", result->id, options->why, text, 0});
}

/* task: taken. */
static int work(struct ops_place *place, const struct redrive_options *options,
                const struct redrive_plan *plan, struct task *task,
                struct redrive_result *result, struct err *err)
{
    struct sending s = {.place = place,
                        .options = options,
                        .plan = plan,
                        .task = task,
                        .follow = follow_new(place),
                        .err = err};
    snprintf(result->id, sizeof result->id, "%s", task_id(task));
    result->total = plan->fit;
    struct letter_filter filter = options->filter;
    filter.handled = true; /* to follow what was sent before it was resumed, too */
    int rc = deadletters_walk(place, &plan->range, &filter, DEADLETTERS_PATIENCE_MS,
                              send_letter, &s, err);
    rc = rc ? rc : s.rc;
    result->sent = task_sent(task);
    result->too_large = s.too_large;
    result->complete = rc == 0;
    task_end(task, rc == 0);
    tell(place, options, result);
    if (rc == 0) {
        look_after(&s, result);
    }
    follow_free(s.follow);
    return rc;
}

int redrive_run(struct ops_place *place, const struct redrive_options *options,
                const struct redrive_plan *plan, struct redrive_result *result,
                struct err *err)
{
    struct str spec;
    struct task *task = NULL;
    *result = (struct redrive_result){0};
    str_init(&spec);
    write_spec(options, plan, &spec);
    int rc = task_begin(place, "redrive", spec.data, options->ctx, &task, err);
    str_release(&spec);
    return rc ? rc : work(place, options, plan, task, result, err);
}

int redrive_resume(struct ops_place *place, const char *id,
                   const struct redrive_options *options, struct redrive_result *result,
                   struct err *err)
{
    struct task *task = NULL;
    struct json_object *spec = NULL;
    struct redrive_options again = *options;
    struct redrive_plan plan = {.fit = 0};
    *result = (struct redrive_result){0};
    int rc = task_resume(place, "redrive", id, options->ctx, &task, err);
    if (rc) {
        return rc;
    }
    rc = read_spec(task_spec(task), &spec, &again, &plan, err);
    if (rc) {
        task_end(task, false);
    } else {
        rc = work(place, &again, &plan, task, result, err);
    }
    json_free(spec);
    return rc;
}
