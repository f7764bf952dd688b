/* Does an application sleep? Decided from its workloads, each looked at by itself.
 *
 * A workload that was hibernated has no replicas and remembers in an annotation how many
 * it had. An application is what carries its labels and has no owner of its own (the
 * ReplicaSet of a Deployment is its Deployment's). What could not be read makes the
 * answer unknown, never "hibernated": an absent answer is no answer.
 *
 *   what was seen                          state            and its health
 *   any part that could not be read        unknown          unknown
 *   no part that scales                    none             the worst
 *   any part at zero by somebody else      scaled-to-zero   the worst
 *   all parts hibernated                   hibernated       the worst
 *   some hibernated, some running          partly           the worst
 *   else                                   awake            the worst
 *
 * The first row that fits decides. `asleep` of the counts says how many parts were
 * hibernated whatever the state is. The headline is the health when that is below
 * healthy, else the state.
 *
 * Pure, except for the counters, which many threads may add to at once.
 *
 * Source: the annotation and its rule ("present, and not 0, with no replicas") are
 * Devtron's: github.com/devtron-labs/devtron, checkHibernate, and
 * github.com/devtron-labs/devtron-services, kubelink. */
#ifndef KUBE_HIBERNATION_H
#define KUBE_HIBERNATION_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/str.h"
#include "kube/health.h"
#include "wire/json.h"

#define HIBERNATION_ANNOTATION "hibernator.devtron.ai/replicas"

enum { HIBERNATION_WHY_MAX = 160 };

/* What one part of an application is. */
enum hibernation_part {
    PART_UNREADABLE,   /* or not understood */
    PART_NOT_SCALABLE, /* has no spec.replicas */
    PART_OWNED,        /* another object's: not counted */
    PART_ASLEEP,       /* at zero, and remembers its replicas */
    PART_ZERO,         /* at zero by somebody else */
    PART_RUNNING,
};

struct hibernation_look {
    enum hibernation_part part;
    enum health health;
    int64_t replicas;              /* spec.replicas; -1: none */
    int64_t remembered;            /* of a sleeper: how many it had; -1: not a number */
    char why[HIBERNATION_WHY_MAX]; /* of what is unreadable or below healthy, else "" */
};

/* kind  "Deployment": a LIST's items do not say theirs. */
void hibernation_look(const char *kind, struct json_object *object,
                      struct hibernation_look *look);

/* Zero to begin with. Any thread. */
struct hibernation_counts {
    atomic_int unreadable;
    atomic_int not_scalable;
    atomic_int asleep;
    atomic_int zero;
    atomic_int running;
    atomic_int worst; /* enum health, of those that could be read */
};
void hibernation_count(struct hibernation_counts *counts,
                       const struct hibernation_look *look);

enum hibernation_state {
    HIBERNATION_UNKNOWN,
    HIBERNATION_NONE, /* nothing that scales */
    HIBERNATION_AWAKE,
    HIBERNATION_PARTLY,
    HIBERNATION_ASLEEP,
    HIBERNATION_SCALED_TO_ZERO,
};

struct hibernation {
    enum hibernation_state state;
    enum health health;
    int unreadable;
    int not_scalable;
    int asleep;
    int zero;
    int running;
};

/* When all have counted. */
void hibernation_judge(struct hibernation_counts *counts, struct hibernation *out);

/* Every part that scales is at zero, and some were put there by hibernation: a trigger
 * would find nothing running. */
bool hibernation_sleeps(const struct hibernation *h);

const char *hibernation_word(enum hibernation_state state); /* "hibernated" */
const char *hibernation_headline(const struct hibernation *h);

/* "2 of 3 hibernated, 1 at zero by somebody else", "only 3 of 4 read". */
void hibernation_say(const struct hibernation *h, struct str *out);

#endif
