/* Design. Events are taken in batches, so that one pipeline to Redis tells of all their
 * units; the callbacks then run in the order of the events. */
#include "ops/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "event/match.h"
#include "ops/letter.h"

enum { BATCH_EVENTS = 100, BATCH_BYTES = 8 << 20 };

struct unit {
    size_t event;
    const char *target;
};

struct batch {
    struct source_event events[BATCH_EVENTS];
    size_t count;
    size_t bytes;
    struct unit *units;
    size_t unit_count;
};

static bool is_wanted(const struct source_walk *walk, const struct event *ev)
{
    return !walk->event ||
           (ev->fields[EVENT_ID] && strcmp(ev->fields[EVENT_ID], walk->event) == 0);
}

static void add_event(const struct source_walk *walk, struct batch *batch, int partition,
                      struct kafka_record *record)
{
    const struct config *c = walk->place->config;
    struct source_event *at = &batch->events[batch->count];
    struct event_reason why;
    *at = (struct source_event){.record = record, .partition = partition};
    at->outcome = letter_decode(record, c->kafka.topic, partition, record->offset,
                                &at->event, &why);
    if (!is_wanted(walk, &at->event)) {
        event_release(&at->event);
        kafka_record_free(record);
        return;
    }
    batch->bytes += record->value_len;
    for (size_t i = 0; i < c->target_count && at->outcome == EVENT_OK; i++) {
        const struct config_target *target = &c->targets[i];
        if (match_event(&target->match, &at->event, NULL, NULL) &&
            (!walk->target || text_glob(walk->target, target->name))) {
            batch->units =
                mem_resize(batch->units, (batch->unit_count + 1) * sizeof *batch->units);
            batch->units[batch->unit_count++] = (struct unit){batch->count, target->name};
            at->has_units = true;
        }
    }
    batch->count++;
}

static int tell(const struct source_walk *walk, const struct batch *batch,
                const struct ledger_record *records)
{
    int rc = 0;
    size_t next = 0;
    for (size_t i = 0; i < batch->count && rc == 0; i++) {
        const struct source_event *event = &batch->events[i];
        rc = walk->at_event ? walk->at_event(walk->arg, event) : 0;
        for (; next < batch->unit_count && batch->units[next].event == i && rc == 0;
             next++) {
            rc = walk->at_unit(walk->arg, event, batch->units[next].target,
                               &records[next]);
        }
    }
    return rc;
}

/* Ask the ledger of all units, tell of all events, begin anew. */
static int end_batch(const struct source_walk *walk, struct ledger *ledger,
                     struct batch *batch, struct err *err)
{
    struct ledger_entry *entries = mem_array(batch->unit_count + 1, sizeof *entries);
    struct ledger_record *records = mem_array(batch->unit_count + 1, sizeof *records);
    for (size_t i = 0; i < batch->unit_count; i++) {
        const struct source_event *event = &batch->events[batch->units[i].event];
        entries[i] = (struct ledger_entry){.target = batch->units[i].target,
                                           .identity = event->event.identity};
    }
    int rc =
        batch->unit_count ? ledger_look(ledger, entries, batch->unit_count, records) : 0;
    if (rc) {
        err_set(err, rc, "Redis, which knows what was triggered, does not answer");
    } else {
        rc = tell(walk, batch, records);
    }
    for (size_t i = 0; i < batch->count; i++) {
        event_release(&batch->events[i].event);
        kafka_record_free(batch->events[i].record);
    }
    batch->count = batch->bytes = batch->unit_count = 0;
    free(entries);
    free(records);
    return rc;
}

static struct ledger *make_ledger(const struct ops_place *place)
{
    const struct config *c = place->config;
    struct ledger_options options = {.prefix = c->redis.prefix,
                                     .group = c->kafka.group,
                                     .done_ttl_ms = c->done_ttl_ms,
                                     .timeout_ms = c->redis.timeout_ms};
    return ledger_new(place->redis, &options);
}

int source_walk(const struct source_walk *walk, const struct kafka_span *spans, size_t n,
                struct err *err)
{
    const struct config *c = walk->place->config;
    struct kafka_reader *reader =
        kafka_reader_open(c->kafka.brokers, c->kafka.properties, c->kafka.property_count,
                          c->kafka.topic, spans, n, err);
    if (!reader) {
        return -EINVAL;
    }
    struct ledger *ledger = make_ledger(walk->place);
    struct batch *batch = mem_zalloc(sizeof *batch);
    int rc = 0;
    while (rc == 0) {
        int partition;
        struct kafka_record *record = NULL;
        rc = kafka_reader_next(reader, now_ms() + SOURCE_PATIENCE_MS, &partition, &record,
                               err);
        if (rc == 0) {
            add_event(walk, batch, partition, record);
        }
        bool over = rc == -EPIPE;
        if (over ||
            (rc == 0 && (batch->count == BATCH_EVENTS || batch->bytes > BATCH_BYTES))) {
            rc = end_batch(walk, ledger, batch, err);
        }
        if (over) {
            break;
        }
    }
    for (size_t i = 0; i < batch->count; i++) { /* it ended before its end */
        event_release(&batch->events[i].event);
        kafka_record_free(batch->events[i].record);
    }
    free(batch->units);
    free(batch);
    ledger_free(ledger);
    kafka_reader_close(reader);
    return rc;
}
