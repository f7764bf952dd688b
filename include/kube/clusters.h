/* Which clusters answer, looked at again and again by one thread: a sweep of all of them
 * every so often, one that never begins before the last has ended, and one at once when
 * they change or somebody found one that does not answer.
 *
 * States are kept by name. A cluster that is replaced by another of its name begins as
 * unknown. Any thread. */
#ifndef KUBE_CLUSTERS_H
#define KUBE_CLUSTERS_H

#include "kube/sweep.h"

struct clusters;

struct clusters_options {
    int64_t every_ms;   /* from the start of a sweep to the start of the next */
    int64_t timeout_ms; /* of one probe */
    size_t width;       /* at least 1 */
    /* All on the sweeping thread, after a sweep that was not cut off, never with a lock
     * held; each may be NULL. changed: once for each cluster whose state is another than
     * after the sweep before. swept: once. */
    void (*changed)(void *arg, const struct cluster_view *before,
                    const struct cluster_view *now);
    void (*swept)(void *arg, int64_t took_ms);
    /* No sweep looks at a probe's kube any more. The sweeping thread, or who calls
     * clusters_stop. */
    void (*released)(void *arg, struct kube *kube);
    void *arg;
};

/* Nothing is asked before the first clusters_set. */
struct clusters *clusters_start(const struct clusters_options *options);

/* These are the clusters from now on; a sweep that runs is cut off, and one begins at
 * once. Copies names and words; borrows each kube until `released`, which is called for
 * each that is not NULL, as often as it was given. */
void clusters_set(struct clusters *clusters, const struct cluster_probe *probes, size_t n,
                  int64_t every_ms, int64_t timeout_ms, size_t width);

/* Sweep soon, for somebody found that one does not answer. One that runs is enough. */
void clusters_look(struct clusters *clusters);

/* A copy of what is known of all, in the order they were given.
 * views  out: returns owned (free); NULL for none. Returns how many. */
size_t clusters_read(struct clusters *clusters, struct cluster_view **views);

/* What is known of one; false: there is none of that name. */
bool clusters_find(struct clusters *clusters, const char *name,
                   struct cluster_view *view);

/* When the last sweep that was not cut off began; 0: none yet. */
int64_t clusters_swept_wall_ms(struct clusters *clusters);

/* Cuts off what runs. NULL is allowed. */
void clusters_stop(struct clusters *clusters);

#endif
