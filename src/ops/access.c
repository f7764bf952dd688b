/* Design. The policy is a value: made once, never changed, counted by whoever judges by
 * it, so that another one can be set meanwhile. Each has a number, and a kept answer is
 * good only together with the number it was made under; an answer that is late by one
 * policy is therefore never believed, and a new policy need not clear anything.
 *
 * What is kept stands in a table with one place for each hash; the later answer takes the
 * place. `mu` guards the present policy, the table and the counts; nothing is judged
 * under it: a part looks up all of its own first, judges the rest, and then keeps that.
 */
#include "ops/access.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum { HANDS_MAX = 4 }; /* threads that work at one ask */

struct subject {
    char *name;
    struct rule *rules; /* of all its roles */
    size_t rule_count;
};

struct policy {
    uint64_t number;
    struct subject *subjects;
    size_t subject_count;
    int owners; /* guarded by the access' mu */
};

struct kept {
    uint64_t policy; /* 0: nothing is kept here */
    char *subject;   /* these two in one piece */
    const char *resource;
    enum rule_action action;
    bool allowed;
};

struct access {
    access_judge_fn *judge; /* NULL: the rules */
    void *judge_arg;

    pthread_mutex_t mu;
    /* guarded by mu */
    struct policy *policy;
    struct kept *kept; /* ACCESS_KEPT_MAX places */
    struct access_counts counts;
};

/* --- the policy --- */

static void copy_rules(const struct config_role *role, struct subject *subject)
{
    size_t n = subject->rule_count + role->rule_count;
    subject->rules = mem_resize(subject->rules, n * sizeof subject->rules[0]);
    for (size_t i = 0; i < role->rule_count; i++) {
        struct rule *rule = &subject->rules[subject->rule_count++];
        rule->action = role->rules[i].action;
        rule->glob = mem_strdup(role->rules[i].glob);
    }
}

static struct policy *policy_new(const struct config *config, uint64_t number)
{
    struct policy *policy = mem_zalloc(sizeof *policy);
    size_t n = config ? config->access.token_count : 0;
    policy->number = number;
    policy->owners = 1;
    policy->subject_count = n;
    policy->subjects = mem_array(n, sizeof policy->subjects[0]);
    for (size_t i = 0; i < n; i++) {
        const struct config_token *token = &config->access.tokens[i];
        policy->subjects[i].name = mem_strdup(token->name);
        for (size_t k = 0; k < token->role_count; k++) {
            copy_rules(&config->access.roles[token->roles[k]], &policy->subjects[i]);
        }
    }
    return policy;
}

static void policy_free(struct policy *policy)
{
    for (size_t i = 0; i < policy->subject_count; i++) {
        struct subject *subject = &policy->subjects[i];
        for (size_t k = 0; k < subject->rule_count; k++) {
            rule_release(&subject->rules[k]);
        }
        free(subject->rules);
        free(subject->name);
    }
    free(policy->subjects);
    free(policy);
}

static struct policy *policy_take(struct access *access)
{
    MUST(pthread_mutex_lock(&access->mu));
    struct policy *policy = access->policy;
    policy->owners++;
    MUST(pthread_mutex_unlock(&access->mu));
    return policy;
}

static void policy_give(struct access *access, struct policy *policy)
{
    MUST(pthread_mutex_lock(&access->mu));
    bool last = --policy->owners == 0;
    MUST(pthread_mutex_unlock(&access->mu));
    if (last) {
        policy_free(policy);
    }
}

static const struct subject *find_subject(const struct policy *policy, const char *name)
{
    for (size_t i = 0; i < policy->subject_count; i++) {
        if (strcmp(policy->subjects[i].name, name) == 0) {
            return &policy->subjects[i];
        }
    }
    return NULL;
}

/* --- judging one --- */

static bool is_name(const char *resource)
{
    size_t len = resource ? strnlen(resource, ACCESS_RESOURCE_MAX + 1) : 0;
    if (len == 0 || len > ACCESS_RESOURCE_MAX || !text_is_utf8(resource, len)) {
        return false;
    }
    for (const char *c = resource; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f) {
            return false;
        }
    }
    return true;
}

