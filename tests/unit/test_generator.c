#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../producer/generator.h"

static const struct generator plain = {.seed = 1, .run = "r", .apps = 40};

/* One event, as a consumer reads it. */
struct made {
    struct record record;
    struct event ev;
    struct event_reason reason;
    enum event_outcome outcome;
    bool bad;
    enum generator_bad kind;
};

static void make(struct made *made, const struct generator *generator, uint64_t n)
{
    record_init(&made->record);
    made->bad = generator_make(generator, n, 1795000000000, &made->record, &made->kind);
    made->outcome = record_decode(&made->record, &made->ev, &made->reason);
}

static void release(struct made *made)
{
    event_release(&made->ev);
    record_release(&made->record);
}

static void generator__events_are_good_in_every_format(void **state)
{
    (void)state;
    for (int format = FORMAT_SLUICE; format <= FORMAT_DEVTRON; format++) {
        struct generator generator = plain;
        generator.format = (enum format)format;
        for (uint64_t n = 0; n < 50; n++) {
            struct made made;
            make(&made, &generator, n);
            assert_false(made.bad);
            assert_int_equal(made.outcome, EVENT_OK);
            assert_non_null(made.ev.fields[EVENT_APP]);
            release(&made);
        }
    }
}

static void generator__the_same_again_is_the_same(void **state)
{
    (void)state;
    struct made a;
    struct made b;
    make(&a, &plain, 7);
    make(&b, &plain, 7);
    assert_string_equal(a.record.value.data, b.record.value.data);
    assert_string_equal(a.record.key, b.record.key);
    release(&b);
    make(&b, &plain, 8);
    assert_string_not_equal(a.ev.identity, b.ev.identity);
    release(&b);
    struct generator other = plain;
    other.run = "s";
    make(&b, &other, 7);
    assert_string_not_equal(a.ev.identity, b.ev.identity);
    assert_string_not_equal(a.ev.content, b.ev.content);
    release(&b);
    release(&a);
}

static void generator__breaks_its_share(void **state)
{
    (void)state;
    enum { EVENTS = 5000 };
    struct generator generator = plain;
    generator.bad = 0.1;
    int bad = 0;
    unsigned kinds = 0;
    for (uint64_t n = 0; n < EVENTS; n++) {
        struct record record;
        enum generator_bad kind;
        record_init(&record);
        if (generator_make(&generator, n, 0, &record, &kind)) {
            bad++;
            kinds |= 1u << kind;
        }
        record_release(&record);
    }
    assert_in_range(bad, EVENTS * 8 / 100, EVENTS * 12 / 100);
    assert_int_equal(kinds, (1u << GENERATOR_BADS) - 1); /* of all kinds */
}

static void generator__broken_ones_never_count_as_success(void **state)
{
    (void)state;
    for (int kind = 0; kind < GENERATOR_BADS; kind++) {
        struct made made;
        record_init(&made.record);
        generator_break(&plain, 5, (enum generator_bad)kind, &made.record);
        made.outcome = record_decode(&made.record, &made.ev, &made.reason);
        if (kind == BAD_CONFLICT) {
            assert_int_equal(made.outcome, EVENT_OK); /* only the ledger can tell */
        } else if (kind == BAD_FAILURE || kind == BAD_TOMBSTONE) {
            assert_int_equal(made.outcome, EVENT_NOT_OURS);
        } else if (made.outcome != EVENT_BAD) {
            fail_msg("%s was taken", generator_bad_name((enum generator_bad)kind));
        }
        release(&made);
    }
}

static void generator__a_conflict_shares_the_id_of_the_one_before(void **state)
{
    (void)state;
    struct made before;
    struct made conflict;
    make(&before, &plain, 4);
    record_init(&conflict.record);
    generator_break(&plain, 5, BAD_CONFLICT, &conflict.record);
    record_decode(&conflict.record, &conflict.ev, &conflict.reason);
    assert_string_equal(before.ev.identity, conflict.ev.identity);
    assert_string_not_equal(before.ev.content, conflict.ev.content);
    release(&conflict);
    release(&before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
