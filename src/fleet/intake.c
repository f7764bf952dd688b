/* Design. Two passes: the first decodes every record and counts its units, the second
 * lays all units out in one array, so that pointers stay good. Followers are found with
 * two small hash tables over the batch: units of one (target, key) form a chain in offset
 * order, units of one (target, identity) are twins of the first. */
#include "fleet/intake.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "base/str.h"
#include "fleet/lane.h"
#include "fleet/work.h"

enum {
    HEADERS_MAX = 1024,
    COUNT_MAX = INT_MAX - 1, /* of rounds and calls, whatever a header says */
};

/* --- reading a record --- */

static int64_t header_number(const struct kafka_record *r, const char *name,
                             int64_t absent)
{
    const struct kafka_header *h = kafka_record_header(r, name);
    int64_t value;
    if (!h || !h->value || text_parse_int(h->value, 0, INT64_MAX, &value)) {
        return absent;
    }
    return value;
}

static void read_origin(struct batch_event *be, const struct kafka_partition *partition,
                        bool source)
{
    const struct kafka_record *r = be->record;
    be->origin_partition = kafka_partition_id(partition);
    be->origin_offset = r->offset;
    be->origin_topic = mem_strdup(kafka_partition_topic(partition));
    if (source) {
        return;
    }
    const struct kafka_header *target = kafka_record_header(r, PARK_TARGET);
    const struct kafka_header *topic = kafka_record_header(r, PARK_TOPIC);
    be->target_name = mem_strdup(target && target->value ? target->value : "");
    if (topic && topic->value) {
        free(be->origin_topic);
        be->origin_topic = mem_strdup(topic->value);
    }
    be->origin_partition = (int)header_number(r, PARK_PARTITION, be->origin_partition);
    be->origin_offset = header_number(r, PARK_OFFSET, be->origin_offset);
    be->not_before_wall_ms = header_number(r, PARK_NOT_BEFORE, 0);
}

static enum event_outcome decode(struct batch_event *be)
{
    const struct kafka_record *r = be->record;
    size_t count = r->header_count < HEADERS_MAX ? r->header_count : HEADERS_MAX;
    struct event_header *headers = mem_array(count + 1, sizeof *headers);
    for (size_t i = 0; i < count; i++) {
        headers[i] = (struct event_header){r->headers[i].name, r->headers[i].value,
                                           r->headers[i].len};
    }
    struct event_input input = {
        .key = r->key,
        .key_len = r->key_len,
        .value = r->value,
        .value_len = r->value_len,
        .headers = headers,
        .header_count = count,
        .topic = be->origin_topic,
        .partition = be->origin_partition,
        .offset = be->origin_offset,
    };
    enum event_outcome outcome = event_decode(&input, &be->event, &be->why);
    be->decoded = true;
    free(headers);
    const struct kafka_header *again = kafka_record_header(r, PARK_RESEND);
    if (be->target_name && again && again->value && outcome == EVENT_OK) {
        event_send_again(&be->event, again->value);
    }
    return outcome;
}

/* --- followers --- */

struct seen {
    struct unit **slots;
    size_t mask;
};

static void seen_init(struct seen *s, size_t units)
{
    size_t size = 16;
    while (size < units * 2) {
        size *= 2;
    }
    s->slots = mem_array(size, sizeof(struct unit *));
    s->mask = size - 1;
}

static uint64_t hash(const struct fleet_target *target, const char *bytes, size_t len)
{
    uint64_t h = 14695981039346656037u ^ (uintptr_t)target; /* FNV-1a */
    for (size_t i = 0; i < len; i++) {
        h = (h ^ (unsigned char)bytes[i]) * 1099511628211u;
    }
    return h ^ (h >> 29);
}

static bool same_key(const struct unit *a, const struct unit *b)
{
    const struct kafka_record *x = a->event->record;
    const struct kafka_record *y = b->event->record;
    return a->target == b->target && x->key_len == y->key_len &&
           memcmp(x->key, y->key, x->key_len) == 0;
}

