#include "ops/replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "ops/audit.h"
#include "ops/follow.h"
#include "ops/source.h"

enum { FOLLOW_MS = 15000, ROUND = 1, LOOK_MS = 10000 };

/* --- bounds --- */

static int count_partitions(struct ops_place *place, int64_t until_ms, int *n,
                            struct err *err)
{
    const char *topic = place->config->kafka.topic;
    struct kafka_topic *topics = NULL;
    size_t count = 0;
    int rc = kafka_topics_list(place->admin, until_ms, &topics, &count, err);
    *n = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        *n = strcmp(topics[i].name, topic) == 0 ? topics[i].partitions : *n;
    }
    free(topics);
    if (rc == 0 && *n == 0) {
        rc = err_set(err, -ENOENT, "topic \"%s\" does not exist on this cluster", topic);
    } else if (rc == 0 && *n > REPLAY_PARTITIONS_MAX) {
        rc = err_set(err, -EINVAL, "topic \"%s\" has %d partitions; at most %d are read",
                     topic, *n, REPLAY_PARTITIONS_MAX);
    }
    return rc;
}

/* "None later" of every partition may be true, or the answer of a broker that keeps no
 * times: then a last record that is later gives it away. */
static int doubt(struct ops_place *place, const struct replay_plan *plan, int64_t wall_ms,
                 const int64_t *found, const int64_t *first, const int64_t *end,
                 struct err *err)
{
    const struct config *c = place->config;
    struct kafka_span span = {-1, 0, 0};
    for (int i = 0; i < plan->partitions; i++) {
        if (found[i] != KAFKA_NO_OFFSET) {
            return 0;
        }
        if (end[i] > first[i]) {
            span = (struct kafka_span){i, end[i] - 1, end[i]};
        }
    }
    if (span.partition < 0) {
        return 0;
    }
    struct kafka_record *last = NULL;
    int partition;
    struct kafka_reader *reader =
        kafka_reader_open(c->kafka.brokers, c->kafka.properties, c->kafka.property_count,
                          c->kafka.topic, &span, 1, err);
    int rc = reader
                 ? kafka_reader_next(reader, now_ms() + LOOK_MS, &partition, &last, err)
                 : -EINVAL;
    kafka_reader_close(reader);
    if (rc == 0 && last->timestamp_ms >= wall_ms) {
        rc = err_set(err, -EINVAL,
                     "this broker cannot look up offsets by time (librdkafka's mock "
                     "cluster cannot); give a place: --from p0@%lld",
                     (long long)first[span.partition]);
    }
    kafka_record_free(last);
    return rc == -EPIPE ? 0 : rc;
}

/* The offsets a bound stands for; `absent` where it says nothing. */
static int resolve(struct ops_place *place, const struct replay_plan *plan,
                   const struct replay_bound *bound, int64_t until_ms,
                   const int64_t *first, const int64_t *end, const int64_t *absent,
                   int64_t *offsets, struct err *err)
{
    int n = plan->partitions;
    for (int i = 0; i < n; i++) {
        offsets[i] = absent[i];
    }
    if (!bound->given) {
        return 0;
    }
    if (bound->partition >= n) {
        return err_set(err, -EINVAL, "topic %s has %d partitions: there is no p%d",
                       place->config->kafka.topic, n, bound->partition);
    }
    if (bound->partition >= 0) {
        offsets[bound->partition] = bound->offset;
        return 0;
    }
    int rc = kafka_topic_at_time(place->admin, place->config->kafka.topic, n,
                                 bound->wall_ms, until_ms, offsets, err);
    rc = rc ? rc : doubt(place, plan, bound->wall_ms, offsets, first, end, err);
    for (int i = 0; i < n && rc == 0; i++) {
        offsets[i] = offsets[i] == KAFKA_NO_OFFSET ? end[i] : offsets[i];
    }
    return rc;
}

static int64_t within(int64_t offset, int64_t low, int64_t high)
{
    return offset < low ? low : offset > high ? high : offset;
}

/* A place in one partition means that partition only. */
static bool leaves_out(const struct replay_options *o, int partition)
{
    return (o->from.given && o->from.partition >= 0 && o->from.partition != partition) ||
           (o->to.given && o->to.partition >= 0 && o->to.partition != partition);
}

