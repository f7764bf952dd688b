#include "kube/health.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct looked {
    struct json_object *object;
    char *why;
    size_t why_len;
};

static enum health say(const struct looked *l, enum health health, const char *words)
{
    snprintf(l->why, l->why_len, "%s", words);
    return health;
}

static enum health say_counts(const struct looked *l, int64_t have, int64_t want,
                              const char *what)
{
    snprintf(l->why, l->why_len, "%lld of %lld replicas %s", (long long)have,
             (long long)want, what);
    return HEALTH_PROGRESSING;
}

static int64_t number(const struct looked *l, const char *pointer)
{
    return json_number_or(l->object, pointer, 0);
}

/* Argo Rollouts writes its observed generation as a text. */
static int64_t observed_generation(const struct looked *l)
{
    const char *text = json_text_or(l->object, "/status/observedGeneration", NULL);
    return text != NULL ? strtoll(text, NULL, 10)
                        : number(l, "/status/observedGeneration");
}

static bool is_behind(const struct looked *l)
{
    return number(l, "/metadata/generation") > observed_generation(l);
}

/* The condition of this type, or NULL. */
static struct json_object *condition(const struct looked *l, const char *type)
{
    struct json_object *all = json_at(l->object, "/status/conditions");
    size_t n =
        json_object_is_type(all, json_type_array) ? json_object_array_length(all) : 0;
    for (size_t i = 0; i < n; i++) {
        struct json_object *one = json_object_array_get_idx(all, i);
        if (strcmp(json_text_or(one, "/type", ""), type) == 0) {
            return one;
        }
    }
    return NULL;
}

static bool condition_is(const struct looked *l, const char *type, const char *pointer,
                         const char *value)
{
    struct json_object *one = condition(l, type);
    return one != NULL && strcmp(json_text_or(one, pointer, ""), value) == 0;
}

/* A rollout of new replicas beside old ones: Deployments, and Rollouts that say no phase
 */
static enum health roll(const struct looked *l)
{
    int64_t wanted = json_number_or(l->object, "/spec/replicas", -1);
    int64_t updated = number(l, "/status/updatedReplicas");
    int64_t all = number(l, "/status/replicas");
    int64_t available = number(l, "/status/availableReplicas");
    if (wanted >= 0 && updated < wanted) {
        return say_counts(l, updated, wanted, "are updated");
    }
    if (all > updated) {
        return say_counts(l, all - updated, all, "are old and end");
    }
    if (available < updated) {
        return say_counts(l, available, updated, "are available");
    }
    return HEALTH_HEALTHY;
}

static enum health of_deployment(const struct looked *l)
{
    if (json_object_get_boolean(json_at(l->object, "/spec/paused"))) {
        return say(l, HEALTH_SUSPENDED, "paused");
    }
    if (is_behind(l)) {
        return say(l, HEALTH_PROGRESSING, "its controller has not seen the last change");
    }
    if (condition_is(l, "Progressing", "/reason", "ProgressDeadlineExceeded")) {
        return say(l, HEALTH_DEGRADED, "its progress deadline is exceeded");
    }
    return roll(l);
}

/* A partition keeps the replicas below it as they were. */
static enum health of_stateful_set(const struct looked *l)
{
    int64_t wanted = json_number_or(l->object, "/spec/replicas", -1);
    int64_t ready = number(l, "/status/readyReplicas");
    int64_t partition = number(l, "/spec/updateStrategy/rollingUpdate/partition");
    int64_t updated = number(l, "/status/updatedReplicas");
    if (observed_generation(l) == 0 || is_behind(l)) {
        return say(l, HEALTH_PROGRESSING, "its controller has not seen the last change");
    }
    if (wanted >= 0 && ready < wanted) {
        return say_counts(l, ready, wanted, "are ready");
    }
    if (strcmp(json_text_or(l->object, "/spec/updateStrategy/type", ""), "OnDelete") ==
        0) {
        return HEALTH_HEALTHY;
    }
    if (partition > 0) {
        return wanted >= 0 && updated < wanted - partition
                   ? say_counts(l, updated, wanted - partition, "are updated")
                   : HEALTH_HEALTHY;
    }
    if (strcmp(json_text_or(l->object, "/status/updateRevision", ""),
               json_text_or(l->object, "/status/currentRevision", "")) != 0) {
        return say(l, HEALTH_PROGRESSING, "its update goes on");
    }
    return HEALTH_HEALTHY;
}

static enum health of_replica_set(const struct looked *l)
{
    int64_t wanted = json_number_or(l->object, "/spec/replicas", -1);
    int64_t available = number(l, "/status/availableReplicas");
    if (is_behind(l)) {
        return say(l, HEALTH_PROGRESSING, "its controller has not seen the last change");
    }
    if (condition_is(l, "ReplicaFailure", "/status", "True")) {
        return say(l, HEALTH_DEGRADED, "its pods cannot be made");
    }
    if (wanted >= 0 && available < wanted) {
        return say_counts(l, available, wanted, "are available");
    }
    return HEALTH_HEALTHY;
}

static enum health of_rollout(const struct looked *l)
{
    static const struct {
        const char *phase;
        enum health health;
    } phases[] = {
        {"Healthy", HEALTH_HEALTHY},
        {"Paused", HEALTH_SUSPENDED},
        {"Progressing", HEALTH_PROGRESSING},
        {"Degraded", HEALTH_DEGRADED},
    };
    const char *phase = json_text_or(l->object, "/status/phase", "");
    if (condition(l, "InvalidSpec") != NULL) {
        return say(l, HEALTH_DEGRADED, "its spec is invalid");
    }
    if (is_behind(l)) {
        return say(l, HEALTH_PROGRESSING, "its controller has not seen the last change");
    }
    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
        if (strcmp(phase, phases[i].phase) == 0) {
            return phases[i].health == HEALTH_HEALTHY
                       ? HEALTH_HEALTHY
                       : say(l, phases[i].health,
                             json_text_or(l->object, "/status/message", phase));
        }
    }
    return roll(l);
}

/* Nothing but the generation is known of other kinds. */
static enum health of_any(const struct looked *l)
{
    bool behind =
        json_at(l->object, "/status/observedGeneration") != NULL && is_behind(l);
    return behind
               ? say(l, HEALTH_PROGRESSING, "its controller has not seen the last change")
               : HEALTH_HEALTHY;
}

enum health health_of(const char *kind, struct json_object *object, char *why,
                      size_t why_len)
{
    static const struct {
        const char *kind;
        enum health (*of)(const struct looked *l);
    } kinds[] = {
        {"Deployment", of_deployment},
        {"StatefulSet", of_stateful_set},
        {"ReplicaSet", of_replica_set},
        {"Rollout", of_rollout},
    };
    struct looked l = {.object = object, .why = why, .why_len = why_len};
    why[0] = '\0';
    if (json_at(object, "/metadata/deletionTimestamp") != NULL) {
        return say(&l, HEALTH_PROGRESSING, "being deleted");
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kind, kinds[i].kind) == 0) {
            return kinds[i].of(&l);
        }
    }
    return of_any(&l);
}

const char *health_word(enum health health)
{
    static const char *const words[] = {"healthy", "suspended", "progressing",
                                        "missing", "degraded",  "unknown"};
    return words[health];
}