static bool same_identity(const struct unit *a, const struct unit *b)
{
    return a->target == b->target &&
           strcmp(a->event->event.identity, b->event->event.identity) == 0;
}

/* The slot of the first unit like this one, or the empty slot where it belongs. */
static struct unit **seen_slot(struct seen *s, const struct unit *unit, uint64_t h,
                               bool (*same)(const struct unit *, const struct unit *))
{
    size_t i = (size_t)h & s->mask;
    while (s->slots[i] && !same(s->slots[i], unit)) {
        i = (i + 1) & s->mask;
    }
    return &s->slots[i];
}

/* A unit that is a twin shares the end of the first; with other deploy fields it is a
 * conflict. */
static bool join_twin(struct seen *identities, struct unit *unit)
{
    const struct event *ev = &unit->event->event;
    struct unit **slot =
        seen_slot(identities, unit,
                  hash(unit->target, ev->identity, strlen(ev->identity)), same_identity);
    struct unit *first = *slot;
    if (!first) {
        *slot = unit;
        return false;
    }
    if (strcmp(first->event->event.content, ev->content) != 0) {
        unit->verdict = VERDICT_DEAD;
        snprintf(unit->reason, sizeof unit->reason, "conflict");
        atomic_store(&unit->state, UNIT_ENDED);
        return true;
    }
    unit->is_twin = true;
    unit->twin = first->twin;
    first->twin = unit;
    atomic_store(&unit->state, UNIT_BLOCKED);
    return true;
}

/* Where the last unit of its key stands, or where it belongs itself; NULL: the order of
 * its key does not matter. */
static struct unit **key_slot(struct seen *keys, const struct unit *unit)
{
    const struct kafka_record *r = unit->event->record;
    if (!unit->target->config->order_key || !r->key) {
        return NULL;
    }
    return seen_slot(keys, unit, hash(unit->target, r->key, r->key_len), same_key);
}

static void join_chain(struct unit **last, struct unit *unit)
{
    if (last && *last) {
        unit->ahead = *last;
        (*last)->behind = unit;
    }
    if (last) {
        *last = unit;
    }
}

/* --- units --- */

static struct fleet_target *find_target(const struct plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->target_count; i++) {
        if (strcmp(plan->targets[i].config->name, name) == 0) {
            return &plan->targets[i];
        }
    }
    return NULL;
}

/* A pause was written before there was a class for it. */
const char *intake_held(const struct kafka_record *record)
{
    const struct kafka_header *reason = kafka_record_header(record, PARK_REASON);
    const struct kafka_header *class = kafka_record_header(record, PARK_CLASS);
    if (!reason || !reason->value) {
        return NULL;
    }
    bool held = class && class->value && strcmp(class->value, PARK_CLASS_HELD) == 0;
    return held || strcmp(reason->value, PARK_PAUSED) == 0 ? reason->value : NULL;
}

bool intake_still_held(const struct unit *unit)
{
    const struct batch_event *be = unit->event;
    const char *before = be->target_name ? intake_held(be->record) : NULL;
    return before && unit_is_held(unit) && strcmp(before, unit->reason) == 0;
}

/* What waited in a retry topic without a failure was held for all of that time. */
static int64_t held_ms_of(const struct kafka_record *r)
{
    int64_t held_ms = header_number(r, PARK_HELD, 0);
    int64_t since_ms = now_wall_ms() - r->timestamp_ms;
    return held_ms + (intake_held(r) && since_ms > 0 ? since_ms : 0);
}

static int header_count(const struct kafka_record *r, const char *name, int absent)
{
    int64_t count = header_number(r, name, absent);
    return count < COUNT_MAX ? (int)count : COUNT_MAX;
}

