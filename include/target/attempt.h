/* What the end of a call means, and when to try again. Pure: no clock, no I/O. Any
 * thread. */
#ifndef TARGET_ATTEMPT_H
#define TARGET_ATTEMPT_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/http.h"

enum { ATTEMPT_REASON_MAX = 32, ATTEMPT_DETAIL_MAX = 160 };

enum attempt_class {
    ATTEMPT_DONE,  /* 2xx */
    ATTEMPT_RETRY, /* transient, the target did not do it: 408 425 429 500 502 503 504,
                      not sent */
    ATTEMPT_UNCERTAIN, /* sent, and no answer: may have been done */
    ATTEMPT_PERMANENT, /* will not get better: other 4xx, 3xx, 501, refused URL */
    ATTEMPT_AGAIN,     /* never started (stale, recalled): not an attempt */
    ATTEMPT_ALREADY,   /* the target says that it has done this before */
    ATTEMPT_HELD,      /* the target says not now, and that is no failure: waits without
                          using up tries or budget */
};

struct attempt_result {
    enum attempt_class class;
    int64_t retry_after_ms; /* as asked by the target and capped; -1: nothing asked.
                               Everything for this target waits */
    int64_t wait_ms;        /* this unit alone waits at least so; -1: nothing said */
    char reason[ATTEMPT_REASON_MAX]; /* for metrics and headers: "http_503", "timeout",
                                        "connect", "reset", "redirect", "too_large",
                                        "in-progress", "nothing-started" */
    char detail[ATTEMPT_DETAIL_MAX]; /* the target's own words, without control
                                        characters; "" for none */
};

/* By status alone; target_classify (target/target.h) also reads what the target's kind
 * says of the body. */
void attempt_classify(const struct http_call *call, int64_t retry_after_cap_ms,
                      struct attempt_result *result);

/* Does this end say that the target itself is unwell (breaker's food)? 5xx, timeouts, not
 * sent; not 4xx. */
bool attempt_is_sick(const struct attempt_result *result, const struct http_call *call);

/* Full jitter: uniform in [0, min(max, base * 2^(tries - 1))], never below Retry-After.
 * tries   attempts made so far, from 1. random: any 64 bits. */
int64_t attempt_backoff_ms(int tries, int64_t base_ms, int64_t max_ms,
                           int64_t retry_after_ms, uint64_t random);

#endif
