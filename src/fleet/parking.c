/* Design. A record on its way has a ticket in a block of its own that outlives the lane:
 * the lane may leave when it is told to stop, the producer's thread still has where to
 * write. The last of the two to go frees the block. */
#include "fleet/parking.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "event/redact.h"
#include "fleet/intake.h"
#include "fleet/lane.h"
#include "wire/crypto.h"

enum {
    OWN_HEADERS = 16,
    LINEAGE_HEADERS = 5,
    PASSED_HEADERS_MAX = 64,
    PENDING = 1,
    NUMBER_MAX = 24,
    WAIT_STEP_MS = 200
};

/* --- which tier --- */

size_t parking_tier(const struct config *config, const struct config_target *target,
                    int rounds, bool called, int64_t at_least_ms, int64_t age_ms)
{
    size_t last = config->retry.tier_count - 1;
    size_t earned = (size_t)(called || rounds == 0 ? rounds : rounds - 1);
    size_t tier = earned < last ? earned : last;
    while (tier < last && config->retry.tiers_ms[tier] < at_least_ms) {
        tier++;
    }
    return age_ms + config->retry.tiers_ms[tier] > target->retry_budget_ms ? SIZE_MAX
                                                                           : tier;
}

int parking_round(int round, enum verdict verdict)
{
    int next = round + 1;
    if (verdict == VERDICT_DEAD) {
        return next < LEDGER_DEAD_ROUND ? LEDGER_DEAD_ROUND : next;
    }
    return next == LEDGER_DEAD_ROUND ? round : next;
}

/* It was called in this round, and that is why it waits: the next wait is longer. */
static bool has_failed(const struct unit *unit)
{
    return unit->tries > 0 && !unit->held;
}

static bool must_park(const struct unit *unit)
{
    return unit->verdict == VERDICT_DEFERRED || unit->verdict == VERDICT_DEAD;
}

/* A deferred unit whose budget does not reach the next tier is dead; one that is held
 * never is. */
static const char *choose_topic(const struct fleet *fleet, struct unit *unit)
{
    if (unit->verdict == VERDICT_DEFERRED) {
        int64_t age_ms = unit->held
                             ? INT64_MIN / 2
                             : now_wall_ms() - unit->first_seen_wall_ms - unit->held_ms;
        size_t tier = parking_tier(fleet->config, unit->target->config, unit->tier,
                                   has_failed(unit), unit->park_after_ms, age_ms);
        if (tier != SIZE_MAX) {
            return fleet->retry_topics[tier];
        }
        unit->verdict = VERDICT_DEAD;
    }
    return fleet->dead_topic;
}

/* --- the record --- */

/* What of a record goes into its topic, when it is too large for that. */
enum cut {
    CUT_NONE,
    CUT_VALUE, /* the value's beginning */
    CUT_ALL,   /* and the key's, and no header of the event's own */
};

struct parked {
    struct kafka_header headers[OWN_HEADERS + LINEAGE_HEADERS + PASSED_HEADERS_MAX];
    size_t count;
    char numbers[OWN_HEADERS][NUMBER_MAX];
    struct str value;
    struct str tries;
    size_t key_len;
    char cut[96];
    char *owned[PASSED_HEADERS_MAX]; /* values that are not as they came */
    size_t owned_count;
};

static void add_text(struct parked *p, const char *name, const char *value)
{
    p->headers[p->count++] = (struct kafka_header){name, value, strlen(value)};
}

static void add_number(struct parked *p, const char *name, int64_t value)
{
    char *text = p->numbers[p->count];
    snprintf(text, NUMBER_MAX, "%lld", (long long)value);
    add_text(p, name, text);
}

/* What became of each call, for whoever finds the record when Redis has forgotten it. */
static void add_tries(struct parked *p, const struct fleet *fleet,
                      const struct unit *unit)
{
    const struct kafka_header *before =
        unit->event->target_name ? kafka_record_header(unit->event->record, PARK_TRIES)
                                 : NULL;
    tries_print(before && before->value ? before->value : "", &unit->story,
                fleet->config->kafka.client_id, &p->tries);
    if (p->tries.len > 0) {
        add_text(p, PARK_TRIES, p->tries.data);
    }
}

static const char *class_of(const struct unit *unit)
{
    if (unit->verdict == VERDICT_DEAD) {
        return "dead";
    }
    return unit->held ? PARK_CLASS_HELD : "deferred";
}

