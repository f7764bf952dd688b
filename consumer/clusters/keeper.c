/* Design. An ask is turned, on the lane's own thread, into a question: an application in
 * a cluster, and whether to wake it. Asks that make the same question hang on it. A
 * thread takes a question, looks, and answers all that hang on it by then; the finding
 * stays for a while for those who come later. A recall takes its ask off the question;
 * the thread `ender` ends it, so that a lane is never called from within its own call.
 * The last one off cuts the question off: it finds nobody, and is thrown away.
 *
 * A cluster that did not answer a look is quiet: what is asked about it is answered at
 * once, and so is what waits for its turn, so that lanes stand still for it once and not
 * at every batch. Meanwhile one look goes on that nobody waits for, a probe; the first
 * answer ends the quiet. Probes take what threads others leave, and not all of these.
 *
 * `mu` is a leaf, except that a ctx may be cancelled under it. Answers are given with no
 * lock held. */
#include "keeper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "keeper_answer.h"
#include "keeper_question.h"
#include "quiet.h"
#include "sync/cond.h"

enum ask_state { ASK_HANGS = 1, ASK_RECALLED, ASK_ENDS };
struct keeper {
    struct gate gate; /* read-only, as are the next ones */
    struct cluster_set *set;
    int64_t good_ms;
    keeper_woke_fn *woke;
    void *woke_arg;
    struct metric *answers[3]; /* by what is said; NULL: none */
    struct metric_family *woken;
    struct ctx *running;
    pthread_t threads[KEEPER_THREADS];
    pthread_t ender;
    pthread_mutex_t mu;
    pthread_cond_t work;    /* a question waits, or the stop */
    pthread_cond_t endings; /* an ask was recalled, or the stop */
    /* guarded by mu */
    struct question *questions; /* oldest first */
    struct gate_ask *recalled;
    struct quiet *quiet;
    struct question *busy[KEEPER_THREADS]; /* in no order */
    int busy_count;
    bool started; /* the threads, with the first question */
    bool stopping;
};

static void start_locked(struct keeper *k);

/* --- answers --- */

static void answer(struct keeper *k, struct gate_ask *ask, enum finding finding,
                   const char *detail)
{
    struct keeper_answer a =
        keeper_answer(ask->target->gate.policy, ask->target->gate.unknown_send, finding);
    if (k->answers[a.says] != NULL) {
        metric_inc(k->answers[a.says]);
    }
    gate_answer(ask, a.says, a.reason, detail, a.wait_ms);
}

/* Each ask's `next` is read before it is gone. */
static void answer_all(struct keeper *k, struct gate_ask *asks, enum finding finding,
                       const char *detail)
{
    while (asks != NULL) {
        struct gate_ask *next = asks->next;
        answer(k, asks, finding, detail);
        asks = next;
    }
}

/* --- questions --- */

/* Throw away what is known and old. */
static void forget_locked(struct keeper *k, int64_t now)
{
    struct question **at = &k->questions;
    while (*at != NULL) {
        struct question *q = *at;
        if (q->state == QUESTION_KNOWN && now >= q->known_ms + k->good_ms) {
            *at = q->next;
            question_free(q);
        } else {
            at = &q->next;
        }
    }
}

/* The question that this ask makes, if somebody has made it and it goes on. */
static struct question *find_locked(struct keeper *k, const struct config_gate *gate,
                                    const char *ns, const char *selector)
{
    for (struct question *q = k->questions; q != NULL; q = q->next) {
        if (!q->dropped && question_is(q, gate, ns, selector)) {
            return q;
        }
    }
    return NULL;
}

static struct question *add_locked(struct keeper *k, struct question *q)
{
    struct question **at = &k->questions;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = q;
    start_locked(k);
    MUST(pthread_cond_signal(&k->work));
    return q;
}

