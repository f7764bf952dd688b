#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/now.h"
#include "ops/access.h"

enum { M_MAX = 64, B_MAX = 64 };

/* --- a policy by hand --- */

static struct rule rules[] = {{RULE_READ, (char *)"apps/payments-*"},
                              {RULE_READ, (char *)"fleet"},
                              {RULE_PAUSE, (char *)"targets/*"},
                              {RULE_ACTIONS, (char *)"*"}};
static struct config_role roles[] = {{(char *)"payments", rules, 2},
                                     {(char *)"pauser", rules + 2, 1},
                                     {(char *)"admin", rules + 3, 1}};
static int of_ann[] = {0, 1};
static int of_root[] = {2};
static struct config_token tokens[] = {{(char *)"ann", NULL, of_ann, 2},
                                       {(char *)"root", NULL, of_root, 1}};

/* The first `n` of the tokens. */
static void set(struct access *access, size_t n)
{
    const struct config config = {
        .access = {.roles = roles, .role_count = 3, .tokens = tokens, .token_count = n}};
    access_set(access, &config);
}

static struct access *made(void)
{
    struct access *access = access_new();
    set(access, 2);
    return access;
}

/* --- every one of them, for any M and B --- */

static struct {
    atomic_int asked[M_MAX];
} seen;

static const char *names[M_MAX];

/* "apps/17": every third is allowed, every seventh cannot be judged. */
static int judge(void *arg, const char *subject, enum rule_action action,
                 const char *resource)
{
    (void)arg;
    int i = (int)strtol(strchr(resource, '/') + 1, NULL, 10);
    assert_string_equal(subject, "ann");
    assert_int_equal(action, RULE_READ);
    atomic_fetch_add(&seen.asked[i], 1);
    return i % 7 == 0 ? -EIO : i % 3 == 0;
}

static void name_all(void)
{
    for (int i = 0; i < M_MAX; i++) {
        static char texts[M_MAX][24];
        snprintf(texts[i], sizeof texts[i], "apps/%d", i);
        names[i] = texts[i];
    }
}

static void assert_split(size_t m, size_t b)
{
    struct access_result results[M_MAX];
    struct access *access = access_new(); /* nothing kept from before */
    memset(&seen, 0, sizeof seen);
    memset(results, 0x5a, sizeof results);
    access_set_judge(access, judge, NULL);
    const struct access_ask ask = {.subject = "ann",
                                   .action = RULE_READ,
                                   .resources = names,
                                   .count = m,
                                   .parts = b,
                                   .results = results};
    assert_int_equal(access_ask_batch(access, NULL, &ask), 0);
    for (size_t i = 0; i < m; i++) {
        enum access_answer expected = i % 7 == 0   ? ACCESS_ERROR
                                      : i % 3 == 0 ? ACCESS_ALLOWED
                                                   : ACCESS_DENIED;
        if (atomic_load(&seen.asked[i]) != 1 || results[i].answer != expected ||
            results[i].rc != (expected == ACCESS_ERROR ? -EIO : 0)) {
            fail_msg("M %zu, B %zu: item %zu judged %d times, answer %d, rc %d", m, b, i,
                     atomic_load(&seen.asked[i]), results[i].answer, results[i].rc);
        }
    }
    for (size_t i = m; i < M_MAX; i++) {
        assert_int_equal(atomic_load(&seen.asked[i]), 0);
        assert_int_equal(results[i].rc, 0x5a5a5a5a); /* nothing is written behind it */
    }
    access_free(access);
}

static void access__every_item_is_judged_once_for_any_m_and_b(void **state)
{
    (void)state;
    name_all();
    for (size_t m = 0; m <= M_MAX; m++) {
        for (size_t b = 1; b <= B_MAX; b++) {
            assert_split(m, b);
        }
    }
}

