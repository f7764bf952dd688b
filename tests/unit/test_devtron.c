#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decoded.h"

#define MATERIAL \
    "\"ciProjectDetails\":[{\"gitRepository\":\"https://github.com/acme/" \
    "api\",\"commitHash\":\"3f9c\"," \
    "\"sourceType\":\"SOURCE_TYPE_BRANCH_FIXED\",\"sourceValue\":\"main\"," \
    "\"gitOptions\":{\"userName\":" \
    "\"bot\",\"password\":\"MARKER-1\",\"sshPrivateKey\":\"MARKER-2\"}}]"

static const char full[] =
    "{" MATERIAL
    ",\"dockerImage\":\"r/api:3f9c\",\"digest\":\"sha256:aa\",\"pipelineId\":12,"
    "\"workflowId\":345,\"triggeredBy\":2,\"pipelineName\":\"ci-api\",\"dataSource\":"
    "\"CI-RUNNER\","
    "\"materialType\":\"git\",\"metrics\":{\"totalDuration\":12.5},\"appName\":\"api\","
    "\"failureReason\":\"\",\"imageDetailsFromCR\":null,"
    "\"PluginRegistryArtifactDetails\":{}}";

static void devtron__reads_a_ci_complete_event(void **state)
{
    (void)state;
    struct decoded d = decode_text(full);
    expect_outcome(&d, EVENT_OK, "");
    assert_int_equal(d.ev.format, EVENT_DEVTRON);
    expect_field(&d, EVENT_APP, "api");
    expect_field(&d, EVENT_REPO, "https://github.com/acme/api");
    expect_field(&d, EVENT_BRANCH, "main");
    expect_field(&d, EVENT_COMMIT, "3f9c");
    expect_field(&d, EVENT_IMAGE, "r/api:3f9c");
    expect_field(&d, EVENT_DIGEST, "sha256:aa");
    expect_field(&d, EVENT_PIPELINE, "ci-api");
    expect_field(&d, EVENT_RUN, "345");
    expect_field(&d, EVENT_TYPE, "CiCompleteEvent");
    expect_field(&d, EVENT_SOURCE, "devtron");
    drop(&d);
}

static void devtron__skips_failures_on_the_same_topic(void **state)
{
    (void)state;
    expect_not_ok("{\"pipelineId\":1,\"failureReason\":\"tests failed "
                  "MARKER-9\",\"dockerImage\":\"\"}",
                  EVENT_NOT_OURS, "failure-event", "failureReason");
    expect_not_ok("{\"pipelineId\":1,\"failureReason\":\"x\"}", EVENT_NOT_OURS,
                  "failure-event", "failureReason");
    expect_not_ok("{\"pipelineId\":1,\"failureReason\":7,\"dockerImage\":\"r/x:1\"}",
                  EVENT_BAD, "invalid-field", "/failureReason");
}

static void devtron__wants_an_image_with_a_tag(void **state)
{
    (void)state;
    expect_not_ok("{\"pipelineId\":1,\"dockerImage\":\"\"}", EVENT_BAD, "missing-field",
                  "/dockerImage");
    expect_not_ok("{\"pipelineId\":1,\"dockerImage\":null}", EVENT_BAD, "missing-field",
                  "/dockerImage");
    expect_not_ok("{\"pipelineId\":1,\"failureReason\":\"\"}", EVENT_BAD, "missing-field",
                  "/dockerImage");
    expect_not_ok("{\"pipelineId\":1,\"dockerImage\":\"r/x\"}", EVENT_BAD,
                  "invalid-field", "/dockerImage");
    expect_not_ok("{\"pipelineId\":{},\"dockerImage\":\"r/x:1\"}", EVENT_BAD,
                  "missing-field", "/pipelineId");
}

static char *id_of(const char *text)
{
    struct decoded d = decode_text(text);
    expect_outcome(&d, EVENT_OK, "");
    char *id = mem_strdup(d.ev.fields[EVENT_ID]);
    drop(&d);
    return id;
}

static void expect_ids(const char *a, const char *b, bool same)
{
    char *x = id_of(a);
    char *y = id_of(b);
    assert_int_equal(strcmp(x, y) == 0, same);
    free(x);
    free(y);
}

