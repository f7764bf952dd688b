/* The talk's loop as a function: start n items, at most `width` at a time, wait for all.
 *
 * Results are by index in the caller's array, one slot per item, never a shared error. */
#ifndef SYNC_BATCH_H
#define SYNC_BATCH_H

#include <stddef.h>

#include "sync/ctx.h"

struct batch;

enum { BATCH_NOT_STARTED = -11 }; /* -EAGAIN: the context ended before the item's turn */

/* Start item i. Runs on the thread that called batch_run and must not block. It must lead
 * to exactly one batch_done(batch, i, rc), at once or later, from any thread. */
typedef void batch_start_fn(void *arg, struct batch *batch, size_t i);

void batch_done(struct batch *batch, size_t i, int rc);

/* Run n items at most width at a time: a window, not blocks, so a slow item delays nobody
 * else.
 *
 * ctx      when it ends no further item is started; those that run are waited for, they
 *          must look at the context themselves.
 * width    at least 1.
 * results  n slots: what batch_done was given (not INT_MIN), or BATCH_NOT_STARTED.
 * Returns 0 when all items ended with 0, -EINVAL for width 0, else the first non-zero
 * result by index. Any thread. */
int batch_run(struct ctx *ctx, size_t n, size_t width, batch_start_fn *start, void *arg,
              int *results) __attribute__((warn_unused_result));

#endif
