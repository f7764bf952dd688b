/* The clusters of the configuration, opened, watched, and lent to whoever asks them
 * something.
 *
 * A reload opens, closes and replaces what has changed (also a kubeconfig whose file is
 * another one now); who has borrowed a cluster keeps it until it gives it back. One whose
 * credentials cannot be read keeps nobody from starting: it is unknown, says why, and is
 * tried again with each sweep. Nothing runs before there is a cluster. Any thread. */
#ifndef CONSUMER_CLUSTER_SET_H
#define CONSUMER_CLUSTER_SET_H

#include "base/metrics.h"
#include "fleet/config.h"
#include "kube/clusters.h"

enum {
    CLUSTER_SET_CALLS = 280, /* running at a time: the widest sweep, and the LISTs of a
                                keeper's threads; fleet/memory counts them */
    CLUSTER_SET_SHOWN_MAX = 64,
};

struct cluster_set;

/* metrics  borrowed until cluster_set_free; NULL: none.
 * watched  begin to sweep; false: for a command that asks once. */
struct cluster_set *cluster_set_new(struct metrics *metrics, bool watched);

/* All have been given back. NULL is allowed. */
void cluster_set_free(struct cluster_set *set);

/* These are the clusters from now on. The caller's thread reads their files. */
void cluster_set_config(struct cluster_set *set, const struct config *config);

/* Borrow one by name, until cluster_set_give. NULL with a sentence: there is none, it is
 * virtual, or its credentials cannot be read. */
struct kube *cluster_set_take(struct cluster_set *set, const char *name, struct err *err);
void cluster_set_give(struct cluster_set *set, struct kube *kube);

/* What is known of one; false: not configured. A set that is not watched knows none. */
bool cluster_set_find(struct cluster_set *set, const char *name,
                      struct cluster_view *view);
/* A copy of all; views: returns owned. Returns how many. */
size_t cluster_set_read(struct cluster_set *set, struct cluster_view **views);
/* One was found that does not answer: sweep soon, unless that was just done. */
void cluster_set_doubt(struct cluster_set *set, const char *name);

/* When the last sweep began; 0: none yet. */
int64_t cluster_set_swept_wall_ms(struct cluster_set *set);
int64_t cluster_set_took_ms(const struct cluster_set *set); /* it, or the one before */

/* Sweep once, now, and wait for it: for a set that is not watched.
 * timeout  of each. views  out: returns owned (free), in the configuration's order.
 * Returns how many. */
size_t cluster_set_sweep(struct cluster_set *set, struct ctx *ctx, int64_t timeout_ms,
                         struct cluster_view **views);

bool cluster_state_is_good(enum cluster_state state); /* connected or virtual */

/* An array of what is known, those that are not well first, at most
 * CLUSTER_SET_SHOWN_MAX, as heartbeats carry it; owned. NULL: no cluster. */
struct json_object *cluster_set_json(void *set);

#endif
