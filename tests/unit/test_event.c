#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decoded.h"

static void event__reads_a_flat_document(void **state)
{
    (void)state;
    struct decoded d =
        decode_text("{\"id\":\"e1\",\"source\":\"gh\",\"type\":\"ci.succeeded\",\"app\":"
                    "\"api\",\"repo\":\"acme/"
                    "api\",\"branch\":\"main\",\"commit\":\"3f9c\",\"image\":\"r/"
                    "api:1\",\"digest\":\"sha256:aa\","
                    "\"pipeline\":\"build\",\"run\":17,\"run_url\":\"https://ci/"
                    "17\",\"env\":\"prod\","
                    "\"time\":\"2026-11-23T14:02:08.402Z\",\"extra\":{\"x\":[1]}}");
    static const char *const fields[EVENT_FIELD_COUNT] = {"api",
                                                          "acme/api",
                                                          "main",
                                                          "3f9c",
                                                          "r/api:1",
                                                          "sha256:aa",
                                                          "build",
                                                          "17",
                                                          "https://ci/17",
                                                          "prod",
                                                          "ci.succeeded",
                                                          "gh",
                                                          "e1",
                                                          "2026-11-23T14:02:08.402Z",
                                                          "k1"};
    expect_outcome(&d, EVENT_OK, "");
    assert_int_equal(d.ev.format, EVENT_SLUICE);
    for (int i = 0; i < EVENT_FIELD_COUNT; i++) {
        expect_field(&d, (enum event_field)i, fields[i]);
    }
    assert_int_equal(d.ev.time_ms, 1795442528402);
    assert_int_equal(json_object_get_int(json_at(d.ev.doc, "/extra/x/0")), 1);
    drop(&d);
}

static void event__takes_a_hand_written_document_as_success(void **state)
{
    (void)state;
    struct decoded d = decode_text(
        "{\"id\":\"1\",\"app\":\"api\",\"repo\":\"acme/api\",\"commit\":\"3f9c2e1\"}");
    expect_outcome(&d, EVENT_OK, "");
    expect_field(&d, EVENT_TYPE, "ci.succeeded");
    expect_field(&d, EVENT_SOURCE, NULL);
    expect_field(&d, EVENT_BRANCH, NULL);
    drop(&d);
}

static void event__needs_an_explicit_success_where_an_outcome_is(void **state)
{
    (void)state;
    static const char *const success[] = {"success", "SUCCESS", "succeeded", "Successful",
                                          "passed"};
    static const char *const failure[] = {"failure", "FAILED", "error", "cancelled",
                                          "aborted"};
    static const char *const other[] = {"\"\"",         "\"pass\"",   "\"unstable\"",
                                        "true",         "0",          "{}",
                                        "\"success \"", "\"succes\"", "[\"success\"]"};
    static const char *const members[] = {"outcome", "status"};
    char text[128];
    for (size_t m = 0; m < 2; m++) {
        for (size_t i = 0; i < 5; i++) {
            snprintf(text, sizeof(text), "{\"id\":\"1\",\"%s\":\"%s\"}", members[m],
                     success[i]);
            struct decoded d = decode_text(text);
            expect_outcome(&d, EVENT_OK, "");
            drop(&d);
            snprintf(text, sizeof(text), "{\"id\":\"1\",\"%s\":\"%s\"}", members[m],
                     failure[i]);
            expect_not_ok(text, EVENT_NOT_OURS, "failure-event", "failure");
        }
        for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
            snprintf(text, sizeof(text), "{\"id\":\"1\",\"%s\":%s}", members[m],
                     other[i]);
            expect_not_ok(text, EVENT_NOT_OURS, "not-success", "no word");
        }
    }
    expect_not_ok("{\"id\":\"1\",\"outcome\":\"success\",\"status\":\"failed\"}",
                  EVENT_NOT_OURS, "failure-event", "");
    expect_not_ok("{\"id\":\"1\",\"type\":\"ci.failed\"}", EVENT_NOT_OURS, "other-type",
                  "type");
    expect_not_ok("{\"id\":\"1\",\"type\":\"ci.failed\",\"outcome\":\"success\"}",
                  EVENT_NOT_OURS, "other-type", "type");
}

