/* How mock-cd behaves, and what that makes of one call. Plain data, pure. */
#ifndef PRODUCER_MOCK_MODE_H
#define PRODUCER_MOCK_MODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/json.h"

struct mock_mode {
    int64_t latency_ms;     /* a call takes from this */
    int64_t latency_max_ms; /* to this */
    double fail;            /* shares of the calls, 0 to 1, each thrown for itself: */
    double hang;            /* hang before reset before slow_body before fail */
    double reset;
    double slow_body;
    int status;            /* of a call that does not fail */
    int fail_status;       /* of one that does */
    int64_t retry_after_s; /* sent with all but 2xx; -1: not */
    bool retry_after_date; /* as a date instead of seconds */
    int64_t byte_every_ms; /* of a slow body */
};

enum mock_act { MOCK_ANSWER, MOCK_HANG, MOCK_RESET, MOCK_SLOW_BODY };

struct mock_fate {
    enum mock_act act;
    int status; /* 0 for hang and reset */
    int64_t latency_us;
};

void mock_mode_init(struct mock_mode *mode);

/* Set one by its name: latency fail hang reset slow-body status fail-status retry-after
 * byte-every. text: "120ms", "120ms..200ms"; "2%" or "0.02"; "503"; "5s", "date",
 * "date:5s", "none". Returns 0 or -EINVAL with a sentence. */
int mock_mode_set(struct mock_mode *mode, const char *name, const char *text,
                  struct err *err);

/* Change what a JSON object names ('_' for '-'; also latency_ms), all or nothing.
 * Returns 0 or -EINVAL with a sentence. */
int mock_mode_change(struct mock_mode *mode, struct json_object *doc, struct err *err);

/* "latency 120ms, fail 2%", only what differs from the default. */
void mock_mode_describe(const struct mock_mode *mode, struct str *out);
struct json_object *mock_mode_json(const struct mock_mode *mode); /* returns owned */

/* The fate of the attempt-th call with that key (without one: key "" and the call's
 * number): the same for the same seed, whatever else is called in between. */
struct mock_fate mock_mode_fate(const struct mock_mode *mode, uint64_t seed,
                                const char *key, uint64_t attempt);

#endif