static int resolve_all(struct ops_place *place, const struct replay_options *o,
                       int64_t until_ms, struct replay_plan *plan, struct err *err)
{
    int n = plan->partitions;
    const struct config *c = place->config;
    int64_t *first = mem_array((size_t)n, sizeof *first);
    int64_t *end = mem_array((size_t)n, sizeof *end);
    int rc =
        kafka_topic_ranges(place->admin, c->kafka.topic, n, until_ms, first, end, err);
    rc = rc ? rc
            : kafka_group_offsets(place->admin, c->kafka.group, c->kafka.topic, n,
                                  until_ms, plan->now, err);
    rc =
        rc ? rc
           : resolve(place, plan, &o->from, until_ms, first, end, first, plan->from, err);
    rc = rc ? rc : resolve(place, plan, &o->to, until_ms, first, end, end, plan->to, err);
    for (int i = 0; i < n && rc == 0; i++) {
        int64_t last = plan->now[i] == KAFKA_NO_OFFSET ? end[i] : plan->now[i];
        last = within(last, first[i], end[i]);
        plan->to[i] = within(plan->to[i], first[i], last);
        plan->from[i] =
            leaves_out(o, i) ? plan->to[i] : within(plan->from[i], first[i], plan->to[i]);
    }
    free(first);
    free(end);
    return rc;
}

static struct kafka_span *spans_of(const struct replay_plan *plan)
{
    struct kafka_span *spans = mem_array((size_t)plan->partitions, sizeof *spans);
    for (int i = 0; i < plan->partitions; i++) {
        spans[i] = (struct kafka_span){i, plan->from[i], plan->to[i]};
    }
    return spans;
}

static int walk(struct ops_place *place, const struct replay_options *o,
                const struct replay_plan *plan,
                int (*at_event)(void *, const struct source_event *),
                int (*at_unit)(void *, const struct source_event *, const char *,
                               const struct ledger_record *),
                void *arg, struct err *err)
{
    struct kafka_span *spans = spans_of(plan);
    struct source_walk source = {place, o->event, o->target, at_event, at_unit, arg};
    int rc = source_walk(&source, spans, (size_t)plan->partitions, err);
    free(spans);
    return rc;
}

/* --- the plan --- */

struct planning {
    const struct ops_place *place;
    const struct replay_options *options;
    struct replay_plan *plan;
    struct err *err;
};

static bool is_to_send(const struct replay_options *o, const struct ledger_record *record)
{
    return record->state == LEDGER_NONE || (o->resend && record->state == LEDGER_DONE);
}

static int count_event(void *arg, const struct source_event *event)
{
    struct planning *p = arg;
    p->plan->events++;
    p->plan->unreadable += event->outcome == EVENT_BAD;
    p->plan->skipped += event->outcome != EVENT_BAD && !event->has_units;
    p->plan->beyond_memory =
        p->plan->beyond_memory ||
        event->record->timestamp_ms < now_wall_ms() - p->place->config->done_ttl_ms;
    return ctx_err(p->options->ctx) ? err_set(p->err, -ECANCELED, "stopped") : 0;
}

static int count_unit(void *arg, const struct source_event *event, const char *target,
                      const struct ledger_record *record)
{
    (void)event;
    (void)target;
    struct planning *p = arg;
    bool parked = record->state == LEDGER_PARKED;
    p->plan->units++;
    p->plan->triggered += record->state == LEDGER_DONE;
    p->plan->dead += parked && record->round >= LEDGER_DEAD_ROUND;
    p->plan->waiting +=
        record->state == LEDGER_HELD || (parked && record->round < LEDGER_DEAD_ROUND);
    p->plan->send += is_to_send(p->options, record);
    return 0;
}

int replay_plan(struct ops_place *place, const struct replay_options *options,
                int64_t until_ms, struct replay_plan *plan, struct err *err)
{
    struct planning p = {place, options, plan, err};
    struct err ignored = ERR_INIT;
    *plan = (struct replay_plan){0};
    int rc = ops_place_kafka(place, err);
    rc = rc ? rc : count_partitions(place, until_ms, &plan->partitions, err);
    rc = rc ? rc : resolve_all(place, options, until_ms, plan, err);
    if (rc) {
        return rc;
    }
    if (kafka_members_ask(place->admin, place->config->kafka.group, until_ms,
                          &plan->group, &ignored)) {
        plan->group = (struct kafka_members){0}; /* not needed to send units */
    }
    rc = walk(place, options, plan, count_event, count_unit, &p, err);
    if (rc) {
        replay_plan_release(plan);
    }
    return rc;
}

