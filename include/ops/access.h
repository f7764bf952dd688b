/* Who may do what, asked for many resources in one go.
 *
 * A subject is a token's name; what it may do are the rules of its roles. A list of M
 * resources is asked in B parts, a few at a time, part i being [i*M/B, (i+1)*M/B): every
 * one is judged once, for any M and B, and its answer stands at its own place. What could
 * not be judged is an error, never a denial. Answers are kept, bounded, until the policy
 * is another. Any thread, except free. */
#ifndef OPS_ACCESS_H
#define OPS_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fleet/config.h"
#include "fleet/rule.h"
#include "sync/ctx.h"

enum {
    ACCESS_PARTS_MAX = 64,
    ACCESS_RESOURCE_MAX = 1100, /* bytes: a path's longest name, and its kind */
    ACCESS_KEPT_MAX = 2048,     /* answers */
};

enum access_answer { ACCESS_DENIED, ACCESS_ALLOWED, ACCESS_ERROR };

struct access_result {
    enum access_answer answer;
    int rc; /* with ACCESS_ERROR: -EINVAL no name of a resource, -ENOENT no such subject,
               -ECANCELED, -ETIMEDOUT, or what a judge says; else 0 */
};

struct access_ask {
    const char *subject;
    enum rule_action action;
    const char *const *resources;
    size_t count;                  /* M */
    size_t parts;                  /* B: 1 to ACCESS_PARTS_MAX */
    struct access_result *results; /* out: one for each resource, in their order */
};

struct access;

/* Nobody may do anything, until access_set. */
struct access *access_new(void);
void access_free(struct access *access); /* NULL is allowed */

/* The rules of this configuration from the next ask on; no answer of before counts. What
 * is needed of it is copied. */
void access_set(struct access *access, const struct config *config);

/* Judge in place of the rules: returns 1 (allowed), 0 (denied) or a negative errno. Any
 * thread, several at a time. Before the first ask. */
typedef int access_judge_fn(void *arg, const char *subject, enum rule_action action,
                            const char *resource);
void access_set_judge(struct access *access, access_judge_fn *judge, void *arg);

/* ctx  NULL: none. When it ends, what was not judged by then says so.
 * Returns 0, whatever the answers; or -EINVAL when parts is out of bounds, and then every
 * result is that error. */
int access_ask_batch(struct access *access, struct ctx *ctx,
                     const struct access_ask *ask);

/* One alone. */
struct access_result access_ask_one(struct access *access, const char *subject,
                                    enum rule_action action, const char *resource);

/* Is there any resource on which it may? For what a page offers. */
bool access_may_any(struct access *access, const char *subject, enum rule_action action);

struct access_counts {
    uint64_t judged; /* by the rules or the judge, */
    uint64_t kept;   /* and out of what was kept */
};
void access_counts(struct access *access, struct access_counts *counts);

#endif
