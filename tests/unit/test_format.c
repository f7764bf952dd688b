#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../producer/format.h"

/* What a consumer reads out of what the producer wrote. */
struct trip {
    struct facts facts;
    struct record record;
    struct event ev;
    struct event_reason reason;
    enum event_outcome outcome;
};

static void trip_begin(struct trip *trip)
{
    memset(trip, 0, sizeof *trip);
    record_init(&trip->record);
    facts_put(&trip->facts, EVENT_REPO, "acme/api");
    facts_put(&trip->facts, EVENT_COMMIT, "3f9c2e1d9a");
    facts_put(&trip->facts, EVENT_BRANCH, "main");
    facts_put(&trip->facts, EVENT_PIPELINE, "build & test");
    facts_put(&trip->facts, EVENT_RUN, "88123");
    facts_put(&trip->facts, EVENT_RUN_URL, "https://ci/88123");
}

static void trip_go(struct trip *trip, enum format format)
{
    struct err err = ERR_INIT;
    facts_complete(&trip->facts, 1795000000000);
    assert_int_equal(format_write(format, &trip->facts, &trip->record, &err), 0);
    trip->outcome = record_decode(&trip->record, &trip->ev, &trip->reason);
    assert_string_equal(trip->reason.text, "");
    assert_int_equal(trip->outcome, EVENT_OK);
}

static void trip_end(struct trip *trip)
{
    event_release(&trip->ev);
    record_release(&trip->record);
    facts_release(&trip->facts);
}

static void same(const struct trip *trip, enum event_field field)
{
    assert_non_null(trip->ev.fields[field]);
    assert_string_equal(trip->ev.fields[field], trip->facts.field[field]);
}

static void format__every_field_arrives_in_three_formats(void **state)
{
    (void)state;
    static const enum format formats[] = {FORMAT_SLUICE, FORMAT_CLOUDEVENTS,
                                          FORMAT_CDEVENTS};
    for (size_t i = 0; i < 6; i++) {
        struct trip trip;
        trip_begin(&trip);
        if (i >= 3) {
            facts_put(&trip.facts, EVENT_IMAGE, "ghcr.io:5000/acme/api:1.2");
            facts_put(&trip.facts, EVENT_DIGEST, "sha256:00ff");
            facts_put(&trip.facts, EVENT_ENV, "prod");
            facts_put(&trip.facts, EVENT_APP, "payments");
        }
        trip_go(&trip, formats[i % 3]);
        for (int field = EVENT_APP; field <= EVENT_ENV; field++) {
            if (trip.facts.field[field]) {
                same(&trip, (enum event_field)field);
            }
        }
        same(&trip, EVENT_ID);
        same(&trip, EVENT_TIME);
        trip_end(&trip);
    }
}

static void format__publishing_again_is_the_same_event(void **state)
{
    (void)state;
    for (int format = FORMAT_SLUICE; format <= FORMAT_DEVTRON; format++) {
        struct trip first;
        struct trip again;
        trip_begin(&first);
        trip_begin(&again);
        facts_put(&first.facts, EVENT_IMAGE, "ghcr.io/acme/api:1.2");
        facts_put(&again.facts, EVENT_IMAGE, "ghcr.io/acme/api:1.2");
        facts_put(&again.facts, EVENT_TIME, "2030-01-01T00:00:00Z");
        trip_go(&first, (enum format)format);
        trip_go(&again, (enum format)format);
        assert_string_equal(first.ev.identity, again.ev.identity);
        assert_string_equal(first.ev.content, again.ev.content);
        trip_end(&first);
        trip_end(&again);
    }
}

static void format__another_run_is_another_event(void **state)
{
    (void)state;
    struct trip first;
    struct trip other;
    trip_begin(&first);
    trip_begin(&other);
    free(other.facts.field[EVENT_RUN]);
    other.facts.field[EVENT_RUN] = NULL;
    trip_go(&first, FORMAT_SLUICE);
    trip_go(&other, FORMAT_SLUICE);
    assert_string_not_equal(first.ev.identity, other.ev.identity);
    trip_end(&first);
    trip_end(&other);
}