static void event__counts_tombstones_as_not_ours(void **state)
{
    (void)state;
    struct decoded d = decode_record(NULL, 0, NULL, 0);
    expect_outcome(&d, EVENT_NOT_OURS, "tombstone");
    drop(&d);
}

static void event__refuses_bad_documents_and_names_the_pointer(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *word;
        const char *says;
    } cases[] = {
        {"", "bad-json", "byte 0"},
        {"{\"id\":\"1\",\"app\":\"a", "bad-json", "/app"},
        {"{\"id\":\"1\",\"n\":{\"x\":NaN}}", "bad-json", "/n/x"},
        {"{\"id\":\"1\",\"n\":1e999999}", "bad-json", "/n"},
        {"{\"id\":\"1\",\"id\":\"2\"}", "bad-json", "/id"},
        {"{\"id\":\"1\",\"app\":\"\xff\"}", "bad-utf8", "/app"},
        {"[]", "invalid-field", "no JSON object"},
        {"\"x\"", "invalid-field", "no JSON object"},
        {"null", "invalid-field", "no JSON object"},
        {"{}", "missing-field", "/id"},
        {"{\"id\":\"\"}", "missing-field", "/id"},
        {"{\"id\":null}", "missing-field", "/id"},
        {"{\"repo\":\"r\"}", "missing-field", "/id"},
        {"{\"id\":1.5}", "invalid-field", "/id"},
        {"{\"id\":true}", "invalid-field", "/id"},
        {"{\"id\":\"1\",\"app\":7}", "invalid-field", "/app"},
        {"{\"id\":\"1\",\"type\":7}", "invalid-field", "/type"},
        {"{\"id\":\"1\",\"branch\":\"a\\r\\nb\"}", "invalid-field", "/branch"},
        {"{\"id\":\"1\",\"branch\":\"a\\u0000b\"}", "invalid-field", "/branch"},
        {"{\"id\":\"1\",\"env\":\"a\\u007fb\"}", "invalid-field", "/env"},
        {"{\"id\":\"1\",\"env\":\"a\\u009bb\"}", "invalid-field", "/env"},
        {"{\"id\":\"1\\n\"}", "invalid-field", "/id"},
        {"{\"id\":\"1\",\"time\":\"yesterday\"}", "invalid-field", "/time"},
        {"{\"id\":\"1\",\"time\":5}", "invalid-field", "/time"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_not_ok(cases[i].value, EVENT_BAD, cases[i].word, cases[i].says);
    }
}

static void event__bounds_fields_and_values(void **state)
{
    (void)state;
    struct str s;
    str_init(&s);
    str_add(&s, "{\"id\":\"");
    for (int i = 0; i < EVENT_ID_MAX; i++) {
        str_addc(&s, 'x');
    }
    str_add(&s, "\"}");
    struct decoded d = decode_text(s.data);
    expect_outcome(&d, EVENT_OK, "");
    drop(&d);
    memcpy(s.data + s.len - 2, "x\"", 2);
    str_add(&s, "}");
    expect_not_ok(s.data, EVENT_BAD, "invalid-field", "/id is too long");
    str_clear(&s);
    str_add(&s, "{\"id\":\"1\",\"app\":\"");
    for (int i = 0; i <= EVENT_FIELD_MAX; i++) {
        str_addc(&s, 'x');
    }
    str_add(&s, "\"}");
    expect_not_ok(s.data, EVENT_BAD, "invalid-field", "/app is too long");
    str_clear(&s);
    for (int i = 0; i < 10 * 1024 * 1024; i++) {
        str_addc(&s, '[');
    }
    expect_not_ok(s.data, EVENT_BAD, "too-large", "larger");
    s.data[100000] = '\0';
    expect_not_ok(s.data, EVENT_BAD, "bad-json", "deep");
    str_release(&s);
}

static void event__gives_bad_records_their_place_as_id(void **state)
{
    (void)state;
    struct decoded d = decode_text("{\"app\":");
    expect_outcome(&d, EVENT_BAD, "bad-json");
    expect_field(&d, EVENT_ID, "ci/3/42");
    assert_int_equal(strlen(d.ev.identity), 32);
    drop(&d);
    d = decode_text("{\"id\":\"e7\",\"app\":7}");
    expect_outcome(&d, EVENT_BAD, "invalid-field");
    expect_field(&d, EVENT_ID, "e7");
    drop(&d);
}