static struct unit *add_unit(struct batch_of_events *batch, struct lane *lane,
                             struct batch_event *be, struct fleet_target *target)
{
    struct unit *unit = &batch->units[batch->unit_count++];
    unit->lane = lane;
    unit->event = be;
    unit->target = target;
    unit->round = header_count(be->record, PARK_ROUND, 0);
    unit->tier = header_count(be->record, PARK_TIER, unit->round);
    unit->attempts = header_count(be->record, PARK_ATTEMPTS, 0);
    if (!be->target_name) {
        unit->round = 0;
        unit->tier = 0;
        unit->attempts = 0;
    }
    unit->first_seen_wall_ms =
        be->target_name ? header_number(be->record, PARK_FIRST_SEEN, now_wall_ms())
                        : now_wall_ms();
    unit->held_ms = be->target_name ? held_ms_of(be->record) : 0;
    be->units = be->units ? be->units : unit;
    be->unit_count++;
    return unit;
}

static void add_ended(struct batch_of_events *batch, struct lane *lane,
                      struct batch_event *be, enum verdict verdict, const char *reason,
                      const char *detail)
{
    struct unit *unit = add_unit(batch, lane, be, NULL);
    unit->verdict = verdict;
    snprintf(unit->reason, sizeof unit->reason, "%s", reason);
    snprintf(unit->detail, sizeof unit->detail, "%.*s", UNIT_DETAIL_MAX - 1, detail);
    atomic_store(&unit->state, UNIT_ENDED);
}

struct opening {
    struct lane *lane;
    const struct fleet *fleet;
    const struct plan *plan;
    const bool *paused; /* by target, as it was when the batch was opened: one answer for
                           all units of a key */
    struct batch_of_events *batch;
    struct seen keys;
    struct seen identities;
};

static void end_deferred(struct unit *unit, const char *reason, int64_t at_least_ms)
{
    unit->verdict = VERDICT_DEFERRED;
    unit->park_after_ms = at_least_ms > 0 ? at_least_ms : 0;
    snprintf(unit->reason, sizeof unit->reason, "%s", reason);
    atomic_store(&unit->state, UNIT_ENDED);
}

/* It is to wait longer than the tier did: on it goes for the reason it came with. */
static void go_round(struct unit *unit, int64_t left_ms)
{
    const struct kafka_record *record = unit->event->record;
    const char *held = unit->event->target_name ? intake_held(record) : NULL;
    const struct kafka_header *detail = kafka_record_header(record, PARK_DETAIL);
    unit->held = held && strcmp(held, PARK_PAUSED) != 0; /* that is over */
    if (unit->held && detail && detail->value) {
        snprintf(unit->detail, sizeof unit->detail, "%s", detail->value);
    }
    end_deferred(unit, unit->held ? held : "retry-after", left_ms);
}

static bool goes_round(const struct unit *unit)
{
    return unit->verdict == VERDICT_DEFERRED;
}

/* The order of the key: what is behind one that goes round goes with it. */
static void go_along(struct unit *unit, const struct unit *ahead)
{
    unit->held = ahead->held;
    memcpy(unit->detail, ahead->detail, sizeof unit->detail);
    end_deferred(unit, ahead->held ? ahead->reason : "order", ahead->park_after_ms);
}

static void add_open(struct opening *o, struct batch_event *be,
                     struct fleet_target *target)
{
    struct unit *unit = add_unit(o->batch, o->lane, be, target);
    unit->entry = (struct ledger_entry){
        .target = target->config->name,
        .identity = be->event.identity,
        .content = be->event.content,
        .round = unit->round,
        .lease_ms = target->lease_ms,
    };
    ledger_entry_init(o->fleet->ledger, &unit->entry);
    atomic_store(&unit->state, UNIT_CLAIM);
    int64_t left_ms = be->not_before_wall_ms ? be->not_before_wall_ms - now_wall_ms() : 0;
    struct unit **last = key_slot(&o->keys, unit);
    if (o->paused[target - o->plan->targets]) {
        unit->held = true;
        end_deferred(unit, PARK_PAUSED, left_ms);
    } else if (left_ms > 0) {
        go_round(unit, left_ms);
    } else if (last && *last && goes_round(*last)) {
        go_along(unit, *last);
    } else if (!join_twin(&o->identities, unit)) {
        join_chain(last, unit);
    }
    if (last && goes_round(unit)) {
        *last = unit;
    }
}

