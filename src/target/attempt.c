#include "target/attempt.h"

#include <stdio.h>
#include <string.h>

static void set(struct attempt_result *result, enum attempt_class class,
                const char *reason)
{
    result->class = class;
    snprintf(result->reason, sizeof(result->reason), "%s", reason);
}

/* The cause of a call that got no answer, out of http's sentence: "connect: timed out".
 */
static const char *cause(const struct http_call *call, const char *otherwise)
{
    static const struct {
        const char *says;
        const char *cause;
    } causes[] = {
        {"timed out", "timeout"}, {"resolve:", "resolve"}, {"connect:", "connect"},
        {"tls:", "tls"},          {"closed", "reset"},     {"reset", "reset"},
    };
    for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
        if (strstr(call->error, causes[i].says) != NULL) {
            return causes[i].cause;
        }
    }
    return otherwise;
}

static bool is_transient(const struct http_call *call)
{
    switch (call->status) {
    case 408:
    case 425:
    case 429:
        return true;
    case 403: /* how rate limits are told by some (GitHub's secondary limits) */
        return call->retry_after_ms >= 0;
    case 501:
    case 505:
        return false;
    default:
        return call->status >= 500;
    }
}

static void classify_status(const struct http_call *call, struct attempt_result *result)
{
    char reason[sizeof(result->reason)];
    snprintf(reason, sizeof(reason), "http_%d", call->status);
    if (call->status >= 200 && call->status < 300) {
        set(result, ATTEMPT_DONE, reason);
    } else if (is_transient(call)) {
        set(result, ATTEMPT_RETRY, reason);
    } else if (call->status >= 300 && call->status < 400) {
        set(result, ATTEMPT_PERMANENT, "redirect");
    } else {
        set(result, ATTEMPT_PERMANENT, reason);
    }
}

void attempt_classify(const struct http_call *call, int64_t retry_after_cap_ms,
                      struct attempt_result *result)
{
    result->retry_after_ms = -1;
    result->wait_ms = -1;
    result->detail[0] = '\0';
    switch (call->end) {
    case HTTP_END_RECALLED:
        set(result, ATTEMPT_AGAIN, "recalled");
        return;
    case HTTP_END_STALE:
        set(result, ATTEMPT_AGAIN, "stale");
        return;
    case HTTP_END_REFUSED:
        set(result, ATTEMPT_PERMANENT, "refused");
        return;
    case HTTP_END_NOT_SENT:
        set(result, ATTEMPT_RETRY, cause(call, "not_sent"));
        return;
    case HTTP_END_UNCERTAIN:
        set(result, ATTEMPT_UNCERTAIN, cause(call, "no_answer"));
        return;
    case HTTP_END_TOO_LARGE:
        if (call->status == 0) {
            set(result, ATTEMPT_UNCERTAIN, "too_large");
            return;
        }
        break;
    case HTTP_END_ANSWERED:
        break;
    }
    /* a status line says it, however the body ended */
    classify_status(call, result);
    if (call->end == HTTP_END_TOO_LARGE && result->class != ATTEMPT_DONE) {
        set(result, result->class, "too_large");
    }
    if (result->class == ATTEMPT_RETRY && call->retry_after_ms >= 0) {
        result->retry_after_ms = call->retry_after_ms < retry_after_cap_ms
                                     ? call->retry_after_ms
                                     : retry_after_cap_ms;
    }
}

bool attempt_is_sick(const struct attempt_result *result, const struct http_call *call)
{
    switch (result->class) {
    case ATTEMPT_DONE:
    case ATTEMPT_AGAIN:
    case ATTEMPT_ALREADY:
    case ATTEMPT_HELD:
        return false;
    case ATTEMPT_UNCERTAIN:
        return true;
    case ATTEMPT_RETRY:
    case ATTEMPT_PERMANENT:
        break;
    }
    return call->end == HTTP_END_NOT_SENT || call->status >= 500;
}

int64_t attempt_backoff_ms(int tries, int64_t base_ms, int64_t max_ms,
                           int64_t retry_after_ms, uint64_t random)
{
    int64_t window = base_ms;
    for (int i = 1; i < tries && window < max_ms; i++) {
        window = window > max_ms / 2 ? max_ms : window * 2;
    }
    window = window < max_ms ? window : max_ms;
    int64_t wait = window > 0 ? (int64_t)(random % ((uint64_t)window + 1)) : 0;
    return wait > retry_after_ms ? wait : retry_after_ms;
}
