/* A gate that says what a test wants: at once on the asking lane, or when the test says
 * so, from the test's thread. */
#ifndef TESTS_UNIT_FAKE_GATE_H
#define TESTS_UNIT_FAKE_GATE_H

#include "lane_stage.h"

enum { FAKE_ASKS_MAX = 64 };

struct fake_gate {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    /* guarded by mu */
    enum gate_says says;
    const char *reason; /* literal */
    int64_t wait_ms;
    bool withholds;      /* asks wait for fake_gate_answer */
    bool recall_answers; /* a recall ends an ask that waits, on the recalling lane */
    struct gate_ask *waiting[FAKE_ASKS_MAX];
    size_t waiting_count;
    char asked[FAKE_ASKS_MAX][160]; /* "<target> <app>" */
    int asks;
    int recalls;
};
static struct fake_gate fake_gate;

/* Set before begin_gated; 0: the fleet's own. */
static int64_t fake_gate_patience_ms;

static inline void fake_gate_ask(void *arg, struct gate_ask *ask)
{
    (void)arg;
    struct fake_gate *g = &fake_gate;
    MUST(pthread_mutex_lock(&g->mu));
    bool withholds = g->withholds;
    enum gate_says says = g->says;
    int64_t wait_ms = g->wait_ms;
    const char *reason = g->reason;
    if (g->asks < FAKE_ASKS_MAX) {
        snprintf(g->asked[g->asks], sizeof g->asked[0], "%.70s %.80s", ask->target->name,
                 ask->event->fields[EVENT_APP]);
    }
    g->asks++;
    if (withholds) {
        ASSERT(g->waiting_count < FAKE_ASKS_MAX);
        g->waiting[g->waiting_count++] = ask;
    }
    MUST(pthread_cond_broadcast(&g->cond));
    MUST(pthread_mutex_unlock(&g->mu));
    if (!withholds) {
        gate_answer(ask, says, reason, "as the test says", wait_ms);
    }
}

/* Returns NULL when it is not there: it has ended, or is about to. */
static inline struct gate_ask *fake_gate_take(struct gate_ask *ask)
{
    struct fake_gate *g = &fake_gate;
    for (size_t i = 0; i < g->waiting_count; i++) {
        if (!ask || g->waiting[i] == ask) {
            struct gate_ask *taken = g->waiting[i];
            g->waiting_count--;
            memmove(g->waiting + i, g->waiting + i + 1,
                    (g->waiting_count - i) * sizeof g->waiting[0]);
            return taken;
        }
    }
    return NULL;
}

static inline void fake_gate_recall(void *arg, struct gate_ask *ask)
{
    (void)arg;
    struct fake_gate *g = &fake_gate;
    MUST(pthread_mutex_lock(&g->mu));
    g->recalls++;
    struct gate_ask *taken = g->recall_answers ? fake_gate_take(ask) : NULL;
    MUST(pthread_cond_broadcast(&g->cond));
    MUST(pthread_mutex_unlock(&g->mu));
    if (taken) {
        gate_answer(taken, GATE_HOLD, "recalled", "", 0);
    }
}

static inline void fake_gate_says(enum gate_says says, const char *reason,
                                  int64_t wait_ms)
{
    MUST(pthread_mutex_lock(&fake_gate.mu));
    fake_gate.says = says;
    fake_gate.wait_ms = wait_ms;
    fake_gate.reason = reason;
    MUST(pthread_mutex_unlock(&fake_gate.mu));
}

/* End the ask that waits for longest. Returns false when none does. */
static inline bool fake_gate_answer(enum gate_says says, const char *reason,
                                    int64_t wait_ms)
{
    MUST(pthread_mutex_lock(&fake_gate.mu));
    struct gate_ask *ask = fake_gate_take(NULL);
    MUST(pthread_mutex_unlock(&fake_gate.mu));
    if (ask) {
        gate_answer(ask, says, reason, "as the test says", wait_ms);
    }
    return ask != NULL;
}

static inline bool fake_gate_await(const int *count, int n)
{
    int64_t until_ms = now_ms() + FAKE_PATIENCE_MS;
    MUST(pthread_mutex_lock(&fake_gate.mu));
    while (*count < n && fake_wait(&fake_gate.cond, &fake_gate.mu, until_ms)) {
    }
    bool there = *count >= n;
    MUST(pthread_mutex_unlock(&fake_gate.mu));
    return there;
}

static inline int fake_gate_asks(void)
{
    MUST(pthread_mutex_lock(&fake_gate.mu));
    int n = fake_gate.asks;
    MUST(pthread_mutex_unlock(&fake_gate.mu));
    return n;
}

/* As begin, with this gate for target a. */
static inline void begin_gated(const char *extra, const char *topic, bool source)
{
    static struct gate gate;
    char more[1024];
    snprintf(more, sizeof more,
             "    gate: {hibernating: hold, namespace: n, cluster: c}\n%s"
             "clusters: {c: {kubeconfig: none.yaml}}\n",
             extra);
    begin(more, topic, source);
    gate = (struct gate){.ask = fake_gate_ask,
                         .recall = fake_gate_recall,
                         .patience_ms = fake_gate_patience_ms};
    t.fleet.gate = &gate;
    fake_gate =
        (struct fake_gate){.says = GATE_OPEN, .reason = "", .recall_answers = true};
    MUST(pthread_mutex_init(&fake_gate.mu, NULL));
    fake_cond_init(&fake_gate.cond);
}

static inline void end_gated(void)
{
    end();
    fake_gate_patience_ms = 0;
    ASSERT(fake_gate.waiting_count == 0);
    MUST(pthread_cond_destroy(&fake_gate.cond));
    MUST(pthread_mutex_destroy(&fake_gate.mu));
}

#endif
