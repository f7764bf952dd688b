#include "generator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "dice.h"

enum { DEEP = 100 * 1000, HEX_MAX = 64 };

static struct dice dice_of(const struct generator *g, uint64_t n)
{
    return dice_for(g->seed, g->run, n);
}

static void add_hex(struct str *out, struct dice *dice, int digits)
{
    static const char hex[] = "0123456789abcdef";
    for (int i = 0; i < digits; i++) {
        str_addc(out, hex[dice_below(dice, 16)]);
    }
}

static void put(struct facts *facts, enum event_field field, struct str *text)
{
    facts_put(facts, field, text->data);
    str_clear(text);
}

static void put_id(const struct generator *g, uint64_t n, struct facts *facts)
{
    struct str text;
    str_init(&text);
    str_addf(&text, "sim-%s-%06llu", g->run, (unsigned long long)n);
    put(facts, EVENT_ID, &text);
    str_release(&text);
}

static void make_facts(const struct generator *g, uint64_t n, struct facts *facts)
{
    static const char *const branches[] = {"main", "main", "main",        "main",
                                           "main", "main", "release/1.4", "feature/x"};
    struct dice dice = dice_of(g, n);
    uint64_t app = dice_below(&dice, g->apps);
    struct str text;
    str_init(&text);
    str_addf(&text, "app-%02llu", (unsigned long long)app);
    put(facts, EVENT_APP, &text);
    str_addf(&text, "acme/app-%02llu", (unsigned long long)app);
    put(facts, EVENT_REPO, &text);
    facts_put(facts, EVENT_BRANCH, branches[dice_below(&dice, 8)]);
    add_hex(&text, &dice, 40);
    put(facts, EVENT_COMMIT, &text);
    str_addf(&text, "registry.acme.io/app-%02llu:%.7s", (unsigned long long)app,
             facts->field[EVENT_COMMIT]);
    put(facts, EVENT_IMAGE, &text);
    str_add(&text, "sha256:");
    add_hex(&text, &dice, 64);
    put(facts, EVENT_DIGEST, &text);
    facts_put(facts, EVENT_PIPELINE, "build");
    str_addf(&text, "%llu", (unsigned long long)n + 1);
    put(facts, EVENT_RUN, &text);
    str_addf(&text, "https://ci.acme.io/app-%02llu/%llu", (unsigned long long)app,
             (unsigned long long)n + 1);
    put(facts, EVENT_RUN_URL, &text);
    str_release(&text);
    put_id(g, n, facts);
}

/* --- broken ones --- */

static void set_text(struct record *record, const char *text)
{
    str_clear(&record->value);
    str_add(&record->value, text);
}

static void deepen(struct str *value)
{
    str_clear(value);
    str_add(value, "{\"id\":\"deep\",\"x\":");
    for (int i = 0; i < DEEP; i++) {
        str_addc(value, '[');
    }
}

static void fail_event(const struct generator *g, uint64_t n, struct record *record)
{
    str_clear(&record->value);
    str_addf(
        &record->value,
        "{\"id\":\"sim-%s-%06llu\",\"repo\":\"acme/app-00\",\"outcome\":\"failure\"}",
        g->run, (unsigned long long)n);
}

/* Event n under the id of the one before. */
static void conflict(const struct generator *g, uint64_t n, struct record *record)
{
    struct facts facts;
    facts_init(&facts);
    put_id(g, n > 0 ? n - 1 : 0, &facts);
    make_facts(g, n + 1000000000, &facts);
    str_clear(&record->value);
    (void)format_write(FORMAT_SLUICE, &facts, record, NULL);
    facts_release(&facts);
}

void generator_break(const struct generator *g, uint64_t n, enum generator_bad kind,
                     struct record *record)
{
    switch (kind) {
    case BAD_TRUNCATED:
        set_text(record, "{\"id\":\"cut\",\"repo\":\"acme/app-00\",\"com");
        break;
    case BAD_NOT_JSON:
        set_text(record, "build ok");
        break;
    case BAD_UTF8:
        set_text(record, "{\"id\":\"utf8\",\"repo\":\"acme/\xc3\x28\",\"commit\":\"c\"}");
        break;
    case BAD_DEEP:
        deepen(&record->value);
        break;
    case BAD_DUPLICATE_NAME:
        set_text(record, "{\"id\":\"1\",\"id\":\"2\",\"repo\":\"a\",\"commit\":\"c\"}");
        break;
    case BAD_NAN:
        set_text(record, "{\"id\":\"nan\",\"repo\":\"a\",\"run\":NaN}");
        break;
    case BAD_EXPONENT:
        set_text(record, "{\"id\":\"exp\",\"repo\":\"a\",\"run\":1e999999999}");
        break;
    case BAD_TYPE:
        set_text(record, "{\"id\":\"type\",\"repo\":[\"a\"],\"commit\":7}");
        break;
    case BAD_NO_ID:
        set_text(record, "{\"branch\":\"main\"}");
        break;
    case BAD_CRLF:
        set_text(record, "{\"id\":\"crlf\",\"repo\":\"a\",\"commit\":\"c\","
                         "\"branch\":\"main\\r\\nX-Smuggled: 1\"}");
        break;
    case BAD_FAILURE:
        fail_event(g, n, record);
        break;
    case BAD_TOMBSTONE:
        str_clear(&record->value);
        record->tombstone = true;
        break;
    case BAD_CONFLICT:
        conflict(g, n, record);
        break;
    case GENERATOR_BADS:
        break;
    }
}

const char *generator_bad_name(enum generator_bad kind)
{
    static const char *const names[] = {
        "truncated", "not-json",  "bad-utf8", "too-deep", "duplicate-name",
        "nan",       "exponent",  "bad-type", "no-id",    "crlf",
        "failure",   "tombstone", "conflict",
    };
    return kind < GENERATOR_BADS ? names[kind] : "";
}

bool generator_make(const struct generator *g, uint64_t n, int64_t now_ms,
                    struct record *record, enum generator_bad *kind)
{
    struct facts facts;
    struct dice dice = dice_for(g->seed, "bad", n);
    facts_init(&facts);
    make_facts(g, n, &facts);
    facts_complete(&facts, now_ms);
    record->key = facts_key(&facts);
    bool bad = dice_unit(&dice) < g->bad;
    if (bad) {
        *kind = (enum generator_bad)dice_below(&dice, GENERATOR_BADS);
        generator_break(g, n, *kind, record);
    } else {
        (void)format_write(g->format, &facts, record, NULL); /* every field is there */
    }
    record_trace(record, NULL);
    facts_release(&facts);
    return bad;
}