static void add_story(struct parked *p, const struct fleet *fleet,
                      const struct unit *unit)
{
    const struct batch_event *be = unit->event;
    bool dead = unit->verdict == VERDICT_DEAD;
    if (unit->target) {
        add_text(p, PARK_TARGET, unit->target->config->name);
    } else if (be->target_name) {
        add_text(p, PARK_TARGET, be->target_name);
    }
    if (be->decoded && be->event.fields[EVENT_ID]) {
        add_text(p, PARK_EVENT_ID, be->event.fields[EVENT_ID]);
    }
    add_text(p, PARK_REASON, unit->reason);
    add_text(p, PARK_CLASS, class_of(unit));
    add_text(p, PARK_DETAIL, unit->detail);
    add_number(p, PARK_ROUND,
               dead ? unit->round + 1 : parking_round(unit->round, unit->verdict));
    add_number(p, PARK_TIER, unit->tier + has_failed(unit));
    add_number(p, PARK_ATTEMPTS, unit->attempts);
    add_text(p, PARK_TOPIC, be->origin_topic);
    add_number(p, PARK_PARTITION, be->origin_partition);
    add_number(p, PARK_OFFSET, be->origin_offset);
    add_number(p, PARK_FIRST_SEEN, unit->first_seen_wall_ms);
    if (unit->held_ms > 0) {
        add_number(p, PARK_HELD, unit->held_ms);
    }
    if (!dead && unit->park_after_ms > 0) {
        add_number(p, PARK_NOT_BEFORE, now_wall_ms() + unit->park_after_ms);
    }
    add_tries(p, fleet, unit);
}

/* Where it came from, when an operator sent it again. */
static void add_lineage(struct parked *p, const struct kafka_record *record)
{
    static const char *const names[LINEAGE_HEADERS] = {PARK_REDRIVE, PARK_REDRIVE_OF,
                                                       PARK_REDRIVE_COUNT, PARK_REPLAY_OF,
                                                       PARK_RESEND};
    for (size_t i = 0; i < LINEAGE_HEADERS; i++) {
        const struct kafka_header *h = kafka_record_header(record, names[i]);
        if (h && h->value) {
            p->headers[p->count++] = *h;
        }
    }
}

/* A CloudEvent's source may be a URL, too. */
static struct kafka_header clean(struct parked *p, const struct kafka_header *header)
{
    struct str value;
    struct kafka_header h = *header;
    str_init(&value);
    if (h.value && redact_url_users(h.value, h.len, &value)) {
        h.len = value.len;
        h.value = str_take(&value);
        p->owned[p->owned_count++] = (char *)h.value;
    }
    str_release(&value);
    return h;
}

/* The event's own headers go along; of ours only the new ones. */
static void add_passed(struct parked *p, const struct kafka_record *record)
{
    size_t passed = 0;
    for (size_t i = 0; i < record->header_count && passed < PASSED_HEADERS_MAX; i++) {
        if (!text_starts(record->headers[i].name, "sluice-")) {
            p->headers[p->count++] = clean(p, &record->headers[i]);
            passed++;
        }
    }
}

static void parked_release(struct parked *p)
{
    for (size_t i = 0; i < p->owned_count; i++) {
        free(p->owned[i]);
    }
    str_release(&p->value);
    str_release(&p->tries);
}

/* The beginning, with the size and a hash of the whole. */
static void cut_value(struct parked *p)
{
    char hex[CRYPTO_HEX128_LEN];
    struct crypto_piece piece = {p->value.data, p->value.len};
    crypto_hash128(&piece, 1, hex);
    snprintf(p->cut, sizeof p->cut, "bytes=%zu hash=%s", p->value.len, hex);
    if (p->value.len > PARKING_CUT_BYTES) {
        p->value.len = PARKING_CUT_BYTES;
    }
    add_text(p, PARK_CUT, p->cut);
}