static void open_event(struct opening *o, struct batch_event *be,
                       enum event_outcome outcome)
{
    if (outcome == EVENT_BAD) {
        metric_inc(
            metrics_series(o->fleet->events_invalid, be->why.word, NULL, NULL, NULL));
        add_ended(o->batch, o->lane, be, VERDICT_DEAD, be->why.word, be->why.text);
        return;
    }
    if (outcome == EVENT_NOT_OURS) {
        add_ended(o->batch, o->lane, be, VERDICT_SKIPPED, be->why.word, be->why.text);
        return;
    }
    if (be->target_name) {
        struct fleet_target *target = find_target(o->plan, be->target_name);
        if (target) {
            add_open(o, be, target);
        } else {
            add_ended(o->batch, o->lane, be, VERDICT_DEAD, "target-gone",
                      "the target this unit was for is not configured any more");
        }
        return;
    }
    for (size_t i = 0; i < o->plan->target_count; i++) {
        struct fleet_target *target = &o->plan->targets[i];
        if (match_event(&target->config->match, &be->event, NULL, NULL)) {
            add_open(o, be, target);
        }
    }
    if (be->unit_count == 0) {
        add_ended(o->batch, o->lane, be, VERDICT_SKIPPED, "no-target",
                  "no target matches");
    }
}

static size_t count_units(const struct plan *plan, const struct batch_event *be,
                          enum event_outcome outcome)
{
    size_t n = 0;
    if (outcome == EVENT_OK && !be->target_name) {
        for (size_t i = 0; i < plan->target_count; i++) {
            n += match_event(&plan->targets[i].config->match, &be->event, NULL, NULL);
        }
    }
    return n ? n : 1;
}

void intake_open(struct lane *lane, const struct plan *plan,
                 const struct kafka_partition *partition, struct kafka_record **records,
                 size_t n, bool source, struct batch_of_events *batch)
{
    enum event_outcome *outcomes = mem_array(n, sizeof *outcomes);
    size_t units = 0;
    *batch = (struct batch_of_events){.events = mem_array(n, sizeof *batch->events),
                                      .event_count = n};
    for (size_t i = 0; i < n; i++) {
        struct batch_event *be = &batch->events[i];
        be->record = records[i];
        read_origin(be, partition, source);
        outcomes[i] = decode(be);
        units += count_units(plan, be, outcomes[i]);
    }
    batch->units = mem_array(units, sizeof *batch->units);
    bool *paused = mem_array(plan->target_count + 1, sizeof *paused);
    for (size_t i = 0; i < plan->target_count; i++) {
        paused[i] = atomic_load(&plan->targets[i].downstream->paused);
    }
    struct opening opening = {.lane = lane,
                              .fleet = lane->fleet,
                              .plan = plan,
                              .paused = paused,
                              .batch = batch};
    seen_init(&opening.keys, units);
    seen_init(&opening.identities, units);
    for (size_t i = 0; i < n; i++) {
        open_event(&opening, &batch->events[i], outcomes[i]);
    }
    free(opening.keys.slots);
    free(opening.identities.slots);
    free(paused);
    free(outcomes);
}

void intake_close(struct batch_of_events *batch)
{
    for (size_t i = 0; i < batch->unit_count; i++) {
        if (batch->units[i].request_ready) {
            target_request_release(&batch->units[i].request);
        }
        free(batch->units[i].ask);
        free(batch->units[i].follow);
    }
    for (size_t i = 0; i < batch->event_count; i++) {
        struct batch_event *be = &batch->events[i];
        if (be->decoded) {
            event_release(&be->event);
        }
        kafka_record_free(be->record);
        free(be->target_name);
        free(be->origin_topic);
    }
    free(batch->units);
    free(batch->events);
    *batch = (struct batch_of_events){0};
}
