/* Any bytes as a record: decode, validate, redact, match, and make a request. With
 * libFuzzer:
 *
 *   clang -DLIBFUZZER -fsanitize=fuzzer,address,undefined ... tests/fuzz/fuzz_event.c
 *
 * Without, a program that runs each file named on its command line once.
 *
 * The first byte chooses the headers, the rest is the value. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "event/event.h"
#include "event/match.h"
#include "target/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char origin[] = "https://cd.acme.io/";

static struct target *target;
static struct match match;

static void set_up(void)
{
    static const char tree[] = "{\"app\":\"${event.app}\",\"all\":\"${event:/data}\"}";
    static const char *const globs[] = {"a*b", "[a-z]?*"};
    static const struct http_header headers[] = {{"x-branch", "${event.branch}"},
                                                 {"x-any", "v ${event:/n/0/x}"}};
    struct target_options options =
        {.name = "t", .url = "https://cd.acme.io/${event.app}/x?y=${event:/extra}"};
    MUST(json_parse(tree, sizeof(tree) - 1, &options.body, NULL));
    options.headers = headers;
    options.header_count = 2;
    target = target_new(&options, NULL, NULL, NULL);
    ASSERT(target != NULL);
    json_free(options.body);
    MUST(match_add(&match, "app", globs, 2, NULL));
    MUST(match_add(&match, "/n/0/x", globs, 2, NULL));
}

static void try_request(const struct event *ev)
{
    struct target_request request;
    struct err err = ERR_INIT;
    if (target_request_make(target, ev, 1, NULL, NULL, &request, &err) == 0) {
        ASSERT(strncmp(request.url, origin, sizeof(origin) - 1) == 0);
        for (size_t i = 0; i < request.header_count; i++) {
            ASSERT(strpbrk(request.headers[i].value, "\r\n") == NULL);
        }
        struct json_object *body = NULL;
        ASSERT(json_parse(request.body, request.body_len, &body, NULL) == 0);
        json_free(body);
    }
    target_request_release(&request);
}

static void try_redact(const char *value, size_t len)
{
    struct str once;
    struct str twice;
    str_init(&once);
    str_init(&twice);
    event_redact(value, len, &once);
    event_redact(once.data, once.len, &twice);
    ASSERT(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
    str_release(&once);
    str_release(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct event_header headers[] = {
        {"content-type", "application/cloudevents+json", 28},
        {"ce_specversion", "1.0", 3},
        {"ce_id", "1", 1},
        {"ce_source", "s", 1},
        {"ce_type", "ci.succeeded", 12},
    };
    if (target == NULL) {
        set_up();
    }
    if (size == 0) {
        return 0;
    }
    const char *value = (const char *)data + 1;
    struct event_input input = {.value = value, .value_len = size - 1, .topic = "t"};
    input.headers = data[0] % 3 == 1 ? headers : headers + 1;
    input.header_count = data[0] % 3 == 0 ? 0 : data[0] % 3 == 1 ? 1 : 4;
    struct event ev;
    struct event_reason reason;
    enum event_outcome outcome = event_decode(&input, &ev, &reason);
    ASSERT((outcome == EVENT_OK) == (reason.word[0] == '\0'));
    ASSERT(text_is_utf8(reason.text, strlen(reason.text)));
    if (outcome == EVENT_OK) {
        ASSERT(ev.fields[EVENT_ID] != NULL);
        match_event(&match, &ev, NULL, NULL);
        try_request(&ev);
    }
    event_release(&ev);
    event_validate(&input, NULL, NULL);
    try_redact(value, size - 1);
    return 0;
}

#ifndef LIBFUZZER
enum { FILE_MAX = 16 * 1024 * 1024 };

int main(int argc, char **argv)
{
    uint8_t *bytes = malloc(FILE_MAX);
    for (int i = 1; i < argc && bytes != NULL; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (file == NULL) {
            perror(argv[i]);
            return 1;
        }
        size_t n = fread(bytes, 1, FILE_MAX, file);
        fclose(file);
        LLVMFuzzerTestOneInput(bytes, n);
    }
    free(bytes);
    match_release(&match);
    target_free(target);
    return 0;
}
#endif