static void parked_init(struct parked *p, const struct fleet *fleet,
                        const struct unit *unit, enum cut cut)
{
    const struct kafka_record *record = unit->event->record;
    p->count = 0;
    p->owned_count = 0;
    str_init(&p->value);
    str_init(&p->tries);
    p->key_len = record->key_len;
    add_story(p, fleet, unit);
    if (unit->event->target_name) {
        add_lineage(p, record);
    }
    if (cut != CUT_ALL) {
        add_passed(p, record);
    } else if (p->key_len > PARKING_CUT_BYTES) {
        p->key_len = PARKING_CUT_BYTES;
    }
    if (record->value) {
        event_redact(record->value, record->value_len, &p->value);
    }
    if (cut != CUT_NONE) {
        cut_value(p);
    }
}

/* --- tickets --- */

struct tickets {
    struct waitgroup wg;
    atomic_int refs;
    size_t count;
    atomic_int results[]; /* PENDING, 0 or -errno */
};

struct ticket {
    struct tickets *all;
    size_t i;
    bool last; /* nothing is left to cut */
};

static void tickets_drop(struct tickets *t)
{
    if (atomic_fetch_sub(&t->refs, 1) == 1) {
        waitgroup_release(&t->wg);
        free(t);
    }
}

/* producer's thread */
static void on_sent(void *arg, int rc, int partition, int64_t offset, const char *why)
{
    (void)partition;
    (void)offset;
    struct ticket *ticket = arg;
    struct tickets *all = ticket->all;
    if (rc && (rc != -EINVAL || ticket->last)) {
        LOG(LOG_WARN, "parking failed", LS("text", why), LEND);
    }
    atomic_store(&all->results[ticket->i], rc);
    waitgroup_done(&all->wg);
    tickets_drop(all);
    free(ticket);
}

static struct tickets *tickets_new(size_t count)
{
    struct tickets *t = mem_zalloc(sizeof *t + count * sizeof(atomic_int));
    waitgroup_init(&t->wg);
    atomic_init(&t->refs, 1);
    t->count = count;
    for (size_t i = 0; i < count; i++) {
        atomic_init(&t->results[i], PENDING);
    }
    return t;
}

/* A cut event cannot be tried again, and what it was held for is not why it dies. */
static void die_of_size(struct unit *unit)
{
    unit->verdict = VERDICT_DEAD;
    if (unit->held) {
        unit->held = false;
        snprintf(unit->reason, sizeof unit->reason, "too-large");
    }
}

static void send_one(const struct fleet *fleet, struct unit *unit, enum cut cut,
                     struct tickets *t, size_t i)
{
    struct err err = ERR_INIT;
    struct parked parked;
    const struct kafka_record *record = unit->event->record;
    if (cut != CUT_NONE) {
        die_of_size(unit);
    }
    const char *topic = choose_topic(fleet, unit);
    parked_init(&parked, fleet, unit, cut);
    struct kafka_message message = {
        .topic = topic,
        .partition = -1,
        .key = record->key,
        .key_len = parked.key_len,
        .value = record->value ? parked.value.data : NULL,
        .value_len = parked.value.len,
        .headers = parked.headers,
        .header_count = parked.count,
    };
    struct ticket *ticket = mem_alloc(sizeof *ticket);
    *ticket = (struct ticket){t, i, cut == CUT_ALL};
    waitgroup_add(&t->wg, 1);
    atomic_fetch_add(&t->refs, 1);
    int rc = kafka_send(fleet->producer, &message, on_sent, ticket, &err);
    if (rc) {
        on_sent(ticket, rc, -1, -1, err.text);
    }
    parked_release(&parked);
}

/* Wait for all tickets; when told to stop, only a little longer. Returns false when some
 * are still out. */
static bool tickets_wait(struct lane *lane, struct tickets *t)
{
    int64_t last_ms = NOW_FOREVER;
    for (;;) {
        lane_turns(lane);
        if (last_ms == NOW_FOREVER && lane_gives_back(lane)) {
            last_ms = now_ms() + PARKING_LAST_MS;
        }
        int64_t now = now_ms();
        if (now >= last_ms) {
            return waitgroup_open(&t->wg) == 0;
        }
        if (waitgroup_wait(&t->wg, now + WAIT_STEP_MS) == 0) {
            return true;
        }
    }
}

/* --- a batch --- */

struct round_of_parking {
    struct unit **units; /* not acknowledged yet */
    enum cut *cut;       /* of each of them */
    size_t count;
    struct ledger_entry **entries; /* acknowledged in this round */
    int *rounds;
    size_t parked;
};