static void access__no_parts_or_too_many_are_refused(void **state)
{
    (void)state;
    static const size_t wrong[] = {0, B_MAX + 1, SIZE_MAX};
    struct access *access = made();
    name_all();
    for (size_t i = 0; i < 3; i++) {
        struct access_result results[2] = {{ACCESS_ALLOWED, 0}, {ACCESS_ALLOWED, 0}};
        const struct access_ask ask = {.subject = "root",
                                       .action = RULE_READ,
                                       .resources = names,
                                       .count = 2,
                                       .parts = wrong[i],
                                       .results = results};
        assert_int_equal(access_ask_batch(access, NULL, &ask), -EINVAL);
        for (size_t k = 0; k < 2; k++) {
            assert_int_equal(results[k].answer, ACCESS_ERROR);
            assert_int_equal(results[k].rc, -EINVAL);
        }
    }
    access_free(access);
}

/* --- the rules --- */

static void assert_answer(struct access *access, const char *subject,
                          enum rule_action action, const char *resource,
                          enum access_answer answer, int rc)
{
    for (int again = 0; again < 2; again++) { /* judged, then kept */
        struct access_result result = access_ask_one(access, subject, action, resource);
        if (result.answer != answer || result.rc != rc) {
            fail_msg("%s %s %s: answer %d, rc %d", subject, rule_action_name(action),
                     resource ? resource : "NULL", result.answer, result.rc);
        }
    }
}

static void access__a_subject_may_what_any_of_its_roles_allows(void **state)
{
    (void)state;
    struct access *access = made();
    assert_answer(access, "ann", RULE_READ, "apps/payments-api", ACCESS_ALLOWED, 0);
    assert_answer(access, "ann", RULE_READ, "apps/billing", ACCESS_DENIED, 0);
    assert_answer(access, "ann", RULE_PAUSE, "targets/argocd", ACCESS_ALLOWED, 0);
    assert_answer(access, "ann", RULE_RESUME, "targets/argocd", ACCESS_DENIED, 0);
    assert_answer(access, "root", RULE_RESUME, "targets/argocd", ACCESS_ALLOWED, 0);
    assert_true(access_may_any(access, "ann", RULE_PAUSE));
    assert_false(access_may_any(access, "ann", RULE_DRAIN));
    assert_true(access_may_any(access, "root", RULE_DRAIN));
    assert_false(access_may_any(access, "nobody", RULE_READ));
    access_free(access);
}

static void access__what_cannot_be_judged_is_an_error_not_a_denial(void **state)
{
    (void)state;
    char longest[ACCESS_RESOURCE_MAX + 2];
    struct access *access = made();
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_answer(access, "root", RULE_READ, longest + 1, ACCESS_ALLOWED, 0);
    assert_answer(access, "root", RULE_READ, longest, ACCESS_ERROR, -EINVAL);
    assert_answer(access, "root", RULE_READ, "", ACCESS_ERROR, -EINVAL);
    assert_answer(access, "root", RULE_READ, NULL, ACCESS_ERROR, -EINVAL);
    assert_answer(access, "root", RULE_READ, "apps/a\nb", ACCESS_ERROR, -EINVAL);
    assert_answer(access, "root", RULE_READ, "apps/\xff", ACCESS_ERROR, -EINVAL);
    assert_answer(access, "nobody", RULE_READ, "apps/a", ACCESS_ERROR, -ENOENT);
    access_free(access);
}

static void access__nobody_may_anything_before_there_are_rules(void **state)
{
    (void)state;
    struct access *access = access_new();
    assert_answer(access, "root", RULE_READ, "fleet", ACCESS_ERROR, -ENOENT);
    access_free(access);
}

static void access__an_ask_that_is_cancelled_says_so(void **state)
{
    (void)state;
    struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
    struct access *access = made();
    struct access_result results[2];
    const char *const resources[] = {"fleet", "stream"};
    const struct access_ask ask = {.subject = "root",
                                   .action = RULE_READ,
                                   .resources = resources,
                                   .count = 2,
                                   .parts = 2,
                                   .results = results};
    ctx_cancel(ctx);
    assert_int_equal(access_ask_batch(access, ctx, &ask), 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(results[i].answer, ACCESS_ERROR);
        assert_int_equal(results[i].rc, -ECANCELED);
    }
    assert_int_equal(access_ask_batch(access, NULL, &ask), 0); /* nothing of it stays */
    assert_int_equal(results[1].answer, ACCESS_ALLOWED);
    access_free(access);
    ctx_free(ctx);
}