/* Is it no use to wait for this cluster? Then one look at least goes on. */
static bool is_quiet_locked(struct keeper *k, const struct config_gate *gate,
                            const char *ns, const char *selector,
                            char why[GATE_DETAIL_MAX])
{
    const struct quiet *quiet = quiet_find(k->quiet, gate->cluster);
    if (quiet == NULL) {
        return false;
    }
    memcpy(why, quiet->why, GATE_DETAIL_MAX);
    for (const struct question *q = k->questions; q != NULL; q = q->next) {
        if (q->state != QUESTION_KNOWN && strcmp(q->cluster, gate->cluster) == 0) {
            return true;
        }
    }
    struct question *q = question_new(k->running, gate, ns, selector);
    q->wake = false;
    q->probe = true;
    add_locked(k, q);
    return true;
}

/* Hang it on its question. Returns whether the answer is known already. */
static bool hang(struct keeper *k, struct gate_ask *ask, const char *ns,
                 const char *selector, enum finding *finding,
                 char detail[GATE_DETAIL_MAX])
{
    const struct config_gate *gate = &ask->target->gate;
    MUST(pthread_mutex_lock(&k->mu));
    if (k->stopping) {
        MUST(pthread_mutex_unlock(&k->mu));
        *finding = FOUND_STOPPING;
        return true;
    }
    forget_locked(k, now_ms());
    if (is_quiet_locked(k, gate, ns, selector, detail)) {
        MUST(pthread_mutex_unlock(&k->mu));
        *finding = FOUND_UNREACHABLE;
        return true;
    }
    struct question *q = find_locked(k, gate, ns, selector);
    q = q != NULL ? q : add_locked(k, question_new(k->running, gate, ns, selector));
    bool known = q->state == QUESTION_KNOWN;
    if (known) {
        *finding = q->finding;
        memcpy(detail, q->detail, GATE_DETAIL_MAX);
    } else {
        q->probe = false;
        ask->state = ASK_HANGS;
        ask->own = q;
        ask->next = q->asks;
        q->asks = ask;
    }
    MUST(pthread_mutex_unlock(&k->mu));
    return known;
}

/* --- what lanes call --- */

/* Is it worth asking this cluster? */
static bool may_ask(struct keeper *k, const char *cluster, char *why, size_t why_len)
{
    struct cluster_view view;
    if (!cluster_set_find(k->set, cluster, &view)) {
        return true; /* who looks will see */
    }
    if (view.state != CLUSTER_UNREACHABLE && view.state != CLUSTER_TLS_ERROR &&
        view.state != CLUSTER_TIMEOUT && view.state != CLUSTER_UNAUTHORIZED) {
        return true;
    }
    cluster_set_doubt(k->set, cluster);
    snprintf(why, why_len, "%.*s", GATE_DETAIL_MAX - 1, view.why);
    return false;
}

static void ask(void *arg, struct gate_ask *ask)
{
    struct keeper *k = arg;
    struct err err = ERR_INIT;
    struct str ns;
    struct str selector;
    char detail[GATE_DETAIL_MAX] = "";
    enum finding finding = FOUND_UNKNOWN;
    bool known = true;
    ask->state = ASK_ENDS;
    ask->own = NULL;
    str_init(&ns);
    str_init(&selector);
    if (keeper_fill_namespace(&ask->target->gate, ask->event, &ns, &err) != 0 ||
        keeper_fill_selector(&ask->target->gate, ask->event, &selector, &err) != 0) {
        snprintf(detail, sizeof detail, "%.*s", GATE_DETAIL_MAX - 1, err.text);
    } else if (!may_ask(k, ask->target->gate.cluster, detail, sizeof detail)) {
        finding = FOUND_UNREACHABLE;
    } else {
        known = hang(k, ask, ns.data, selector.data, &finding, detail);
    }
    if (known) {
        answer(k, ask, finding, detail);
    }
    str_release(&ns);
    str_release(&selector);
}

static void unhang_locked(struct gate_ask *ask)
{
    struct question *q = ask->own;
    struct gate_ask **at = &q->asks;
    while (*at != ask) {
        at = &(*at)->next;
    }
    *at = ask->next;
    if (q->asks == NULL && !q->dropped) {
        q->dropped = true;
        ctx_cancel(q->ctx);
    }
}

