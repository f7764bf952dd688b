/* A breaker per target, local to the process: after failures in a row the target is left
 * alone for a while, then one probe decides. Fed by timeouts too. Pure state with its own
 * lock and a given clock; any thread. */
#ifndef FLEET_BREAKER_H
#define FLEET_BREAKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { BREAKER_FAILURES = 5, BREAKER_OPEN_MS = 5000, BREAKER_OPEN_MAX_MS = 60000 };

struct breaker {
    pthread_mutex_t mu;
    /* guarded by mu */
    int failures;          /* in a row */
    int64_t open_until_ms; /* 0: closed */
    int64_t open_ms;       /* length of the present opening; doubles per failed probe */
    int64_t probe_ms;      /* when the running probe began; 0: none */
};

void breaker_init(struct breaker *b);
void breaker_release(struct breaker *b);

/* May a call start now? When the opening has passed, one caller gets true: the probe. A
 * probe that never reports is forgotten after BREAKER_OPEN_MAX_MS. */
bool breaker_allow(struct breaker *b, int64_t now_ms);

/* How a call ended. sick: the target is unwell (5xx, timeout, not reached). Returns true
 * when this opened it. */
bool breaker_report(struct breaker *b, bool sick, int64_t now_ms);

/* The call that was allowed never started. */
void breaker_unused(struct breaker *b);

bool breaker_is_open(struct breaker *b, int64_t now_ms);

/* In how many ms it will let a probe through: -1 when it is closed, 0 when a probe is due
 * or runs. */
int64_t breaker_left_ms(struct breaker *b, int64_t now_ms);

#endif
