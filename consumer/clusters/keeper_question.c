#include "keeper_question.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"

struct question *question_new(struct ctx *within, const struct config_gate *gate,
                              const char *ns, const char *selector)
{
    struct question *q = mem_zalloc(sizeof *q);
    q->cluster = mem_strdup(gate->cluster);
    q->ns = mem_strdup(ns);
    q->selector = mem_strdup(selector);
    q->kinds = mem_array(gate->kind_count + 1, sizeof q->kinds[0]);
    for (size_t i = 0; i < gate->kind_count; i++) {
        q->kinds[q->kind_count++] = mem_strdup(gate->kinds[i]);
    }
    q->wake = gate->policy == CONFIG_GATE_WAKE;
    q->ctx = ctx_new(within, NOW_FOREVER);
    return q;
}

void question_free(struct question *q)
{
    ctx_free(q->ctx);
    free(q->cluster);
    free(q->ns);
    free(q->selector);
    for (size_t i = 0; i < q->kind_count; i++) {
        free(q->kinds[i]);
    }
    free(q->kinds);
    free(q);
}

bool question_is(const struct question *q, const struct config_gate *gate, const char *ns,
                 const char *selector)
{
    bool same = q->wake == (gate->policy == CONFIG_GATE_WAKE) &&
                q->kind_count == gate->kind_count && strcmp(q->ns, ns) == 0 &&
                strcmp(q->selector, selector) == 0 &&
                strcmp(q->cluster, gate->cluster) == 0;
    for (size_t i = 0; same && i < q->kind_count; i++) {
        same = strcmp(q->kinds[i], gate->kinds[i]) == 0;
    }
    return same;
}