static void count_held(const struct fleet *fleet, const struct unit *unit)
{
    const struct batch_event *be = unit->event;
    const char *target = unit->target->config->name;
    metric_inc(metrics_series(fleet->held, target, unit->reason, NULL, NULL));
    if (strcmp(unit->reason, PARK_PAUSED) != 0) { /* who paused it knows */
        LOG(LOG_INFO, "trigger held", LS("target", target),
            LS("event_id", be->event.fields[EVENT_ID]), LS("reason", unit->reason),
            LS("detail", unit->detail), LI("asked_again_in_ms", unit->park_after_ms),
            LEND);
    }
}

static void acknowledged(const struct fleet *fleet, struct round_of_parking *r,
                         struct unit *unit)
{
    metric_inc(metrics_series(fleet->parked, verdict_name(unit->verdict), unit->reason,
                              NULL, NULL));
    if (unit_is_held(unit) && !intake_still_held(unit)) {
        count_held(fleet, unit);
    }
    if (unit->verdict == VERDICT_DEAD) {
        metric_inc(metrics_series(fleet->dead_letters, unit->reason, NULL, NULL, NULL));
        LOG(LOG_WARN, "dead letter", LS("topic", fleet->dead_topic),
            LS("target", unit->target ? unit->target->config->name : ""),
            LS("reason", unit->reason), LS("detail", unit->detail),
            LS("origin", unit->event->origin_topic),
            LI("partition", unit->event->origin_partition),
            LI("offset", unit->event->origin_offset), LEND);
    }
    /* A conflict's key belongs to the other event, a unit that waited belongs to its
     * holder. */
    if (unit->claimed) {
        r->entries[r->parked] = &unit->entry;
        r->rounds[r->parked++] = parking_round(unit->round, unit->verdict);
    }
}

/* Send all that is not acknowledged once. Returns false when the lane was told to stop
 * meanwhile. */
static bool park_once(struct lane *lane, const struct fleet *fleet,
                      struct round_of_parking *r)
{
    struct tickets *t = tickets_new(r->count);
    for (size_t i = 0; i < r->count; i++) {
        send_one(fleet, r->units[i], r->cut[i], t, i);
    }
    bool all = tickets_wait(lane, t);
    size_t left = 0;
    for (size_t i = 0; i < r->count; i++) {
        int rc = atomic_load(&t->results[i]);
        if (rc == 0) {
            acknowledged(fleet, r, r->units[i]);
        } else {
            bool more = rc == -EINVAL && r->cut[i] != CUT_ALL;
            r->units[left] = r->units[i];
            r->cut[left++] = more ? r->cut[i] + 1 : r->cut[i];
        }
    }
    r->count = left;
    tickets_drop(t);
    return all;
}

static void give_back(const struct fleet *fleet, struct unit *unit)
{
    struct ledger_entry *entry = &unit->entry;
    if (unit->claimed && !unit->keep_claim) {
        ledger_release(fleet->ledger, &entry, 1);
    }
    unit->verdict = VERDICT_RETURNED;
}

void parking_park(struct lane *lane, const struct fleet *fleet,
                  struct batch_of_events *batch)
{
    size_t n = 0;
    for (size_t i = 0; i < batch->unit_count; i++) {
        n += must_park(&batch->units[i]);
    }
    if (n == 0) {
        return;
    }
    struct round_of_parking r = {
        .units = mem_array(n, sizeof(struct unit *)),
        .cut = mem_array(n, sizeof(enum cut)),
        .entries = mem_array(n, sizeof(struct ledger_entry *)),
        .rounds = mem_array(n, sizeof(int)),
    };
    for (size_t i = 0; i < batch->unit_count; i++) {
        if (must_park(&batch->units[i])) {
            r.units[r.count++] = &batch->units[i];
        }
    }
    lane_waits(lane, LANE_PARKING);
    while (r.count > 0 && !lane_gives_back(lane)) {
        if (park_once(lane, fleet, &r) && r.count > 0 &&
            ctx_sleep(lane->intake, now_ms() + PARKING_RETRY_MS)) {
            break;
        }
    }
    if (r.parked) {
        ledger_parked(fleet->ledger, r.entries, r.rounds, r.parked);
    }
    for (size_t i = 0; i < r.count; i++) {
        give_back(fleet, r.units[i]);
    }
    free(r.units);
    free(r.cut);
    free(r.entries);
    free(r.rounds);
}