static void recall(void *arg, struct gate_ask *ask)
{
    struct keeper *k = arg;
    MUST(pthread_mutex_lock(&k->mu));
    if (ask->state == ASK_HANGS) {
        unhang_locked(ask);
        ask->state = ASK_RECALLED;
        ask->next = k->recalled;
        k->recalled = ask;
        MUST(pthread_cond_signal(&k->endings));
        MUST(pthread_cond_signal(&k->work)); /* a question that waits goes, too */
    }
    MUST(pthread_mutex_unlock(&k->mu));
}

static void *end_recalled(void *arg)
{
    struct keeper *k = arg;
    MUST(pthread_mutex_lock(&k->mu));
    while (!k->stopping || k->recalled != NULL) {
        struct gate_ask *ask = k->recalled;
        if (ask == NULL) {
            cond_wait(&k->endings, &k->mu, NOW_FOREVER);
            continue;
        }
        k->recalled = ask->next;
        ask->state = ASK_ENDS;
        MUST(pthread_mutex_unlock(&k->mu));
        gate_answer(ask, GATE_HOLD, "recalled", "", 0);
        MUST(pthread_mutex_lock(&k->mu));
    }
    MUST(pthread_mutex_unlock(&k->mu));
    return NULL;
}

/* --- looking --- */

static void count_woken(struct keeper *k, const char *cluster, const struct waking *items,
                        size_t n)
{
    for (size_t i = 0; i < n && k->woken != NULL; i++) {
        metric_inc(
            metrics_series(k->woken, cluster, waking_end_word(items[i].end), NULL, NULL));
    }
}

/* Wake what sleeps of it. */
static enum finding wake(struct keeper *k, struct question *q, struct kube *kube,
                         const struct workloads *read)
{
    size_t n = 0;
    struct waking *items = mem_array(read->count + 1, sizeof items[0]);
    for (size_t i = 0; i < read->count; i++) {
        if (read->items[i].look.part == PART_ASLEEP) {
            items[n++].workload = &read->items[i];
        }
    }
    struct ctx *ctx = ctx_new(q->ctx, now_ms() + KEEPER_WAKE_MS);
    int rc = waking_run(kube, ctx, items, n);
    ctx_free(ctx);
    count_woken(k, q->cluster, items, n);
    size_t woken = 0;
    size_t failed = 0;
    for (size_t i = 0; i < n; i++) {
        woken += items[i].end == WAKING_WOKEN || items[i].end == WAKING_AWAKE;
        failed += items[i].end > WAKING_AWAKE;
        if (items[i].err.text[0] != '\0' && items[i].end > WAKING_AWAKE &&
            q->detail[0] == '\0') {
            snprintf(q->detail, sizeof q->detail, "%.*s", GATE_DETAIL_MAX - 1,
                     items[i].err.text);
        }
    }
    if (q->detail[0] == '\0') {
        snprintf(q->detail, sizeof q->detail, "woke %zu of %zu", woken, n);
    }
    if (k->woke != NULL) {
        k->woke(k->woke_arg,
                &(struct keeper_woke){q->cluster, q->ns, q->selector, items, n, rc});
    }
    free(items);
    if (rc == 0) {
        return FOUND_WOKEN;
    }
    return rc == -EAGAIN || failed == 0 ? FOUND_WAKING : FOUND_STUCK;
}

static void say(struct question *q, const struct workloads *read)
{
    struct str text;
    str_init(&text);
    hibernation_say(&read->judged, &text);
    if (read->rc != 0) {
        str_addf(&text, "; %s", read->err.text);
    }
    snprintf(q->detail, sizeof q->detail, "%.*s", GATE_DETAIL_MAX - 1, text.data);
    str_release(&text);
}

static enum finding look(struct keeper *k, struct question *q)
{
    struct err err = ERR_INIT;
    struct workloads read;
    struct kube *kube = cluster_set_take(k->set, q->cluster, &err);
    if (kube == NULL) {
        snprintf(q->detail, sizeof q->detail, "%.*s", GATE_DETAIL_MAX - 1, err.text);
        return FOUND_UNREACHABLE;
    }
    struct ctx *ctx = ctx_new(q->ctx, now_ms() + KEEPER_READ_MS);
    workloads_read(kube, ctx, q->ns, q->selector, q->kinds, q->kind_count, &read);
    ctx_free(ctx);
    enum finding finding = finding_of(&read);
    bool sure = finding == FOUND_ASLEEP || finding == FOUND_AWAKE;
    if (q->wake && sure && read.judged.asleep > 0) {
        finding = wake(k, q, kube, &read);
    } else {
        say(q, &read);
    }
    workloads_release(&read);
    if (finding == FOUND_UNREACHABLE) {
        q->unanswered = true;
        cluster_set_doubt(k->set, q->cluster);
    }
    cluster_set_give(k->set, kube);
    return finding;
}

