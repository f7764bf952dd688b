#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fleet/intake.h"
#include "ops/letter.h"

enum { HEADERS_MAX = 16 };

#define GOOD "{\"id\":\"e1\",\"app\":\"api\",\"repo\":\"acme/api\",\"commit\":\"c1\"}"

/* A record as the reader gives it: one block. headers: name, value, ..., NULL. */
static struct letter letter_of(const char *value, size_t len, const char *const *headers)
{
    struct letter letter;
    struct kafka_record *r =
        mem_zalloc(sizeof *r + HEADERS_MAX * sizeof(struct kafka_header));
    r->headers = (struct kafka_header *)(r + 1);
    r->offset = 17;
    r->timestamp_ms = 1764012127560;
    r->value = value;
    r->value_len = len;
    for (; headers && headers[0]; headers += 2) {
        r->headers[r->header_count++] =
            (struct kafka_header){headers[0], headers[1], strlen(headers[1])};
    }
    letter_read(&letter, 2, "t.g.dlq", r);
    return letter;
}

static const char *const parked[] =
    {PARK_TARGET,   "prod",      PARK_EVENT_ID,     "e1",       PARK_REASON,
     "http_401",    PARK_DETAIL, "Bad credentials", PARK_ROUND, "1",
     PARK_ATTEMPTS, "3",         PARK_TOPIC,        "t",        PARK_OFFSET,
     "99",          NULL};

static void letter__is_read_back_as_parking_wrote_it(void **state)
{
    (void)state;
    struct letter l = letter_of(GOOD, strlen(GOOD), parked);
    assert_false(l.foreign);
    assert_string_equal(l.target, "prod");
    assert_string_equal(l.reason, "http_401");
    assert_string_equal(l.id, "e1");
    assert_int_equal(l.attempts, 3);
    assert_int_equal(l.origin_offset, 99);
    assert_null(letter_unfit(&l, true));
    assert_non_null(strstr(letter_unfit(&l, false), "not configured"));
    letter_release(&l);
}

static void letter__of_somebody_else_is_foreign_and_stays(void **state)
{
    (void)state;
    static const char *const odd[] = {"sluice-round", "-1", "x", "\xff\xfe", NULL};
    struct letter l = letter_of("\xff\x00[", 3, odd);
    assert_true(l.foreign);
    assert_string_equal(l.target, "");
    assert_non_null(letter_unfit(&l, true));
    struct json_object *doc = letter_json(&l);
    struct str text;
    str_init(&text);
    json_print(doc, &text);
    assert_true(text_is_utf8(text.data, text.len));
    assert_string_equal(json_string_at(doc, "/reason", NULL), "foreign");
    str_release(&text);
    json_free(doc);
    letter_release(&l);
    l = letter_of(NULL, 0, NULL);
    assert_true(l.foreign);
    letter_release(&l);
}

static void letter__that_is_cut_is_not_sent_again(void **state)
{
    (void)state;
    static const char *const cut[] = {PARK_TARGET, "prod",   PARK_REASON, "x", PARK_TOPIC,
                                      "t",         PARK_CUT, "bytes=9",   NULL};
    struct letter l = letter_of(GOOD, strlen(GOOD), cut);
    assert_non_null(strstr(letter_unfit(&l, true), "cut"));
    letter_release(&l);
}

static void letter__matches_by_globs_and_times(void **state)
{
    (void)state;
    struct letter l = letter_of(GOOD, strlen(GOOD), parked);
    struct letter_filter f = {.target = "pr*", .reason = "http_*", .event = "e1"};
    assert_true(letter_matches(&l, &f));
    f.reason = "http_5*";
    assert_false(letter_matches(&l, &f));
    f = (struct letter_filter){.since_ms = l.at_ms, .until_ms = l.at_ms + 1};
    assert_true(letter_matches(&l, &f));
    f.until_ms = l.at_ms;
    assert_false(letter_matches(&l, &f));
    f = (struct letter_filter){.redrive = "r-0001"};
    assert_false(letter_matches(&l, &f));
    letter_release(&l);
}

static void letter__shows_no_credentials(void **state)
{
    (void)state;
    static const char value[] =
        "{\"id\":\"e1\",\"app\":\"a\",\"gitOptions\":{\"password\":\"MARKER\"}}";
    static const char *const headers[] = {PARK_REASON, "x",
                                          PARK_TOPIC,  "t",
                                          "ce_source", "https://u:MARKER@h/x",
                                          NULL};
    struct letter l = letter_of(value, strlen(value), headers);
    struct json_object *docs[] = {letter_json(&l), letter_envelope(&l)};
    for (size_t i = 0; i < 2; i++) {
        struct str text;
        str_init(&text);
        json_print(docs[i], &text);
        assert_null(strstr(text.data, "MARKER"));
        assert_non_null(strstr(text.data, "ce_source"));
        str_release(&text);
        json_free(docs[i]);
    }
    letter_release(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