void replay_plan_release(struct replay_plan *plan)
{
    kafka_members_release(&plan->group);
}

/* --- what a resume needs --- */

static void put_offsets(struct json_object *doc, const char *name, const int64_t *offsets,
                        int n)
{
    struct json_object *list = json_object_new_array();
    for (int i = 0; i < n; i++) {
        json_object_array_add(list, json_object_new_int64(offsets[i]));
    }
    json_object_object_add(doc, name, list);
}

static void write_spec(const struct replay_options *o, const struct replay_plan *plan,
                       struct str *text)
{
    struct json_object *doc = json_object_new_object();
    if (o->target) {
        json_object_object_add(doc, "target", json_object_new_string(o->target));
    }
    if (o->event) {
        json_object_object_add(doc, "event", json_object_new_string(o->event));
    }
    json_object_object_add(doc, "resend", json_object_new_boolean(o->resend));
    json_object_object_add(doc, "rate_per_s", json_object_new_double(o->rate_per_s));
    json_object_object_add(doc, "total", json_object_new_int64(plan->send));
    put_offsets(doc, "from", plan->from, plan->partitions);
    put_offsets(doc, "to", plan->to, plan->partitions);
    json_print(doc, text);
    json_free(doc);
}

/* spec: out, owned: the options borrow from it. */
static int read_spec(const char *text, struct json_object **spec,
                     struct replay_options *o, struct replay_plan *plan, struct err *err)
{
    int rc = json_parse(text, strlen(text), spec, NULL);
    struct json_object *from = rc ? NULL : json_at(*spec, "/from");
    struct json_object *to = rc ? NULL : json_at(*spec, "/to");
    if (!json_object_is_type(from, json_type_array) ||
        !json_object_is_type(to, json_type_array)) {
        return err_set(err, -EBADMSG, "the task's record in Redis cannot be read");
    }
    *plan = (struct replay_plan){.send = json_object_get_int64(json_at(*spec, "/total"))};
    o->target = json_string_at(*spec, "/target", NULL);
    o->event = json_string_at(*spec, "/event", NULL);
    o->resend = json_object_get_boolean(json_at(*spec, "/resend"));
    if (o->rate_per_s <= 0) {
        o->rate_per_s = json_object_get_double(json_at(*spec, "/rate_per_s"));
    }
    size_t n = json_object_array_length(from);
    for (size_t i = 0; i < n && i < REPLAY_PARTITIONS_MAX; i++) {
        plan->from[i] = json_object_get_int64(json_object_array_get_idx(from, i));
        plan->to[i] = json_object_get_int64(json_object_array_get_idx(to, i));
        plan->partitions++;
    }
    return 0;
}

/* --- into the topic --- */

struct sending {
    const struct replay_options *options;
    const char *topic;
    struct task *task;
    struct follow *follow;
    int64_t total;
    struct err *err;
    int64_t too_large;
};

/* The identity the ledger will know the unit by. */
static void follow_unit(const struct sending *s, const struct source_event *event,
                        const char *target)
{
    struct event again = {.format = event->event.format};
    snprintf(again.identity, sizeof again.identity, "%s", event->event.identity);
    if (s->options->resend) {
        event_send_again(&again, task_id(s->task));
    }
    follow_add(s->follow, target, again.identity, ROUND);
}

static int send_unit(void *arg, const struct source_event *event, const char *target,
                     const struct ledger_record *record)
{
    struct sending *s = arg;
    const char *id = event->event.fields[EVENT_ID];
    struct task_unit unit = {
        .record = event->record,
        .target = target,
        .event_id = id ? id : "",
        .origin_topic = s->topic,
        .origin_partition = event->partition,
        .origin_offset = event->record->offset,
        .round = ROUND,
        .resend = s->options->resend,
    };
    if (task_has_sent(s->task, &unit)) {
        follow_unit(s, event, target);
        return task_keep(s->task, s->err);
    }
    if (!is_to_send(s->options, record)) {
        return task_keep(s->task, s->err);
    }
    int rc = task_send(s->task, &unit, s->options->rate_per_s, s->err);
    if (rc == -EINVAL) { /* with its new headers: those behind it must not wait for it */
        *s->err = (struct err)ERR_INIT;
        s->too_large++;
        return task_keep(s->task, s->err);
    }
    if (rc == 0) {
        follow_unit(s, event, target);
        if (s->options->progress) {
            s->options->progress(s->options->arg, task_id(s->task), task_sent(s->task),
                                 s->total);
        }
    }
    return rc;
}

