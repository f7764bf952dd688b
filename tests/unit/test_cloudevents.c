#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decoded.h"

#define H(n, v) ((struct event_header){(n), (v), sizeof(v) - 1})

static const char flat[] = "{\"app\":\"api\",\"id\":\"inner\",\"source\":\"inner\"}";
static const char cdevent[] =
    "{\"context\":{\"version\":\"0.4.1\",\"id\":\"e-1\",\"source\":\"/ci\",\"type\":"
    "\"dev.cdevents.pipelinerun.finished.0.2.0\",\"timestamp\":\"2026-11-23T14:02:08Z\"},"
    "\"subject\":{\"id\":\"r\",\"type\":\"pipelineRun\",\"content\":{\"outcome\":"
    "\"success\"}}}";

enum { N = 8 };

/* Binary mode: the four required attributes, then changed by the test. */
static size_t required(struct event_header headers[N])
{
    headers[0] = H("ce_specversion", "1.0");
    headers[1] = H("ce_id", "e-1");
    headers[2] = H("ce_source", "/ci");
    headers[3] = H("ce_type", "ci.succeeded");
    return 4;
}

static void cloudevents__reads_binary_mode(void **state)
{
    (void)state;
    struct event_header h[N];
    size_t n = required(h);
    h[n++] = H("ce_time", "2026-11-23T14:02:08Z");
    h[n++] = H("content-type", "application/json; charset=utf-8");
    h[n++] = H("ce_subject", "whatever");
    struct decoded d = decode_record(flat, sizeof(flat) - 1, h, n);
    expect_outcome(&d, EVENT_OK, "");
    assert_int_equal(d.ev.format, EVENT_CLOUDEVENTS);
    expect_field(&d, EVENT_ID, "e-1");
    expect_field(&d, EVENT_SOURCE, "/ci");
    expect_field(&d, EVENT_TYPE, "ci.succeeded");
    expect_field(&d, EVENT_APP, "api");
    assert_int_equal(d.ev.time_ms, 1795442528000);
    assert_string_equal(json_string_at(d.ev.doc, "/id", NULL), "inner");
    drop(&d);
}

static void cloudevents__wants_the_required_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct event_header h[N];
        size_t n = required(h);
        h[i] = h[n - 1];
        struct decoded d = decode_record(flat, sizeof(flat) - 1, h, i == 3 ? 3 : n - 1);
        expect_outcome(&d, EVENT_BAD, "missing-field");
        assert_non_null(strstr(d.reason.text, "header ce_"));
        drop(&d);
        n = required(h);
        h[i].len = 0;
        d = decode_record(flat, sizeof(flat) - 1, h, n);
        expect_outcome(&d, EVENT_BAD, i == 0 ? "missing-field" : "missing-field");
        drop(&d);
        n = required(h);
        h[i].value = NULL;
        d = decode_record(flat, sizeof(flat) - 1, h, n);
        expect_outcome(&d, EVENT_BAD, "missing-field");
        drop(&d);
    }
}

