#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decoded.h"

/* A CDEvent with these parts. Returns borrowed, until the next call. */
static const char *cdevent(const char *version, const char *type, const char *subject)
{
    static char text[2048];
    snprintf(
        text, sizeof(text),
        "{\"context\":{%s,\"id\":\"e-1\",\"source\":\"/ci\",\"type\":\"dev.cdevents.%s\","
        "\"timestamp\":\"2026-11-23T14:02:08Z\"},\"subject\":%s}",
        version, type, subject);
    return text;
}

#define V03 "\"version\":\"0.3.0\""
#define V04 "\"version\":\"0.4.1\""
#define V05 "\"specversion\":\"0.5.1\""

static void cdevents__reads_the_three_releases(void **state)
{
    (void)state;
    static const char *const texts[][3] = {
        {V03, "pipelinerun.finished.0.1.1",
         "{\"id\":\"r-9\",\"type\":\"pipelineRun\",\"content\":{\"pipelineName\":"
         "\"build\",\"url\":"
         "\"https://ci/9\",\"outcome\":\"success\"}}"},
        {V04, "pipelinerun.finished.0.2.0",
         "{\"id\":\"r-9\",\"source\":\"/"
         "s\",\"type\":\"pipelineRun\",\"content\":{\"pipelineName\":"
         "\"build\",\"url\":\"https://ci/9\",\"outcome\":\"success\",\"errors\":\"\"}}"},
        {V05, "pipelinerun.finished.0.3.0",
         "{\"id\":\"r-9\",\"content\":{\"pipelineName\":\"build\",\"uri\":\"https://ci/"
         "9\",\"outcome\":"
         "\"success\"}}"},
    };
    for (size_t i = 0; i < 3; i++) {
        struct decoded d = decode_text(cdevent(texts[i][0], texts[i][1], texts[i][2]));
        expect_outcome(&d, EVENT_OK, "");
        assert_int_equal(d.ev.format, EVENT_CDEVENTS);
        expect_field(&d, EVENT_ID, "e-1");
        expect_field(&d, EVENT_SOURCE, "/ci");
        expect_field(&d, EVENT_PIPELINE, "build");
        expect_field(&d, EVENT_RUN, "r-9");
        expect_field(&d, EVENT_RUN_URL, "https://ci/9");
        expect_field(&d, EVENT_TIME, "2026-11-23T14:02:08Z");
        assert_int_equal(d.ev.time_ms, 1795442528000);
        drop(&d);
    }
}