static void devtron__derives_a_stable_id(void **state)
{
    (void)state;
    expect_ids(
        "{\"pipelineId\":1,\"workflowId\":2,\"dockerImage\":\"r/x:1\",\"triggeredBy\":1}",
        "{\"pipelineId\":1,\"workflowId\":2,\"dockerImage\":\"r/x:1\",\"triggeredBy\":2}",
        true);
    expect_ids("{\"pipelineId\":1,\"workflowId\":2,\"dockerImage\":\"r/x:1\"}",
               "{\"pipelineId\":1,\"workflowId\":3,\"dockerImage\":\"r/x:1\"}", false);
    expect_ids("{\"pipelineId\":1,\"workflowId\":23,\"dockerImage\":\"r/x:1\"}",
               "{\"pipelineId\":12,\"workflowId\":3,\"dockerImage\":\"r/x:1\"}", false);
    expect_ids("{\"pipelineId\":1,\"workflowId\":null,\"dockerImage\":\"r/x:1\"}",
               "{\"pipelineId\":1,\"dockerImage\":\"r/x:1\"}", true);
    expect_ids("{\"pipelineId\":1,\"workflowId\":null,\"dockerImage\":\"r/x:1\"}",
               "{\"pipelineId\":1,\"workflowId\":null,\"dockerImage\":\"r/x:2\"}", false);
}

static void devtron__finds_the_branch(void **state)
{
    (void)state;
    static const struct {
        const char *material;
        const char *branch;
    } cases[] = {
        {"{\"branch\":\"b\",\"sourceType\":\"SOURCE_TYPE_BRANCH_FIXED\",\"sourceValue\":"
         "\"v\"}",
         "b"},
        {"{\"branch\":\"\",\"sourceType\":\"SOURCE_TYPE_BRANCH_FIXED\",\"sourceValue\":"
         "\"v\"}",
         "v"},
        {"{\"sourceType\":\"WEBHOOK\",\"sourceValue\":\"{\\\"eventId\\\":1}\","
         "\"webhookData\":{\"data\":{"
         "\"target branch name\":\"main\",\"source branch name\":\"topic\"}}}",
         "main"},
        {"{\"sourceType\":\"WEBHOOK\",\"webhookData\":{\"data\":{\"source branch "
         "name\":\"topic\"}}}",
         "topic"},
        {"{\"sourceType\":\"WEBHOOK\",\"sourceValue\":\"x\",\"webhookData\":null}", NULL},
        {"{}", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[512];
        snprintf(text, sizeof(text),
                 "{\"pipelineId\":1,\"dockerImage\":\"r/x:1\",\"ciProjectDetails\":[%s]}",
                 cases[i].material);
        struct decoded d = decode_text(text);
        expect_outcome(&d, EVENT_OK, "");
        expect_field(&d, EVENT_BRANCH, cases[i].branch);
        drop(&d);
    }
}

static void devtron__cuts_credentials_out_of_the_repository(void **state)
{
    (void)state;
    static const char *const repos[][2] = {
        {"https://bot:MARKER@github.com/acme/api", "https://github.com/acme/api"},
        {"https://a@b:c@host/x@y", "https://host/x@y"},
        {"https://host/x@y", "https://host/x@y"},
        {"git@github.com:acme/api.git", "git@github.com:acme/api.git"},
        {"ssh://git@host:22/x", "ssh://git@host:22/x"},
    };
    for (size_t i = 0; i < sizeof(repos) / sizeof(repos[0]); i++) {
        char text[256];
        snprintf(text, sizeof(text),
                 "{\"pipelineId\":1,\"dockerImage\":\"r/x:1\",\"ciProjectDetails\":[{"
                 "\"gitRepository\":\"%s\"}]}",
                 repos[i][0]);
        struct decoded d = decode_text(text);
        expect_field(&d, EVENT_REPO, repos[i][1]);
        drop(&d);
    }
}

static void devtron__keeps_git_options_out_of_everything(void **state)
{
    (void)state;
    static const char *const texts[] = {
        full,
        "{" MATERIAL ",\"pipelineId\":1,\"dockerImage\":\"MARKER\\n\"}",
        "{" MATERIAL ",\"pipelineId\":1,\"failureReason\":\"MARKER\"}",
        "{" MATERIAL ",\"pipelineId\":1}",
        "{" MATERIAL
        ",\"pipelineId\":1,\"dockerImage\":\"r:1\",\"appName\":\"a\\u0001MARKER\"}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct decoded d = decode_text(texts[i]);
        char *doc = doc_text(&d);
        assert_null(strstr(d.reason.text, "MARKER"));
        assert_null(strstr(doc, "MARKER-1"));
        assert_null(strstr(doc, "gitOptions"));
        assert_non_null(strstr(doc, "commitHash"));
        free(doc);
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