static void tell(struct ops_place *place, const struct replay_options *options,
                 const struct replay_result *result)
{
    char text[256];
    snprintf(text, sizeof text, "%lld of %lld units replayed by %s%s%s",
             (long long)result->sent, (long long)result->total, place->who,
             options->resend ? ", also what was triggered" : "",
             result->complete ? "" : ", stopped");
    audit_write(place, &(struct audit){"replay", result->id, options->why, text, 0});
}

/* task: taken. */
static int work(struct ops_place *place, const struct replay_options *options,
                const struct replay_plan *plan, struct task *task,
                struct replay_result *result, struct err *err)
{
    struct sending s = {options,    place->config->kafka.topic,
                        task,       follow_new(place),
                        plan->send, err,
                        0};
    struct follow_counts counts = {0};
    struct err unseen = ERR_INIT;
    snprintf(result->id, sizeof result->id, "%s", task_id(task));
    result->total = plan->send;
    int rc = walk(place, options, plan, NULL, send_unit, &s, err);
    result->sent = task_sent(task);
    result->too_large = s.too_large;
    result->complete = rc == 0;
    task_end(task, rc == 0);
    tell(place, options, result);
    if (rc == 0 && follow_wait(s.follow, options->ctx, now_ms() + FOLLOW_MS, &counts,
                               &unseen) == 0) {
        result->triggered = counts.triggered;
        result->dead = counts.dead;
        result->waiting = counts.open + counts.parked - counts.dead;
    } else {
        result->waiting = result->sent;
    }
    follow_free(s.follow);
    return rc;
}

int replay_into_topic(struct ops_place *place, const struct replay_options *options,
                      const struct replay_plan *plan, struct replay_result *result,
                      struct err *err)
{
    struct str spec;
    struct task *task = NULL;
    *result = (struct replay_result){0};
    str_init(&spec);
    write_spec(options, plan, &spec);
    int rc = task_begin(place, "replay", spec.data, options->ctx, &task, err);
    str_release(&spec);
    return rc ? rc : work(place, options, plan, task, result, err);
}

int replay_resume(struct ops_place *place, const char *id,
                  const struct replay_options *options, struct replay_result *result,
                  struct err *err)
{
    struct task *task = NULL;
    struct json_object *spec = NULL;
    struct replay_options again = *options;
    struct replay_plan *plan = mem_zalloc(sizeof *plan);
    *result = (struct replay_result){0};
    int rc = task_resume(place, "replay", id, options->ctx, &task, err);
    if (rc == 0) {
        rc = read_spec(task_spec(task), &spec, &again, plan, err);
        if (rc) {
            task_end(task, false);
        } else {
            rc = work(place, &again, plan, task, result, err);
        }
    }
    json_free(spec);
    free(plan);
    return rc;
}

/* --- into the group --- */

int replay_into_group(struct ops_place *place, const struct replay_plan *plan,
                      const char *why, int64_t until_ms, struct err *err)
{
    const struct config *c = place->config;
    int64_t *offsets = mem_array((size_t)plan->partitions, sizeof *offsets);
    for (int i = 0; i < plan->partitions; i++) {
        offsets[i] = plan->from[i] < plan->to[i] ? plan->from[i] : KAFKA_NO_OFFSET;
    }
    int rc = kafka_group_move(place->admin, c->kafka.group, c->kafka.topic,
                              plan->partitions, offsets, until_ms, err);
    free(offsets);
    if (rc == 0) {
        char text[256];
        snprintf(text, sizeof text, "the group was moved back over %lld events by %s",
                 (long long)plan->events, place->who);
        audit_write(place, &(struct audit){"replay", c->kafka.group, why, text, 0});
    }
    return rc;
}