static void event__derives_an_id_that_time_does_not_change(void **state)
{
    (void)state;
    struct decoded a =
        decode_text("{\"repo\":\"r\",\"commit\":\"c\",\"pipeline\":\"p\",\"run\":1,"
                    "\"time\":\"2026-01-01T00:00:00Z\"}");
    struct decoded b =
        decode_text("{\"repo\":\"r\",\"commit\":\"c\",\"pipeline\":\"p\",\"run\":\"1\","
                    "\"time\":\"2026-02-02T00:00:00Z\"}");
    struct decoded c =
        decode_text("{\"repo\":\"r\",\"commit\":\"c\",\"pipeline\":\"p\"}");
    char id[33];
    event_derive_id("r", "c", "p", "1", id);
    expect_field(&a, EVENT_ID, id);
    expect_field(&b, EVENT_ID, id);
    assert_string_equal(a.ev.identity, b.ev.identity);
    assert_string_equal(a.ev.content, b.ev.content);
    assert_string_not_equal(a.ev.fields[EVENT_ID], c.ev.fields[EVENT_ID]);
    drop(&a);
    drop(&b);
    drop(&c);
}

static void event__tells_content_by_the_deploy_fields_only(void **state)
{
    (void)state;
    static const char *const same[] = {"\"env\":\"x\"", "\"run_url\":\"x\"",
                                       "\"extra\":1",
                                       "\"time\":\"2026-01-01T00:00:00Z\""};
    static const char *const other[] = {"\"app\":\"x\"",      "\"repo\":\"x\"",
                                        "\"branch\":\"x\"",   "\"commit\":\"x\"",
                                        "\"image\":\"x\"",    "\"digest\":\"x\"",
                                        "\"pipeline\":\"x\"", "\"run\":\"x\"",
                                        "\"run\":\"\""};
    struct decoded base = decode_text("{\"id\":\"1\"}");
    char seen[sizeof(other) / sizeof(other[0])][33];
    char text[128];
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        snprintf(text, sizeof(text), "{\"id\":\"1\",%s}", same[i]);
        struct decoded d = decode_text(text);
        assert_string_equal(d.ev.content, base.ev.content);
        drop(&d);
    }
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        snprintf(text, sizeof(text), "{\"id\":\"1\",%s}", other[i]);
        struct decoded d = decode_text(text);
        assert_string_equal(d.ev.identity, base.ev.identity);
        assert_string_not_equal(d.ev.content, base.ev.content);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(d.ev.content, seen[j]);
        }
        memcpy(seen[i], d.ev.content, sizeof(seen[i]));
        drop(&d);
    }
    drop(&base);
}

static void event__tells_identity_by_source_and_id(void **state)
{
    (void)state;
    struct decoded a = decode_text("{\"id\":\"1\",\"source\":\"ab\"}");
    struct decoded b = decode_text("{\"id\":\"b1\",\"source\":\"a\"}");
    struct decoded c = decode_text("{\"id\":\"1\",\"source\":\"\"}");
    struct decoded d = decode_text("{\"id\":\"1\"}");
    assert_string_not_equal(a.ev.identity, b.ev.identity);
    assert_string_not_equal(a.ev.identity, d.ev.identity);
    assert_string_equal(c.ev.identity, d.ev.identity);
    drop(&a);
    drop(&b);
    drop(&c);
    drop(&d);
}

static void event__leaves_out_a_key_that_is_no_clean_text(void **state)
{
    (void)state;
    static const char *const keys[] = {"\xff\xfe", "a\nb", "\x01"};
    for (size_t i = 0; i < 3; i++) {
        struct event_input input = {.key = keys[i],
                                    .key_len = strlen(keys[i]),
                                    .value = "{\"id\":\"1\"}",
                                    .value_len = 10};
        struct event ev;
        struct event_reason reason;
        assert_int_equal(event_decode(&input, &ev, &reason), EVENT_OK);
        assert_null(ev.fields[EVENT_KEY]);
        event_release(&ev);
    }
}

static void event__takes_the_traceparent_header(void **state)
{
    (void)state;
    static const char trace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    struct event_header headers[] = {{"traceparent", trace, sizeof(trace) - 1}};
    struct decoded d = decode_record("{\"id\":\"1\"}", 10, headers, 1);
    assert_string_equal(d.ev.traceparent, trace);
    drop(&d);
    headers[0].len--;
    d = decode_record("{\"id\":\"1\"}", 10, headers, 1);
    expect_outcome(&d, EVENT_OK, "");
    assert_string_equal(d.ev.traceparent, "");
    drop(&d);
}

