/* Do the clusters answer? All of them asked once, at most `width` at a time, each with a
 * deadline of its own, so that one that hangs delays nobody: n clusters take at most
 * timeout x n / width, rounded up.
 *
 * The question is GET /livez, whose answer is "ok" and nothing else; an API server that
 * does not know it is asked for /healthz. Virtual clusters are not dialled. Results are
 * by index in the caller's array. Any thread; blocks.
 *
 * Source: kubernetes.io/docs, "Kubernetes API health endpoints" (livez since 1.16;
 * healthz deprecated since then; ?verbose tells failing checks by "[-]"). */
#ifndef KUBE_SWEEP_H
#define KUBE_SWEEP_H

#include <stddef.h>
#include <stdint.h>

#include "kube/client.h"
#include "sync/ctx.h"
#include "wire/json.h"

enum { CLUSTER_WHY_MAX = 240 };

enum cluster_state {
    CLUSTER_UNKNOWN, /* not asked yet, or it cannot be: its credentials are unreadable */
    CLUSTER_CONNECTED,
    CLUSTER_UNAUTHORIZED, /* 401: it does not know us */
    CLUSTER_FORBIDDEN,    /* 403: it does, and we may not */
    CLUSTER_UNREACHABLE,
    CLUSTER_TLS_ERROR,
    CLUSTER_TIMEOUT,
    CLUSTER_UNHEALTHY, /* it answers something else */
    CLUSTER_VIRTUAL,   /* nobody dials it */
    CLUSTER_STATES,
};

/* One cluster to ask: strings and kube are borrowed for the call. */
struct cluster_probe {
    const char *name;
    struct kube *kube; /* NULL: a virtual one, or one with `why` */
    const char *why;   /* what keeps it from being asked; NULL: it is virtual */
};

struct cluster_view {
    char name[KUBE_CLUSTER_NAME_MAX];
    enum cluster_state state;
    int64_t checked_wall_ms; /* when it was asked last; 0: never */
    int64_t ok_wall_ms;      /* when it was connected last; 0: never */
    int64_t took_ms;
    char why[CLUSTER_WHY_MAX]; /* a sentence unless connected or virtual */
};

/* What one answer says. text: the body, may be NULL.
 * why  out: cut to the buffer, "" when connected. */
enum cluster_state cluster_state_of(const struct kube_call *call, char *why,
                                    size_t why_len);

/* Ask all.
 *
 * ctx      when it ends, what runs ends at once, and no view of it is made.
 * timeout  of each probe, from its own start.
 * seen     called with the index and a view as each is known, from any thread, one at a
 *          time for each index, not for those that ctx cut off; name and ok_wall_ms (of
 *          one that is not connected) are left to it.
 * Returns 0, or as ctx_err when it ended first. */
int cluster_sweep(struct ctx *ctx, const struct cluster_probe *probes, size_t n,
                  int64_t timeout_ms, size_t width,
                  void (*seen)(void *arg, size_t i, const struct cluster_view *view),
                  void *arg) __attribute__((warn_unused_result));

const char *cluster_state_word(enum cluster_state state); /* "tls-error" */

/* {"name","state","checked_ms","ok_ms","took_ms","why"}; owned. */
struct json_object *cluster_view_json(const struct cluster_view *view);

#endif
