/* What a keeper is asked: an application in a cluster, and whether to wake it. Plain
 * data; who guards which part of it stands at the fields (`mu` is the keeper's). */
#ifndef CONSUMER_KEEPER_QUESTION_H
#define CONSUMER_KEEPER_QUESTION_H

#include "fleet/gate.h"
#include "keeper_answer.h"
#include "sync/ctx.h"

enum question_state { QUESTION_WAITS, QUESTION_RUNS, QUESTION_KNOWN };

struct question {
    /* read-only: what is asked */
    char *cluster;
    char *ns;
    char *selector;
    char **kinds;
    size_t kind_count;
    bool wake;
    struct ctx *ctx;
    /* guarded by mu */
    enum question_state state;
    bool dropped; /* nobody waits: cut off */
    bool probe;   /* nobody waits: it is to see whether its cluster answers again */
    struct gate_ask *asks;
    enum finding finding;
    int64_t known_ms;
    struct question *next;
    /* owned by its thread, then read-only */
    bool unanswered; /* its cluster did not answer */
    char detail[GATE_DETAIL_MAX];
};

/* within  its ctx ends with this one. */
struct question *question_new(struct ctx *within, const struct config_gate *gate,
                              const char *ns, const char *selector);

void question_free(struct question *q);

/* Is this the question that such a gate makes? */
bool question_is(const struct question *q, const struct config_gate *gate, const char *ns,
                 const char *selector);

#endif