static int judge_by_rules(const struct policy *policy, const struct access_ask *ask,
                          const char *resource)
{
    const struct subject *subject = find_subject(policy, ask->subject);
    if (!subject) {
        return -ENOENT;
    }
    for (size_t i = 0; i < subject->rule_count; i++) {
        if (rule_allows(&subject->rules[i], ask->action, resource)) {
            return 1;
        }
    }
    return 0;
}

static struct access_result result_of(int rc)
{
    return rc < 0   ? (struct access_result){ACCESS_ERROR, rc}
           : rc > 0 ? (struct access_result){ACCESS_ALLOWED, 0}
                    : (struct access_result){ACCESS_DENIED, 0};
}

/* --- what is kept --- */

static struct kept *place_of(struct access *access, const struct access_ask *ask,
                             const char *resource)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    const char *const texts[] = {ask->subject, resource};
    for (size_t i = 0; i < 2; i++) {
        for (const char *c = texts[i]; *c; c++) {
            hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
        }
        hash = (hash ^ (unsigned)ask->action) * UINT64_C(1099511628211);
    }
    return &access->kept[hash % ACCESS_KEPT_MAX];
}

static bool recall_locked(struct access *access, uint64_t policy,
                          const struct access_ask *ask, size_t i)
{
    const struct kept *kept = place_of(access, ask, ask->resources[i]);
    bool there = kept->policy == policy && kept->action == ask->action &&
                 strcmp(kept->subject, ask->subject) == 0 &&
                 strcmp(kept->resource, ask->resources[i]) == 0;
    if (there) {
        ask->results[i] = result_of(kept->allowed);
    }
    return there;
}

static void keep_locked(struct access *access, uint64_t policy,
                        const struct access_ask *ask, size_t i)
{
    struct kept *kept = place_of(access, ask, ask->resources[i]);
    size_t subject_len = strlen(ask->subject) + 1;
    size_t resource_len = strlen(ask->resources[i]) + 1;
    free(kept->subject);
    kept->subject = mem_alloc(subject_len + resource_len);
    memcpy(kept->subject, ask->subject, subject_len);
    memcpy(kept->subject + subject_len, ask->resources[i], resource_len);
    kept->resource = kept->subject + subject_len;
    kept->policy = policy;
    kept->action = ask->action;
    kept->allowed = ask->results[i].answer == ACCESS_ALLOWED;
}

/* --- a part --- */

/* One ask under way, for all hands that work at it. */
struct asking {
    struct access *access;
    struct ctx *ctx;
    struct policy *policy;
    const struct access_ask *ask;
    atomic_size_t next; /* part that nobody has taken */
};

struct part {
    const struct asking *of;
    size_t from; /* of the resources, up to */
    size_t to;
};

enum { OPEN = 1 }; /* in place of an rc: this one is still to be judged */

static void recall(const struct part *part)
{
    struct access *access = part->of->access;
    const struct access_ask *ask = part->of->ask;
    uint64_t kept = 0;
    MUST(pthread_mutex_lock(&access->mu));
    for (size_t i = part->from; i < part->to; i++) {
        bool good = is_name(ask->resources[i]);
        if (!good) {
            ask->results[i] = result_of(-EINVAL);
        } else if (recall_locked(access, part->of->policy->number, ask, i)) {
            kept++;
        } else {
            ask->results[i] = (struct access_result){ACCESS_ERROR, OPEN};
        }
    }
    access->counts.kept += kept;
    MUST(pthread_mutex_unlock(&access->mu));
}

static int judge(const struct asking *asking, const char *resource)
{
    const struct access *access = asking->access;
    const struct access_ask *ask = asking->ask;
    int rc = asking->ctx ? ctx_err(asking->ctx) : 0;
    if (rc) {
        return rc;
    }
    return access->judge
               ? access->judge(access->judge_arg, ask->subject, ask->action, resource)
               : judge_by_rules(asking->policy, ask, resource);
}

static void keep(const struct part *part, size_t judged)
{
    struct access *access = part->of->access;
    const struct access_ask *ask = part->of->ask;
    MUST(pthread_mutex_lock(&access->mu));
    access->counts.judged += judged;
    for (size_t i = part->from; i < part->to; i++) {
        if (ask->results[i].answer != ACCESS_ERROR) {
            keep_locked(access, part->of->policy->number, ask, i);
        }
    }
    MUST(pthread_mutex_unlock(&access->mu));
}

