#include "target/github.h"

#include <stdlib.h>
#include <string.h>

#include "base/now.h"
#include "target/answer.h"

const struct http_header github_headers[] = {{"accept", "application/vnd.github+json"},
                                             {"x-github-api-version", "2022-11-28"},
                                             {NULL, NULL}};

static int64_t number_header(const struct http_call *call, const char *name)
{
    char text[32];
    int64_t number;
    if (http_answer_header(call, name, text, sizeof(text)) == NULL ||
        text_parse_int(text, 0, INT64_MAX / 1000, &number) != 0) {
        return -1;
    }
    return number;
}

/* By GitHub's own clock where it is told, so that ours may be wrong. */
static int64_t until_reset_ms(const struct http_call *call)
{
    char date[64];
    int64_t now;
    int64_t reset_s = number_header(call, "x-ratelimit-reset");
    if (reset_s < 0) {
        return GITHUB_LIMIT_WAIT_MS;
    }
    if (http_answer_header(call, "date", date, sizeof(date)) == NULL ||
        now_parse_http_date(date, &now) != 0) {
        now = now_wall_ms();
    }
    int64_t wait_ms = reset_s * 1000 - now;
    return wait_ms > 1000 ? wait_ms : 1000;
}

/* In the order GitHub's documentation gives. -1: this is no limit. */
static int64_t limit_wait_ms(const struct http_call *call)
{
    if (call->retry_after_ms >= 0) {
        return call->retry_after_ms;
    }
    if (number_header(call, "x-ratelimit-remaining") == 0) {
        return until_reset_ms(call);
    }
    bool says = answer_has(call->answer, "rate limit") ||
                answer_has(call->answer, "abuse detection");
    return says || call->status == 429 ? GITHUB_LIMIT_WAIT_MS : -1;
}

void github_classify(const struct http_call *call, struct attempt_result *result)
{
    static const char *const words[] = {"/message", NULL};
    if (result->class == ATTEMPT_DONE) {
        return;
    }
    struct json_object *doc = answer_doc(call);
    answer_say_at(result, doc, words);
    json_free(doc);
    if (call->status != 403 && call->status != 429) {
        return;
    }
    int64_t wait_ms = limit_wait_ms(call);
    if (wait_ms >= 0) {
        answer_is(result, ATTEMPT_RETRY, "rate-limit");
        result->retry_after_ms = wait_ms;
    }
}