struct faults {
    size_t count;
    char pointers[8][64];
};

static void note_fault(void *arg, const char *pointer, const char *text)
{
    struct faults *f = arg;
    assert_true(*text != '\0');
    snprintf(f->pointers[f->count++], sizeof(f->pointers[0]), "%s", pointer);
}

static void event__validates_every_field(void **state)
{
    (void)state;
    static const char text[] =
        "{\"app\":7,\"branch\":\"a\\nb\",\"run\":1.5,\"time\":\"x\"}";
    struct event_input input = {.value = text, .value_len = sizeof(text) - 1};
    struct faults f = {0};
    assert_int_equal(event_validate(&input, note_fault, &f), 5);
    static const char *const pointers[] = {"/app", "/branch", "/run", "/time", "/id"};
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(f.pointers[i], pointers[i]);
    }
    input.value = "{\"a\":{\"b\":1,\"b\":2}}";
    input.value_len = strlen(input.value);
    f.count = 0;
    assert_int_equal(event_validate(&input, note_fault, &f), 1);
    assert_string_equal(f.pointers[0], "/a/b");
    input.value = "{\"id\":\"1\"}";
    input.value_len = strlen(input.value);
    assert_int_equal(event_validate(&input, NULL, NULL), 0);
}

static void event__names_its_fields(void **state)
{
    (void)state;
    for (int i = 0; i < EVENT_FIELD_COUNT; i++) {
        assert_int_equal(event_field_find(event_field_name((enum event_field)i)), i);
    }
    assert_int_equal(event_field_find("run_url"), EVENT_RUN_URL);
    assert_int_equal(event_field_find("nope"), -1);
}

/* Mutated samples of every format: never a crash, an outcome with a reason, clean fields.
 */
static void event__survives_mutations(void **state)
{
    (void)state;
    static const char *const samples[] = {
        "{\"id\":\"1\",\"app\":\"api\",\"branch\":\"m\\u00e9\",\"run\":17,\"time\":"
        "\"2026-01-01T00:00:00Z\"}",
        "{\"pipelineId\":5,\"workflowId\":9,\"dockerImage\":\"r/x:1\",\"appName\":\"x\","
        "\"ciProjectDetails\":[{\"commitHash\":\"c\",\"gitOptions\":{\"password\":\"s\"}}"
        "]}",
        "{\"context\":{\"version\":\"0.4.1\",\"id\":\"e\",\"source\":\"/s\",\"type\":"
        "\"dev.cdevents.artifact.published.0.2.0\",\"timestamp\":\"2026-01-01T00:00:"
        "00Z\"},"
        "\"subject\":{\"id\":\"pkg:oci/a@sha256%3Aab?tag=1\",\"content\":{}}}",
        "{\"specversion\":\"1.0\",\"id\":\"9\",\"source\":\"/"
        "x\",\"type\":\"ci.succeeded\","
        "\"data_base64\":\"eyJhcHAiOiJxIn0=\"}",
    };
    static const char bytes[] = "{}[]\",:\\/u0e1.\x80\xff\x01 n%=";
    uint64_t seed = 7;
    for (int round = 0; round < 20000; round++) {
        const char *sample = samples[round % 4];
        size_t len = strlen(sample);
        char text[512];
        memcpy(text, sample, len + 1);
        for (int i = 0; i < 2; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            text[(seed >> 33) % len] = bytes[(seed >> 13) % (sizeof(bytes) - 1)];
        }
        len = (seed >> 50) % 8 == 0 ? (seed >> 20) % len : len;
        struct decoded d = decode_record(text, len, NULL, 0);
        assert_int_equal(d.outcome == EVENT_OK, d.reason.word[0] == '\0');
        if (d.outcome != EVENT_NOT_OURS) {
            assert_non_null(d.ev.fields[EVENT_ID]);
        }
        for (int i = 0; i < EVENT_FIELD_COUNT; i++) {
            const char *field = d.ev.fields[i];
            assert_true(field == NULL || (text_is_utf8(field, strlen(field)) &&
                                          strpbrk(field, "\x01\n\r\x7f") == NULL));
        }
        drop(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