static void cdevents__takes_only_an_explicit_success(void **state)
{
    (void)state;
    static const struct {
        const char *version;
        const char *type;
        const char *outcome; /* JSON, NULL: absent */
        const char *word;    /* "": a success */
    } cases[] = {
        {V05, "pipelinerun.finished.0.3.0", "\"success\"", ""},
        {V05, "pipelinerun.finished.0.3.0", NULL, "not-success"},
        {V05, "pipelinerun.finished.0.3.0", "null", "not-success"},
        {V05, "pipelinerun.finished.0.3.0", "true", "not-success"},
        {V05, "pipelinerun.finished.0.3.0", "\"\"", "not-success"},
        {V05, "pipelinerun.finished.0.3.0", "\"pass\"", "not-success"},
        {V05, "pipelinerun.finished.0.3.0", "\"failure\"", "failure-event"},
        {V05, "pipelinerun.finished.0.3.0", "\"cancel\"", "failure-event"},
        {V05, "pipelinerun.finished.0.3.0", "\"error\"", "failure-event"},
        {V04, "taskrun.finished.0.2.0", "\"success\"", ""},
        {V04, "taskrun.finished.0.2.0", "\"failure\"", "failure-event"},
        {V04, "taskrun.finished.0.2.0", NULL, "not-success"},
        {V04, "testsuiterun.finished.0.2.0", "\"pass\"", ""},
        {V05, "testsuiterun.finished.0.3.0", "\"success\"", ""},
        {V04, "testsuiterun.finished.0.2.0", "\"fail\"", "failure-event"},
        {V04, "artifact.published.0.2.0", NULL, ""},
        {V05, "artifact.packaged.0.3.0", NULL, ""},
        {V05, "build.finished.0.3.0", NULL, "not-success"},
        {V05, "pipelinerun.started.0.3.0", "\"success\"", "other-type"},
        {V05, "service.deployed.0.3.0", NULL, "other-type"},
        {V05, "pipelinerun.finishedx.0.3.0", "\"success\"", "other-type"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char subject[256] = "{\"id\":\"s\",\"content\":{}}";
        if (cases[i].outcome != NULL) {
            snprintf(subject, sizeof(subject),
                     "{\"id\":\"s\",\"content\":{\"outcome\":%s}}", cases[i].outcome);
        }
        struct decoded d = decode_text(cdevent(cases[i].version, cases[i].type, subject));
        expect_outcome(&d, *cases[i].word == '\0' ? EVENT_OK : EVENT_NOT_OURS,
                       cases[i].word);
        drop(&d);
    }
}

static void cdevents__refuses_versions_it_does_not_know(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\"specversion\":\"0.6.0\"", "pipelinerun.finished.0.3.0"},
        {"\"specversion\":\"1.0\"", "pipelinerun.finished.0.3.0"},
        {"\"version\":\"0.2.0\"", "pipelinerun.finished.0.1.1"},
        {"\"version\":\"0.41\"", "pipelinerun.finished.0.1.1"},
        {V05, "pipelinerun.finished.0.4.0"},
        {V05, "pipelinerun.finished.1.0.0"},
        {V05, "pipelinerun.finished.0.30.0"},
        {V05, "artifact.published.0.4.0"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_not_ok(cdevent(cases[i][0], cases[i][1],
                              "{\"id\":\"s\",\"content\":{\"outcome\":\"success\"}}"),
                      EVENT_BAD, "unsupported-version", "/context/");
    }
    /* a newer patch is no other language */
    struct decoded d = decode_text(
        cdevent("\"specversion\":\"0.5.9\"", "pipelinerun.finished.0.3.7-draft",
                "{\"id\":\"s\",\"content\":{\"outcome\":\"success\"}}"));
    expect_outcome(&d, EVENT_OK, "");
    drop(&d);
}

static void cdevents__wants_its_required_members(void **state)
{
    (void)state;
    static const char *const texts[][3] = {
        {"{\"context\":{},\"subject\":{}}", "missing-field", "/context/type"},
        {"{\"context\":{\"type\":\"dev.cdevents.artifact.published.0.2.0\"},\"subject\":{"
         "}}",
         "missing-field", "/context/id"},
        {"{\"context\":{\"type\":\"dev.cdevents.artifact.published.0.2.0\",\"id\":\"1\"},"
         "\"subject\":{}}",
         "missing-field", "/context/source"},
        {"{\"context\":{\"type\":\"dev.cdevents.artifact.published.0.2.0\",\"id\":\"1\","
         "\"source\":\"s\"},"
         "\"subject\":{}}",
         "missing-field", "/context/specversion"},
        {"{\"context\":{\"type\":\"dev.cdevents.artifact.published.0.2.0\",\"id\":\"1\","
         "\"source\":\"s\","
         "\"version\":\"0.4.1\"},\"subject\":{}}",
         "missing-field", "/context/timestamp"},
        {"{\"context\":{\"type\":\"dev.cdevents.artifact.published.0.2.0\",\"id\":\"1\","
         "\"source\":\"s\","
         "\"version\":\"0.4.1\",\"timestamp\":\"no\"},\"subject\":{\"id\":\"x\"}}",
         "invalid-field", "/context/timestamp"},
        {"{\"context\":{\"type\":7,\"id\":\"1\"},\"subject\":{}}", "invalid-field",
         "/context/type"},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        expect_not_ok(texts[i][0], EVENT_BAD, texts[i][1], texts[i][2]);
    }
    expect_not_ok(cdevent(V05, "artifact.published.0.3.0", "{\"content\":{}}"), EVENT_BAD,
                  "missing-field", "/subject/id");
}

