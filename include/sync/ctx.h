/* Go's context: one bit that turns on once, by a call or by a deadline, inherited by
 * children.
 *
 * Deadlines are absolute (monotonic ms), so loops need no recomputing and delays do not
 * add up. Any thread, except that ctx_free comes after all uses and all children. */
#ifndef SYNC_CTX_H
#define SYNC_CTX_H

#include <stdint.h>

struct ctx;

/* parent       NULL for a root; at most 16 generations.
 * deadline_ms  NOW_FOREVER for none; a parent's earlier one wins. */
struct ctx *ctx_new(struct ctx *parent, int64_t deadline_ms);
void ctx_free(struct ctx *ctx); /* NULL allowed; no child may be alive */

/* End this context and all descendants, wake their sleepers, call their watches. Again:
 * no effect. */
void ctx_cancel(struct ctx *ctx);

/* Bring the deadline nearer, never further, for descendants as well. Sleepers notice; no
 * watch is called, so who waits by ctx_deadline_ms may have read it before. */
void ctx_set_deadline(struct ctx *ctx, int64_t deadline_ms);

/* 0, -ECANCELED or -ETIMEDOUT, whichever came first. Takes no lock. */
int ctx_err(const struct ctx *ctx);

int64_t ctx_deadline_ms(const struct ctx *ctx); /* NOW_FOREVER when there is none */

/* Wait until `until_ms` or until the context ends.
 * Returns 0 when the time came, else as ctx_err. */
int ctx_sleep(struct ctx *ctx, int64_t until_ms) __attribute__((warn_unused_result));

/* Be told of the end: fn runs once, on the cancelling thread, under ctx's lock (it may
 * only set flags and signal); at once when already cancelled. A deadline that passes
 * calls nobody: waiters use ctx_deadline_ms. Embed the watch; after ctx_unwatch returns
 * fn is not running and will not run. */
struct ctx_watch {
    void (*fn)(void *arg);
    void *arg;
    struct ctx_watch *prev;
    struct ctx_watch *next;
};
void ctx_watch(struct ctx *ctx, struct ctx_watch *watch, void (*fn)(void *arg),
               void *arg);
void ctx_unwatch(struct ctx *ctx, struct ctx_watch *watch);

#endif