/* --- the threads --- */

/* The lower, the sooner; -1: not now. Who waits comes before a probe, and a cluster that
 * has few threads before one that has more. */
static int rank_locked(const struct keeper *k, const struct question *q)
{
    int same = 0;
    int probes = 0;
    for (int i = 0; i < k->busy_count; i++) {
        same += strcmp(k->busy[i]->cluster, q->cluster) == 0;
        probes += k->busy[i]->probe;
    }
    if (q->probe) {
        return probes < KEEPER_PROBES ? KEEPER_PER_CLUSTER : -1;
    }
    return same < KEEPER_PER_CLUSTER ? same : -1;
}

/* One that nobody waits for and nobody works on. */
static void throw_away_locked(struct keeper *k, struct question *which)
{
    struct question **at = &k->questions;
    while (*at != which) {
        at = &(*at)->next;
    }
    *at = which->next;
    question_free(which);
}

/* The oldest of the lowest rank. */
static struct question *next_locked(struct keeper *k)
{
    struct question *best = NULL;
    int lowest = KEEPER_PER_CLUSTER + 1;
    for (struct question *q = k->questions; q != NULL && lowest > 0;) {
        struct question *next = q->next;
        int rank = q->state == QUESTION_WAITS ? rank_locked(k, q) : -1;
        if (q->state == QUESTION_WAITS && q->dropped) {
            throw_away_locked(k, q);
        } else if (rank >= 0 && rank < lowest) {
            best = q;
            lowest = rank;
        }
        q = next;
    }
    return best;
}

static void begin_locked(struct keeper *k, struct question *q)
{
    q->state = QUESTION_RUNS;
    k->busy[k->busy_count++] = q;
}

static void end_locked(struct keeper *k, const struct question *q)
{
    for (int i = 0; i < k->busy_count; i++) {
        if (k->busy[i] == q) {
            k->busy[i] = k->busy[--k->busy_count];
        }
    }
}

/* Its asks, which end now, before those of `rest`. */
static struct gate_ask *take_asks_locked(struct question *q, struct gate_ask *rest)
{
    while (q->asks != NULL) {
        struct gate_ask *ask = q->asks;
        q->asks = ask->next;
        ask->state = ASK_ENDS;
        ask->next = rest;
        rest = ask;
    }
    return rest;
}

/* What else waits for a look at this cluster need not. */
static struct gate_ask *give_up_locked(struct keeper *k, const char *cluster,
                                       struct gate_ask *asks)
{
    for (struct question *q = k->questions; q != NULL; q = q->next) {
        if (q->state == QUESTION_WAITS && strcmp(q->cluster, cluster) == 0) {
            asks = take_asks_locked(q, asks);
            q->dropped = true;
        }
    }
    return asks;
}

/* Give its asks away; a question that nobody waited for goes. */
static struct gate_ask *settle_locked(struct keeper *k, struct question *q,
                                      enum finding finding)
{
    struct gate_ask *asks = take_asks_locked(q, NULL);
    end_locked(k, q);
    q->finding = finding;
    q->known_ms = now_ms();
    q->state = QUESTION_KNOWN;
    if (q->unanswered) { /* the quiet says it from now on */
        quiet_add(&k->quiet, q->cluster, q->detail);
        q->dropped = true;
        asks = give_up_locked(k, q->cluster, asks);
    } else if (finding != FOUND_UNREACHABLE && !q->dropped) {
        quiet_remove(&k->quiet, q->cluster);
    }
    MUST(pthread_cond_broadcast(&k->work)); /* its cluster has a thread less */
    return asks;
}

