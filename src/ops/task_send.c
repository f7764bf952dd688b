#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/now.h"
#include "event/redact.h"
#include "fleet/intake.h"
#include "ops/task_inside.h"
#include "wire/kafka_producer.h"

enum {
    SEND_MS = 30000,
    HEADERS_MAX = 96,
    OWN_HEADERS = 17,
    NUMBER_MAX = 24,
    OF_MAX = 48
};

static void of_unit(const struct task_unit *unit, char of[OF_MAX])
{
    if (unit->redrives_of) {
        snprintf(of, OF_MAX, "%s", unit->redrives_of);
    } else {
        snprintf(of, OF_MAX, "%d:%lld", unit->origin_partition,
                 (long long)unit->origin_offset);
    }
}

bool task_has_sent(const struct task *t, const struct task_unit *unit)
{
    char of[OF_MAX];
    struct str key;
    str_init(&key);
    of_unit(unit, of);
    str_addf(&key, "%s|%s", of, unit->target);
    bool sent = json_object_object_get_ex(t->sent, key.data, NULL);
    str_release(&key);
    return sent;
}

struct outgoing {
    struct kafka_header headers[OWN_HEADERS + HEADERS_MAX];
    size_t count;
    char numbers[OWN_HEADERS][NUMBER_MAX];
    char *owned[HEADERS_MAX];
    size_t owned_count;
    char of[OF_MAX];
    struct str value;
};

static void add_text(struct outgoing *o, const char *name, const char *value)
{
    o->headers[o->count++] = (struct kafka_header){name, value, strlen(value)};
}

static void add_number(struct outgoing *o, const char *name, int64_t value)
{
    char *text = o->numbers[o->count];
    snprintf(text, NUMBER_MAX, "%lld", (long long)value);
    add_text(o, name, text);
}

/* The headers of a parked record, as intake reads them: as if it had been parked now, but
 * for what it went through before. */
static void add_story(struct outgoing *o, const struct task *t,
                      const struct task_unit *unit)
{
    const char *tries = letter_header(unit->record, PARK_TRIES);
    of_unit(unit, o->of);
    add_text(o, PARK_TARGET, unit->target);
    add_text(o, PARK_EVENT_ID, unit->event_id);
    add_text(o, PARK_REASON, t->kind);
    add_text(o, PARK_CLASS, "deferred");
    add_number(o, PARK_ROUND, unit->round);
    add_number(o, PARK_TIER, 0);
    add_number(o, PARK_ATTEMPTS, unit->attempts);
    add_text(o, PARK_TOPIC, unit->origin_topic);
    add_number(o, PARK_PARTITION, unit->origin_partition);
    add_number(o, PARK_OFFSET, unit->origin_offset);
    add_number(o, PARK_FIRST_SEEN, now_wall_ms()); /* a budget of its own */
    add_text(o, PARK_REDRIVE, t->id);
    add_text(o, unit->redrives_of ? PARK_REDRIVE_OF : PARK_REPLAY_OF, o->of);
    if (unit->redrives_of) {
        add_number(o, PARK_REDRIVE_COUNT, unit->redrives + 1);
    }
    if (tries) {
        add_text(o, PARK_TRIES, tries);
    }
}

static void add_own(struct outgoing *o, const struct kafka_record *record)
{
    struct str clean;
    size_t passed = 0;
    str_init(&clean);
    for (size_t i = 0; i < record->header_count && passed < HEADERS_MAX; i++) {
        struct kafka_header h = record->headers[i];
        if (text_starts(h.name, "sluice-")) {
            continue;
        }
        if (h.value && redact_url_users(h.value, h.len, &clean)) {
            h.len = clean.len;
            h.value = o->owned[o->owned_count++] = str_take(&clean);
        }
        o->headers[o->count++] = h;
        passed++;
    }
    str_release(&clean);
}

/* What is sent again although it was triggered, or was before it died. */
static void add_resend(struct outgoing *o, const struct task *t,
                       const struct task_unit *unit)
{
    const char *before = letter_header(unit->record, PARK_RESEND);
    if (unit->resend) {
        add_text(o, PARK_RESEND, t->id);
    } else if (before && unit->redrives_of) {
        add_text(o, PARK_RESEND, before);
    }
}

static int send_now(struct task *t, const struct task_unit *unit, struct err *err)
{
    struct outgoing o;
    const struct kafka_record *record = unit->record;
    int partition;
    int64_t offset;
    o.count = o.owned_count = 0;
    str_init(&o.value);
    add_story(&o, t, unit);
    add_resend(&o, t, unit);
    add_own(&o, record);
    if (record->value) {
        event_redact(record->value, record->value_len, &o.value);
    }
    struct kafka_message message = {.topic = t->topic,
                                    .partition = -1,
                                    .key = record->key,
                                    .key_len = record->key_len,
                                    .value = record->value ? o.value.data : NULL,
                                    .value_len = o.value.len,
                                    .headers = o.headers,
                                    .header_count = o.count};
    int rc = kafka_send_wait(t->place->sender, &message, now_ms() + SEND_MS, &partition,
                             &offset, err);
    for (size_t i = 0; i < o.owned_count; i++) {
        free(o.owned[i]);
    }
    str_release(&o.value);
    if (rc == 0) {
        task_add_sent(t, o.of, unit->target);
    }
    return rc;
}

int task_send(struct task *t, const struct task_unit *unit, double rate_per_s,
              struct err *err)
{
    int rc = task_keep(t, err);
    while (rc == 0 && now_ms() < t->next_ms) {
        int64_t step_ms = now_ms() + TASK_KEEP_EVERY_MS;
        rc = ctx_sleep(t->ctx, t->next_ms < step_ms ? t->next_ms : step_ms);
        rc = rc ? err_set(err, -ECANCELED, "stopped") : task_keep(t, err);
    }
    if (rc) {
        return rc;
    }
    int64_t now = now_ms();
    int64_t gap_ms = rate_per_s > 0 ? (int64_t)(1000 / rate_per_s) : 0;
    t->next_ms = (t->next_ms && now - t->next_ms < gap_ms ? t->next_ms : now) + gap_ms;
    return send_now(t, unit, err);
}
