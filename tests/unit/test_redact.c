#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "event/event.h"

static char *redacted(const char *value)
{
    struct str out;
    str_init(&out);
    event_redact(value, strlen(value), &out);
    return str_take(&out);
}

static void redact__gives_clean_bytes_back_unchanged(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "not json",
        " { \"a\" : 1.0 , \"b\" : \"x\\/y\" } ",
        "{\"message\":\"about gitOptions\"}",
        "{\"gitOption\":1}",
        "{broken \\\" x",
        "{\"data_base64\":\"eyJhcHAiOiJhcGkifQ==\"}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char *text = redacted(texts[i]);
        assert_string_equal(text, texts[i]);
        free(text);
    }
}

static void redact__cuts_git_options_wherever_they_hide(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"keep\":1,\"gitOptions\":{\"password\":\"MARKER\"}}",
        "{\"keep\":1,\"a\":[{\"b\":{\"gitOptions\":\"MARKER\"}},[[{\"gitOptions\":["
        "\"MARKER\"]}]]]}",
        "[{\"keep\":1},{\"gitOptions\":{\"accessToken\":\"MARKER\"}}]",
        "{\"keep\":1,\"GitOptions\":\"MARKER\",\"gitoptions\":\"MARKER\"}",
        "{\"keep\":1,\"git\\u004fptions\":\"MARKER\"}",
        "{\"keep\":1,\"data\":\"{\\\"gitOptions\\\":{\\\"password\\\":\\\"MARKER\\\"}}"
        "\"}",
        "{\"keep\":1,\"data\":\"{\\\"git\\\\u004fptions\\\":\\\"MARKER\\\"}\"}",
        /* {"x":[{"gitOptions":{"password":"MARKER"}}]} */
        "{\"keep\":1,\"data_base64\":"
        "\"eyJ4IjpbeyJnaXRPcHRpb25zIjp7InBhc3N3b3JkIjoiTUFSS0VSIn19XX0=\"}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char *text = redacted(texts[i]);
        if (strstr(text, "MARKER") != NULL || strstr(text, "TUFSS0VS") != NULL ||
            strstr(text, "keep") == NULL) {
            fail_msg("%s became %s", texts[i], text);
        }
        struct json_object *doc = NULL;
        assert_int_equal(json_parse(text, strlen(text), &doc, NULL), 0);
        json_free(doc);
        free(text);
    }
}

static void redact__cuts_users_out_of_urls(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"{\"repo\":\"https://u:MARKER@h/x?a=b@c\"}", "{\"repo\":\"https://h/x?a=b@c\"}"},
        {"[\"see HTTPS://MARKER@h, git+ssh://git:MARKER@h:22/x\"]",
         "[\"see HTTPS://h, git+ssh://h:22/x\"]"},
        {"{\"a\":\"{\\\"u\\\":\\\"http:\\\\/\\\\/u:MARKER@h\\\"}\"}",
         "{\"a\":\"{\\\"u\\\":\\\"http://h\\\"}\"}"},
        {"not json http://u:p@MARKER@h/", "not json http://h/"},
        {"{\"cut short\":\"https:\\/\\/u:MARKER@h\\/x",
         "{\"cut short\":\"https:\\/\\/h\\/x"},
        {"[\"ssh://git@h/x\",\"docker://app:1@sha256:aa\",\"http://h/@u\",\"a@b://c\"]",
         NULL},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char *text = redacted(texts[i][0]);
        assert_string_equal(text, texts[i][1] != NULL ? texts[i][1] : texts[i][0]);
        free(text);
    }
}

static void redact__does_not_follow_text_in_text_without_end(void **state)
{
    (void)state;
    /* ["[\u0022[\u005cu0022...: each level costs little, so hundreds fit */
    struct str level;
    struct str outer;
    str_init(&level);
    str_init(&outer);
    str_add(&level, "[{\"gitOptions\":\"MARKER\"}]");
    for (int i = 0; i < 300; i++) {
        str_clear(&outer);
        str_add(&outer, "[\"");
        for (size_t j = 0; j < level.len; j++) {
            if (level.data[j] == '"' || level.data[j] == '\\') {
                str_addf(&outer, "\\u%04x", (unsigned)level.data[j]);
            } else {
                str_addc(&outer, level.data[j]);
            }
        }
        str_add(&outer, "\"]");
        struct str swap = level;
        level = outer;
        outer = swap;
    }
    char *text = redacted(level.data);
    assert_null(strstr(text, "MARKER"));
    assert_non_null(strstr(text, "credentials cut out"));
    free(text);
    str_release(&level);
    str_release(&outer);
}

static void redact__leaves_a_record_that_still_decodes(void **state)
{
    (void)state;
    /* {"pipelineId":1,"dockerImage":"r:1","ciProjectDetails":[{"commitHash":"c",
     * "gitOptions":{"password":"MARKER"}}]} */
    static const char value[] =
        "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\",\"data_"
        "base64\":"
        "\"eyJwaXBlbGluZUlkIjoxLCJkb2NrZXJJbWFnZSI6InI6MSIsImNpUHJvamVjdERldGFpbHMiOlt7Im"
        "NvbW1p"
        "dEhhc2giOiJjIiwiZ2l0T3B0aW9ucyI6eyJwYXNzd29yZCI6Ik1BUktFUiJ9fV19\"}";
    char *text = redacted(value);
    assert_string_not_equal(text, value);
    struct event_input before = {.value = value, .value_len = sizeof(value) - 1};
    struct event_input after = {.value = text, .value_len = strlen(text)};
    struct event a;
    struct event b;
    struct event_reason reason;
    assert_int_equal(event_decode(&before, &a, &reason), EVENT_OK);
    assert_int_equal(event_decode(&after, &b, &reason), EVENT_OK);
    assert_string_equal(a.identity, b.identity);
    assert_string_equal(a.content, b.content);
    assert_string_equal(b.fields[EVENT_COMMIT], "c");
    struct str doc;
    str_init(&doc);
    json_print(b.doc, &doc);
    assert_null(strstr(doc.data, "MARKER"));
    str_release(&doc);
    event_release(&a);
    event_release(&b);
    free(text);
}

static void redact__replaces_what_it_cannot_read(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"gitOptions\":{\"password\":\"MARKER\"",
        "{\"gitOptions\":{\"password\":\"MARKER\"}}}",
        "{\"gitOptions\":1,\"gitOptions\":\"MARKER\"}",
        "{\"git\\u004fptions\":\"MARKER\"",
        "{\"data_base64\":\"TUFSS0VS",
        "gitoptions MARKER",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char *text = redacted(texts[i]);
        assert_null(strstr(text, "MARKER"));
        assert_null(strstr(text, "TUFSS0VS"));
        assert_non_null(strstr(text, "\"sha256\":\""));
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
