#include "ops/follow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/now.h"
#include "fleet/ledger.h"
#include "wire/json.h"

enum { LOOK_EVERY_MS = 300, LOOK_AT_ONCE = 500 };

struct followed {
    char *target;
    char identity[33];
    int round;
};

struct follow {
    struct ledger *ledger;
    struct followed *units;
    size_t count;
    size_t room;
    struct json_object *known; /* "<target>|<identity>" -> its place in units */
};

struct follow *follow_new(struct ops_place *place)
{
    const struct config *c = place->config;
    struct ledger_options options = {.prefix = c->redis.prefix,
                                     .group = c->kafka.group,
                                     .done_ttl_ms = c->done_ttl_ms,
                                     .timeout_ms = c->redis.timeout_ms};
    struct follow *f = mem_zalloc(sizeof *f);
    f->ledger = ledger_new(place->redis, &options);
    f->known = json_object_new_object();
    return f;
}

void follow_free(struct follow *f)
{
    for (size_t i = 0; i < f->count; i++) {
        free(f->units[i].target);
    }
    free(f->units);
    ledger_free(f->ledger);
    json_free(f->known);
    free(f);
}

/* Two letters of one unit end as one. */
static bool is_known(struct follow *f, const char *target, const char *identity,
                     int round)
{
    struct str key;
    struct json_object *place = NULL;
    str_init(&key);
    str_addf(&key, "%s|%s", target, identity);
    bool known = json_object_object_get_ex(f->known, key.data, &place);
    if (known) {
        struct followed *unit = &f->units[json_object_get_int64(place)];
        unit->round = round > unit->round ? round : unit->round;
    } else {
        json_object_object_add(f->known, key.data,
                               json_object_new_int64((int64_t)f->count));
    }
    str_release(&key);
    return known;
}

void follow_add(struct follow *f, const char *target, const char *identity, int round)
{
    if (f->count == FOLLOW_MAX || is_known(f, target, identity, round)) {
        return;
    }
    if (f->count == f->room) {
        f->room = f->room ? 2 * f->room : 64;
        f->units = mem_resize(f->units, f->room * sizeof *f->units);
    }
    struct followed *unit = &f->units[f->count++];
    unit->target = mem_strdup(target);
    unit->round = round;
    snprintf(unit->identity, sizeof unit->identity, "%s", identity);
}

static void count(const struct followed *unit, const struct ledger_record *record,
                  struct follow_counts *counts)
{
    if (record->state == LEDGER_DONE) {
        counts->triggered++;
    } else if (record->state == LEDGER_PARKED && record->round > unit->round) {
        counts->parked++;
        counts->dead +=
            unit->round < LEDGER_DEAD_ROUND && record->round >= LEDGER_DEAD_ROUND;
    } else {
        counts->open++;
    }
}

static int look(struct follow *f, struct follow_counts *counts)
{
    struct ledger_entry entries[LOOK_AT_ONCE];
    struct ledger_record records[LOOK_AT_ONCE];
    *counts = (struct follow_counts){0};
    for (size_t i = 0; i < f->count; i += LOOK_AT_ONCE) {
        size_t n = f->count - i < LOOK_AT_ONCE ? f->count - i : LOOK_AT_ONCE;
        for (size_t k = 0; k < n; k++) {
            entries[k] = (struct ledger_entry){.target = f->units[i + k].target,
                                               .identity = f->units[i + k].identity};
        }
        int rc = ledger_look(f->ledger, entries, n, records);
        if (rc) {
            return rc;
        }
        for (size_t k = 0; k < n; k++) {
            count(&f->units[i + k], &records[k], counts);
        }
    }
    return 0;
}

int follow_wait(struct follow *f, struct ctx *ctx, int64_t until_ms,
                struct follow_counts *counts, struct err *err)
{
    for (;;) {
        if (look(f, counts)) {
            return err_set(err, -EIO,
                           "Redis does not answer: what became of them is not known");
        }
        int64_t next_ms = now_ms() + LOOK_EVERY_MS;
        if (counts->open == 0 || next_ms > until_ms || ctx_sleep(ctx, next_ms)) {
            return 0;
        }
    }
}