static void cloudevents__refuses_bad_attributes(void **state)
{
    (void)state;
    static const struct {
        struct event_header extra;
        const char *word;
    } cases[] = {
        {{"ce_id", "e-2", 3}, "invalid-field"},
        {{"ce_id", "e-1", 3}, "invalid-field"},
        {{"ce_specversion", "1.0", 3}, "invalid-field"},
        {{"ce_time", "now", 3}, "invalid-field"},
        {{"ce_time", "", 0}, "missing-field"},
        {{"content-type", "application/avro", 16}, "unsupported-format"},
        {{"content-type", "text/plain", 10}, "unsupported-format"},
        {{"content-type", "application/cloudevents+avro", 28}, "unsupported-format"},
        {{"content-type", "application/cloudevents-batch+json", 34},
         "unsupported-format"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct event_header h[N];
        size_t n = required(h);
        h[n++] = cases[i].extra;
        struct decoded d = decode_record(flat, sizeof(flat) - 1, h, n);
        expect_outcome(&d, EVENT_BAD, cases[i].word);
        drop(&d);
    }
    static const struct {
        size_t at;
        struct event_header header;
        const char *word;
    } replaced[] = {
        {0, {"ce_specversion", "0.3", 3}, "unsupported-version"},
        {0, {"ce_specversion", "1.00", 4}, "unsupported-version"},
        {1, {"ce_id", "a\r\nb", 4}, "invalid-field"},
        {1, {"ce_id", "a\0b", 3}, "invalid-field"},
        {2, {"ce_source", "\xff", 1}, "bad-utf8"},
    };
    for (size_t i = 0; i < sizeof(replaced) / sizeof(replaced[0]); i++) {
        struct event_header h[N];
        size_t n = required(h);
        h[replaced[i].at] = replaced[i].header;
        struct decoded d = decode_record(flat, sizeof(flat) - 1, h, n);
        expect_outcome(&d, EVENT_BAD, replaced[i].word);
        drop(&d);
    }
}

static void cloudevents__takes_null_values_as_tombstones(void **state)
{
    (void)state;
    struct event_header h[N];
    size_t n = required(h);
    struct decoded d = decode_record(NULL, 0, h, n);
    expect_outcome(&d, EVENT_NOT_OURS, "tombstone");
    drop(&d);
}

static void cloudevents__cross_checks_an_embedded_cdevent(void **state)
{
    (void)state;
    static const struct event_header wrong[] =
        {{"ce_id", "e-2", 3},
         {"ce_source", "/other", 6},
         {"ce_type", "ci.succeeded", 12},
         {"ce_type", "dev.cdevents.pipelinerun.finished.0.3.0", 39}};
    struct event_header h[N];
    size_t n = required(h);
    h[3] = H("ce_type", "dev.cdevents.pipelinerun.finished.0.2.0");
    struct decoded d = decode_record(cdevent, sizeof(cdevent) - 1, h, n);
    expect_outcome(&d, EVENT_OK, "");
    assert_int_equal(d.ev.format, EVENT_CLOUDEVENTS);
    drop(&d);
    for (size_t i = 0; i < 4; i++) {
        n = required(h);
        h[3] = H("ce_type", "dev.cdevents.pipelinerun.finished.0.2.0");
        h[i < 2 ? i + 1 : 3] = wrong[i];
        d = decode_record(cdevent, sizeof(cdevent) - 1, h, n);
        expect_outcome(&d, EVENT_BAD, "invalid-field");
        assert_non_null(strstr(d.reason.text, "/context/"));
        drop(&d);
    }
    n = required(h);
    h[3] = H("ce_type", "dev.cdevents.pipelinerun.finished.0.2.0");
    d = decode_record(flat, sizeof(flat) - 1, h, n);
    expect_outcome(&d, EVENT_BAD, "invalid-field");
    drop(&d);
}

static void cloudevents__wants_success_said_for_foreign_types(void **state)
{
    (void)state;
    static const char *const data[][2] = {
        {"{\"app\":\"a\"}", "not-success"},
        {"{\"app\":\"a\",\"type\":\"ci.succeeded\"}", "not-success"},
        {"{\"app\":\"a\",\"status\":\"failed\"}", "failure-event"},
        {"{\"app\":\"a\",\"status\":\"success\",\"type\":\"docker\"}", ""},
    };
    for (size_t i = 0; i < 4; i++) {
        struct event_header h[N];
        size_t n = required(h);
        h[3] = H("ce_type", "com.acme.build");
        struct decoded d = decode_record(data[i][0], strlen(data[i][0]), h, n);
        expect_outcome(&d, *data[i][1] == '\0' ? EVENT_OK : EVENT_NOT_OURS, data[i][1]);
        drop(&d);
    }
}

static void cloudevents__carries_devtron_events(void **state)
{
    (void)state;
    static const char text[] =
        "{\"pipelineId\":1,\"workflowId\":2,\"dockerImage\":\"r/x:1\","
        "\"ciProjectDetails\":[{\"gitOptions\":{\"password\":\"MARKER\"}}]}";
    struct event_header h[N];
    size_t n = required(h);
    struct decoded d = decode_record(text, sizeof(text) - 1, h, n);
    expect_outcome(&d, EVENT_OK, "");
    expect_field(&d, EVENT_ID, "e-1");
    expect_field(&d, EVENT_SOURCE, "/ci");
    expect_field(&d, EVENT_IMAGE, "r/x:1");
    char *doc = doc_text(&d);
    assert_null(strstr(doc, "MARKER"));
    free(doc);
    drop(&d);
}

static struct decoded structured(const char *value, const char *media)
{
    struct event_header h[] = {
        {"content-type", media, media != NULL ? strlen(media) : 0}};
    return decode_record(value, strlen(value), h, media != NULL ? 1 : 0);
}

#define ENVELOPE \
    "\"specversion\":\"1.0\",\"id\":\"e-1\",\"source\":\"/" \
    "ci\",\"type\":\"ci.succeeded\""

static void cloudevents__reads_structured_mode(void **state)
{
    (void)state;
    static const char *const media[] = {"application/cloudevents+json",
                                        "Application/CloudEvents+JSON; charset=UTF-8",
                                        "application/cloudevents", NULL};
    static const char *const texts[] = {
        "{" ENVELOPE ",\"data\":{\"app\":\"api\"}}",
        "{" ENVELOPE ",\"datacontenttype\":\"application/"
        "json\",\"time\":null,\"data\":{\"app\":\"api\"}}",
        "{" ENVELOPE ",\"data_base64\":\"eyJhcHAiOiJhcGkifQ==\"}",
        "{" ENVELOPE
        ",\"datacontenttype\":\"application/vnd.acme+json\",\"data\":{\"app\":\"api\"}}",
    };
    for (size_t m = 0; m < 4; m++) {
        for (size_t i = 0; i < 4; i++) {
            struct decoded d = structured(texts[i], media[m]);
            expect_outcome(&d, EVENT_OK, "");
            assert_int_equal(d.ev.format, EVENT_CLOUDEVENTS);
            expect_field(&d, EVENT_ID, "e-1");
            expect_field(&d, EVENT_APP, "api");
            assert_string_equal(json_string_at(d.ev.doc, "/app", NULL), "api");
            drop(&d);
        }
    }
}

static void cloudevents__refuses_bad_envelopes(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"{}", "missing-field", "/specversion"},
        {"{\"specversion\":\"1.0\"}", "missing-field", "/id"},
        {"{\"specversion\":\"0.3\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\",\"data\":"
         "{}}",
         "unsupported-version", "/specversion"},
        {"{" ENVELOPE "}", "missing-field", "/data"},
        {"{" ENVELOPE ",\"data\":null}", "missing-field", "/data"},
        {"{" ENVELOPE ",\"data\":\"{\\\"app\\\":1}\"}", "invalid-field", "/data"},
        {"{" ENVELOPE ",\"data\":[]}", "invalid-field", "/data"},
        {"{" ENVELOPE ",\"data\":{},\"data_base64\":\"e30=\"}", "invalid-field",
         "/data_base64"},
        {"{" ENVELOPE ",\"data_base64\":\"!!\"}", "invalid-field", "/data_base64"},
        {"{" ENVELOPE ",\"data_base64\":7}", "invalid-field", "/data_base64"},
        {"{" ENVELOPE ",\"data_base64\":\"e30\"}", "invalid-field", "/data_base64"},
        {"{" ENVELOPE ",\"data_base64\":\"e3s=\"}", "bad-json", "/data_base64"},
        {"{" ENVELOPE ",\"datacontenttype\":\"text/xml\",\"data\":{}}",
         "unsupported-format", "/datacontenttype"},
        {"{" ENVELOPE ",\"time\":\"x\",\"data\":{}}", "invalid-field", "/time"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct decoded d = structured(cases[i][0], "application/cloudevents+json");
        expect_outcome(&d, EVENT_BAD, cases[i][1]);
        if (strstr(d.reason.text, cases[i][2]) == NULL) {
            fail_msg("%s: %s", cases[i][0], d.reason.text);
        }
        drop(&d);
    }
}

static void cloudevents__prefers_the_plain_traceparent(void **state)
{
    (void)state;
    static const char plain[] = "00-11111111111111111111111111111111-1111111111111111-01";
    static const char extension[] =
        "00-22222222222222222222222222222222-2222222222222222-00";
    struct event_header h[N];
    size_t n = required(h);
    h[n++] = H("ce_traceparent", extension);
    struct decoded d = decode_record(flat, sizeof(flat) - 1, h, n);
    assert_string_equal(d.ev.traceparent, extension);
    drop(&d);
    h[n++] = H("traceparent", plain);
    d = decode_record(flat, sizeof(flat) - 1, h, n);
    assert_string_equal(d.ev.traceparent, plain);
    drop(&d);
    d = structured(
        "{" ENVELOPE ",\"traceparent\":"
        "\"00-22222222222222222222222222222222-2222222222222222-00\",\"data\":{}}",
        NULL);
    assert_string_equal(d.ev.traceparent, extension);
    drop(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