static void *answer_questions(void *arg)
{
    struct keeper *k = arg;
    MUST(pthread_mutex_lock(&k->mu));
    while (!k->stopping) {
        struct question *q = next_locked(k);
        if (q == NULL) {
            cond_wait(&k->work, &k->mu, NOW_FOREVER);
            continue;
        }
        char detail[GATE_DETAIL_MAX];
        begin_locked(k, q);
        MUST(pthread_mutex_unlock(&k->mu));
        enum finding finding = look(k, q);
        memcpy(detail, q->detail, sizeof detail);
        MUST(pthread_mutex_lock(&k->mu));
        struct gate_ask *asks = settle_locked(k, q, finding);
        if (q->dropped) {
            throw_away_locked(k, q);
        }
        MUST(pthread_mutex_unlock(&k->mu));
        answer_all(k, asks, finding, detail);
        MUST(pthread_mutex_lock(&k->mu));
    }
    MUST(pthread_mutex_unlock(&k->mu));
    return NULL;
}

/* --- life --- */

static void count(struct keeper *k, struct metrics *metrics)
{
    static const char *const words[] =
        {[GATE_OPEN] = "open", [GATE_HOLD] = "hold", [GATE_SKIP] = "skip"};
    struct metric_family *answers =
        metrics_family(metrics, METRIC_COUNTER, "sluice_gate_answers_total", "answer",
                       "What gates said to units that asked", NULL, 0);
    for (int i = 0; i < 3; i++) {
        k->answers[i] = metrics_series(answers, words[i], NULL, NULL, NULL);
    }
    k->woken = metrics_family(metrics, METRIC_COUNTER, "sluice_woken_workloads_total",
                              "cluster,end",
                              "Workloads that a gate was to wake, by what became of them",
                              NULL, 0);
}

static void start_thread(pthread_t *thread, void *(*fn)(void *), void *arg)
{
    pthread_attr_t attr;
    MUST(pthread_attr_init(&attr));
    MUST(pthread_attr_setstacksize(&attr, KEEPER_STACK_BYTES));
    MUST(pthread_create(thread, &attr, fn, arg));
    MUST(pthread_attr_destroy(&attr));
}

static void start_locked(struct keeper *k)
{
    if (k->started) {
        return;
    }
    k->started = true;
    for (int i = 0; i < KEEPER_THREADS; i++) {
        start_thread(&k->threads[i], answer_questions, k);
    }
    start_thread(&k->ender, end_recalled, k);
}

struct keeper *keeper_start(struct cluster_set *set, int64_t good_ms,
                            struct metrics *metrics, keeper_woke_fn *woke, void *arg)
{
    struct keeper *k = mem_zalloc(sizeof *k);
    k->gate = (struct gate){.ask = ask, .recall = recall, .arg = k};
    k->set = set;
    k->good_ms = good_ms;
    k->woke = woke;
    k->woke_arg = arg;
    k->running = ctx_new(NULL, NOW_FOREVER);
    if (metrics != NULL) {
        count(k, metrics);
    }
    MUST(pthread_mutex_init(&k->mu, NULL));
    cond_init(&k->work);
    cond_init(&k->endings);
    return k;
}

const struct gate *keeper_gate(const struct keeper *k)
{
    return &k->gate;
}

void keeper_stop(struct keeper *k)
{
    ctx_cancel(k->running);
    MUST(pthread_mutex_lock(&k->mu));
    k->stopping = true;
    bool started = k->started;
    MUST(pthread_cond_broadcast(&k->work));
    MUST(pthread_cond_broadcast(&k->endings));
    MUST(pthread_mutex_unlock(&k->mu));
    for (int i = 0; started && i < KEEPER_THREADS; i++) {
        MUST(pthread_join(k->threads[i], NULL));
    }
    if (started) {
        MUST(pthread_join(k->ender, NULL));
    }
}

void keeper_free(struct keeper *k)
{
    if (k == NULL) {
        return;
    }
    while (k->questions != NULL) {
        ASSERT(k->questions->asks == NULL);
        throw_away_locked(k, k->questions);
    }
    quiet_free(k->quiet);
    ctx_free(k->running);
    MUST(pthread_cond_destroy(&k->work));
    MUST(pthread_cond_destroy(&k->endings));
    MUST(pthread_mutex_destroy(&k->mu));
    free(k);
}