static void format__cdevents_tells_a_run_from_an_artifact(void **state)
{
    (void)state;
    struct trip trip;
    trip_begin(&trip);
    trip_go(&trip, FORMAT_CDEVENTS);
    assert_string_equal(trip.ev.fields[EVENT_TYPE],
                        "dev.cdevents.pipelinerun.finished.0.3.0");
    assert_string_equal(json_string_at(trip.ev.doc, "/subject/id", NULL), "88123");
    assert_null(json_at(trip.ev.doc, "/subject/type")); /* 0.5 has none */
    trip_end(&trip);

    trip_begin(&trip);
    facts_put(&trip.facts, EVENT_IMAGE, "ghcr.io/acme/api:1.2@sha256:00ff");
    trip_go(&trip, FORMAT_CDEVENTS);
    assert_string_equal(trip.ev.fields[EVENT_TYPE],
                        "dev.cdevents.artifact.published.0.3.0");
    assert_string_equal(
        json_string_at(trip.ev.doc, "/subject/id", NULL),
        "pkg:oci/api@sha256%3A00ff?repository_url=ghcr.io%2Facme%2Fapi&tag=1.2");
    trip_end(&trip);
}

static void format__devtron_carries_what_it_can(void **state)
{
    (void)state;
    struct trip trip;
    trip_begin(&trip);
    facts_put(&trip.facts, EVENT_IMAGE, "ghcr.io/acme/api:1.2");
    trip_go(&trip, FORMAT_DEVTRON);
    assert_int_equal(trip.ev.format, EVENT_DEVTRON);
    same(&trip, EVENT_APP);
    same(&trip, EVENT_REPO);
    same(&trip, EVENT_BRANCH);
    same(&trip, EVENT_COMMIT);
    same(&trip, EVENT_IMAGE);
    same(&trip, EVENT_PIPELINE);
    same(&trip, EVENT_RUN);
    trip_end(&trip);
}

static void format__devtron_needs_an_image(void **state)
{
    (void)state;
    struct trip trip;
    struct err err = ERR_INIT;
    trip_begin(&trip);
    facts_complete(&trip.facts, 0);
    assert_int_not_equal(format_write(FORMAT_DEVTRON, &trip.facts, &trip.record, &err),
                         0);
    assert_non_null(strstr(err.text, "--image"));
    trip_end(&trip);
}

static void format__a_repository_with_spaces_still_makes_a_source(void **state)
{
    (void)state;
    struct trip trip;
    memset(&trip, 0, sizeof trip);
    record_init(&trip.record);
    facts_put(&trip.facts, EVENT_REPO, "acme/my api");
    facts_put(&trip.facts, EVENT_COMMIT, "3f9c");
    trip_go(&trip, FORMAT_CLOUDEVENTS);
    assert_string_equal(trip.ev.fields[EVENT_SOURCE], "acme/my%20api");
    same(&trip, EVENT_REPO);
    trip_end(&trip);
}

static void format__keys_keep_an_app_in_order(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"acme/api", NULL, "acme/api"},
        {"acme/api", "api", "acme/api"},
        {"acme/mono", "pay", "acme/mono/pay"},
        {NULL, "pay", "pay"},
    };
    for (size_t i = 0; i < 4; i++) {
        struct facts facts;
        facts_init(&facts);
        facts_put(&facts, EVENT_REPO, rows[i][0]);
        facts_put(&facts, EVENT_APP, rows[i][1]);
        char *key = facts_key(&facts);
        assert_string_equal(key, rows[i][2]);
        free(key);
        facts_release(&facts);
    }
}

static void format__a_record_has_one_trace(void **state)
{
    (void)state;
    static const char parent[] =
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    struct record record;
    record_init(&record);
    record_trace(&record, NULL);
    record_trace(&record, NULL);
    assert_int_equal(record.header_count, 1);
    assert_int_equal(record.headers[0].len, 55);
    record_release(&record);

    record_init(&record);
    record_trace(&record, parent);
    assert_memory_equal(record.headers[0].value, parent, 36); /* the same trace */
    assert_memory_not_equal(record.headers[0].value, parent, 55);
    record_release(&record);

    record_init(&record);
    record_add_header(&record, "traceparent", parent);
    record_trace(&record, NULL);
    assert_int_equal(record.header_count, 1);
    assert_string_equal(record.headers[0].value, parent);
    record_release(&record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