static void cdevents__reads_artifacts(void **state)
{
    (void)state;
    struct decoded d = decode_text(cdevent(
        V05, "artifact.packaged.0.3.0",
        "{\"id\":\"pkg:oci/api@sha256%3Aaabb?repository_url=ghcr.io/acme/api&tag=1.4\","
        "\"content\":{\"change\":{\"id\":\"0123456789abcdef0123456789abcdef01234567\","
        "\"source\":\"github.com/acme/api\"}}}"));
    expect_outcome(&d, EVENT_OK, "");
    expect_field(&d, EVENT_APP, "api");
    expect_field(&d, EVENT_IMAGE, "ghcr.io/acme/api:1.4");
    expect_field(&d, EVENT_DIGEST, "sha256:aabb");
    expect_field(&d, EVENT_REPO, "github.com/acme/api");
    expect_field(&d, EVENT_COMMIT, "0123456789abcdef0123456789abcdef01234567");
    drop(&d);
    d = decode_text(cdevent(V05, "artifact.published.0.3.0",
                            "{\"id\":\"pkg:oci/api@sha256%0Aab\",\"content\":{}}"));
    expect_outcome(&d, EVENT_BAD, "invalid-field");
    drop(&d);
    d = decode_text(cdevent(V05, "artifact.published.0.3.0",
                            "{\"id\":\"pkg:oci/%ff@sha256%3Aab\",\"content\":{}}"));
    expect_outcome(&d, EVENT_BAD, "bad-utf8");
    drop(&d);
    d = decode_text(cdevent(V05, "artifact.published.0.3.0",
                            "{\"id\":\"pkg:npm/x@1\",\"content\":{}}"));
    expect_outcome(&d, EVENT_OK, "");
    expect_field(&d, EVENT_IMAGE, NULL);
    drop(&d);
}

static void cdevents__lets_custom_data_speak(void **state)
{
    (void)state;
    struct decoded d = decode_text(
        "{\"context\":{\"specversion\":\"0.5.1\",\"id\":\"e\",\"source\":\"s\",\"type\":"
        "\"dev.cdevents.pipelinerun.finished.0.3.0\",\"timestamp\":\"2026-01-01T00:00:"
        "00Z\"},"
        "\"subject\":{\"id\":\"r\",\"content\":{\"outcome\":\"success\",\"pipelineName\":"
        "\"p\"}},"
        "\"customData\":{\"app\":\"api\",\"commit\":\"c\",\"pipeline\":\"mine\",\"run\":"
        "7,\"env\":{\"x\":1},"
        "\"id\":\"no\",\"type\":\"no\"}}");
    expect_outcome(&d, EVENT_OK, "");
    expect_field(&d, EVENT_APP, "api");
    expect_field(&d, EVENT_COMMIT, "c");
    expect_field(&d, EVENT_PIPELINE, "mine");
    expect_field(&d, EVENT_RUN, "7");
    expect_field(&d, EVENT_ENV, NULL);
    expect_field(&d, EVENT_ID, "e");
    drop(&d);
}

static void cdevents__takes_environment_and_suite_of_a_test_run(void **state)
{
    (void)state;
    struct decoded d = decode_text(cdevent(V04, "testsuiterun.finished.0.2.0",
                                           "{\"id\":\"t-1\",\"content\":{\"outcome\":"
                                           "\"pass\",\"environment\":{\"id\":\"stage\"},"
                                           "\"testSuite\":{\"id\":\"suite-7\"}}}"));
    expect_outcome(&d, EVENT_OK, "");
    expect_field(&d, EVENT_ENV, "stage");
    expect_field(&d, EVENT_PIPELINE, "suite-7");
    drop(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
