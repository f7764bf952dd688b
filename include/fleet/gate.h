/* What may hold a trigger back: a question asked before each call of a target that has a
 * gate (targets.*.gate), answered by whoever knows the other end (a cluster). The fleet
 * knows the question only; consumer/ hands it the one who answers.
 *
 * An ask is made by a lane and lives in its unit's memory. It belongs to the gate from
 * `ask` on until `done` is called, exactly once, from any thread, also from inside `ask`;
 * from that call on the gate touches it no more, for the lane may free it at once. What
 * it borrows (target, event) lives as long.
 *
 * Units: milliseconds. Any thread, except where it says otherwise. */
#ifndef FLEET_GATE_H
#define FLEET_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "fleet/config.h"

struct event;

enum {
    GATE_GOOD_MS = 30 * 1000,     /* so long an open gate is taken to be open */
    GATE_PATIENCE_MS = 10 * 1000, /* an ask may hold a barrier so long, then it is
                                     recalled and its unit waits elsewhere */
    GATE_RECALL_MS = 3 * 1000,    /* so long after a recall an ask has ended, at most: a
                                     stop waits for it */
    GATE_REASON_MAX = 48,
    GATE_DETAIL_MAX = 256,
};

enum gate_says {
    GATE_OPEN, /* call the target */
    GATE_HOLD, /* not now, and it is no failure: the unit waits, and is asked about again
                */
    GATE_SKIP, /* not at all: the unit ends */
};

struct gate_ask {
    const struct config_target *target; /* these two are borrowed until done */
    const struct event *event;
    void (*done)(struct gate_ask *ask); /* never blocks */
    void *arg;

    /* the answer */
    enum gate_says says;
    char reason[GATE_REASON_MAX]; /* a short word, "hibernating": metrics have it */
    char detail[GATE_DETAIL_MAX]; /* in words, for people; no secret */
    int64_t wait_ms;              /* GATE_HOLD: ask again not before */

    /* the gate's own */
    struct gate_ask *next;
    int state;
    void *own;
};

struct gate {
    /* Never blocks; lane threads. */
    void (*ask)(void *arg, struct gate_ask *ask);
    /* Nobody wants the answer any more: the ask ends within GATE_RECALL_MS, as GATE_HOLD
     * "recalled" unless it has ended. What it began to change it finishes (one object),
     * and begins nothing more. Never blocks; may race with the ask's end. Lane threads.
     */
    void (*recall)(void *arg, struct gate_ask *ask);
    void *arg;
    int64_t patience_ms; /* instead of GATE_PATIENCE_MS; 0: that */
};

/* Does this target want to be asked about? */
bool gate_is_on(const struct config_target *target);

/* How long an ask may take before its lane recalls it. */
int64_t gate_patience_ms(const struct gate *gate);

/* Ask, or recall. gate: NULL holds whatever is asked ("no-gate"): what configuration
 * forbids does not happen for want of somebody to ask. */
void gate_start(const struct gate *gate, struct gate_ask *ask);
void gate_recall(const struct gate *gate, struct gate_ask *ask);

/* End an ask: for gates. reason and detail are cut to their fields. */
void gate_answer(struct gate_ask *ask, enum gate_says says, const char *reason,
                 const char *detail, int64_t wait_ms);

#endif