/* --- what is kept --- */

static struct access_counts counts_of(struct access *access)
{
    struct access_counts counts;
    access_counts(access, &counts);
    return counts;
}

static void access__answers_are_kept_until_the_policy_is_another(void **state)
{
    (void)state;
    struct access *access = made();
    access_ask_one(access, "root", RULE_READ, "fleet");
    access_ask_one(access, "root", RULE_READ, "fleet");
    assert_int_equal(counts_of(access).judged, 1);
    assert_int_equal(counts_of(access).kept, 1);
    access_ask_one(access, "ann", RULE_READ, "fleet");   /* another subject, */
    access_ask_one(access, "root", RULE_PAUSE, "fleet"); /* another action */
    assert_int_equal(counts_of(access).judged, 3);
    set(access, 2);
    access_ask_one(access, "root", RULE_READ, "fleet");
    assert_int_equal(counts_of(access).judged, 4);
    set(access, 1); /* root is gone: what it might do is kept under an old number */
    assert_answer(access, "root", RULE_READ, "fleet", ACCESS_ERROR, -ENOENT);
    access_free(access);
}

static void access__errors_are_not_kept(void **state)
{
    (void)state;
    struct access *access = made();
    assert_answer(access, "nobody", RULE_READ, "fleet", ACCESS_ERROR, -ENOENT);
    assert_int_equal(counts_of(access).judged, 2);
    assert_int_equal(counts_of(access).kept, 0);
    access_free(access);
}

/* In the middle of an ask the policy changes: what was judged by the old one is not
 * believed later. */
static int judge_and_change(void *arg, const char *subject, enum rule_action action,
                            const char *resource)
{
    (void)subject;
    (void)action;
    (void)resource;
    set(arg, 2);
    return 1;
}

static void access__an_answer_that_is_late_by_one_policy_is_not_believed(void **state)
{
    (void)state;
    struct access *access = made();
    access_set_judge(access, judge_and_change, access);
    assert_int_equal(access_ask_one(access, "ann", RULE_READ, "x").answer,
                     ACCESS_ALLOWED);
    access_ask_one(access, "ann", RULE_READ, "x");
    assert_int_equal(counts_of(access).judged, 2);
    assert_int_equal(counts_of(access).kept, 0);
    access_free(access);
}

/* Many more names than places: each answer is still its own. */
static void access__names_that_share_a_place_do_not_share_an_answer(void **state)
{
    (void)state;
    struct access *access = made();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3 * ACCESS_KEPT_MAX; i++) {
            char name[32];
            snprintf(name, sizeof name, "apps/%s%d", i % 2 ? "payments-" : "x", i);
            assert_int_equal(access_ask_one(access, "ann", RULE_READ, name).answer,
                             i % 2 ? ACCESS_ALLOWED : ACCESS_DENIED);
        }
    }
    access_free(access);
}

/* --- side by side --- */

static struct access *shared;
static atomic_bool over;

static void *reload_again_and_again(void *arg)
{
    (void)arg;
    while (!atomic_load(&over)) {
        set(shared, 2);
    }
    return NULL;
}

static void access__asks_and_reloads_go_side_by_side(void **state)
{
    (void)state;
    static const char *const resources[] = {"apps/payments-1", "apps/x", "fleet",
                                            "stream"};
    pthread_t thread;
    shared = made();
    atomic_store(&over, false);
    assert_int_equal(pthread_create(&thread, NULL, reload_again_and_again, NULL), 0);
    for (int i = 0; i < 300; i++) {
        struct access_result results[4];
        const struct access_ask ask = {.subject = "ann",
                                       .action = RULE_READ,
                                       .resources = resources,
                                       .count = 4,
                                       .parts = 3,
                                       .results = results};
        assert_int_equal(access_ask_batch(shared, NULL, &ask), 0);
        for (int k = 0; k < 4; k++) {
            assert_int_equal(results[k].answer,
                             k % 2 == 0 ? ACCESS_ALLOWED : ACCESS_DENIED);
        }
    }
    atomic_store(&over, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    access_free(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