static void run_part(const struct part *part)
{
    const struct access_ask *ask = part->of->ask;
    size_t judged = 0;
    recall(part);
    for (size_t i = part->from; i < part->to; i++) {
        if (ask->results[i].rc == OPEN) {
            ask->results[i] = result_of(judge(part->of, ask->resources[i]));
            judged++;
        }
    }
    if (judged > 0) {
        keep(part, judged);
    }
}

/* --- asking --- */

/* Part after part, until none is left. */
static void *run_hand(void *arg)
{
    struct asking *asking = arg;
    const struct access_ask *ask = asking->ask;
    size_t i = atomic_fetch_add(&asking->next, 1);
    while (i < ask->parts) {
        const struct part part = {.of = asking,
                                  .from = i * ask->count / ask->parts,
                                  .to = (i + 1) * ask->count / ask->parts};
        if (part.from < part.to) {
            run_part(&part);
        }
        i = atomic_fetch_add(&asking->next, 1);
    }
    return NULL;
}

/* This thread is one of the hands; without the others it does all of it. */
static void run_hands(struct asking *asking)
{
    pthread_t others[HANDS_MAX - 1];
    const struct access_ask *ask = asking->ask;
    size_t busy = ask->parts < ask->count ? ask->parts : ask->count; /* parts with any */
    size_t n = 0;
    while (n < HANDS_MAX - 1 && n + 1 < busy &&
           pthread_create(&others[n], NULL, run_hand, asking) == 0) {
        n++;
    }
    run_hand(asking);
    for (size_t i = 0; i < n; i++) {
        MUST(pthread_join(others[i], NULL));
    }
}

int access_ask_batch(struct access *access, struct ctx *ctx, const struct access_ask *ask)
{
    if (ask->parts < 1 || ask->parts > ACCESS_PARTS_MAX) {
        for (size_t i = 0; i < ask->count; i++) {
            ask->results[i] = result_of(-EINVAL);
        }
        return -EINVAL;
    }
    struct asking asking = {.access = access,
                            .ctx = ctx,
                            .policy = policy_take(access),
                            .ask = ask};
    atomic_init(&asking.next, 0);
    run_hands(&asking);
    policy_give(access, asking.policy);
    return 0;
}

struct access_result access_ask_one(struct access *access, const char *subject,
                                    enum rule_action action, const char *resource)
{
    struct access_result result;
    const struct access_ask ask = {.subject = subject,
                                   .action = action,
                                   .resources = &resource,
                                   .count = 1,
                                   .parts = 1,
                                   .results = &result};
    int rc = access_ask_batch(access, NULL, &ask);
    ASSERT(rc == 0);
    return result;
}

bool access_may_any(struct access *access, const char *subject, enum rule_action action)
{
    struct policy *policy = policy_take(access);
    const struct subject *its = find_subject(policy, subject);
    bool may = false;
    for (size_t i = 0; its && i < its->rule_count && !may; i++) {
        may = its->rules[i].action == action || its->rules[i].action == RULE_ACTIONS;
    }
    policy_give(access, policy);
    return may;
}

/* --- the whole --- */

struct access *access_new(void)
{
    struct access *access = mem_zalloc(sizeof *access);
    MUST(pthread_mutex_init(&access->mu, NULL));
    access->policy = policy_new(NULL, 1);
    access->kept = mem_array(ACCESS_KEPT_MAX, sizeof access->kept[0]);
    return access;
}

void access_free(struct access *access)
{
    if (!access) {
        return;
    }
    for (size_t i = 0; i < ACCESS_KEPT_MAX; i++) {
        free(access->kept[i].subject);
    }
    free(access->kept);
    policy_free(access->policy);
    MUST(pthread_mutex_destroy(&access->mu));
    free(access);
}

void access_set(struct access *access, const struct config *config)
{
    struct policy *next = policy_new(config, 0);
    MUST(pthread_mutex_lock(&access->mu));
    struct policy *before = access->policy;
    next->number = before->number + 1;
    access->policy = next;
    MUST(pthread_mutex_unlock(&access->mu));
    policy_give(access, before);
}

void access_set_judge(struct access *access, access_judge_fn *judge_, void *arg)
{
    access->judge = judge_;
    access->judge_arg = arg;
}

void access_counts(struct access *access, struct access_counts *counts)
{
    MUST(pthread_mutex_lock(&access->mu));
    *counts = access->counts;
    MUST(pthread_mutex_unlock(&access->mu));
}
