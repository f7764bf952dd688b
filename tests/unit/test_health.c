#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "kube/health.h"

#define SEEN(spec, status) \
    "{\"metadata\":{\"generation\":4},\"spec\":{" spec \
    "},\"status\":{\"observedGeneration\":4," status "}}"
#define BEHIND "{\"metadata\":{\"generation\":4},\"status\":{\"observedGeneration\":3}}"
#define CONDITION(type, more) \
    "\"conditions\":[{\"type\":\"X\"},{\"type\":\"" type "\"," more "}]"

static const struct {
    const char *kind;
    const char *object;
    enum health health;
    const char *why;
} objects[] = {
    {"Deployment",
     SEEN("\"replicas\":2",
          "\"replicas\":2,\"updatedReplicas\":2,\"availableReplicas\":2"),
     HEALTH_HEALTHY, ""},
    {"Deployment", SEEN("\"replicas\":0", "\"replicas\":0"), HEALTH_HEALTHY, ""},
    {"Deployment",
     SEEN("\"replicas\":2",
          "\"replicas\":3,\"updatedReplicas\":1,\"availableReplicas\":3"),
     HEALTH_PROGRESSING, "1 of 2 replicas are updated"},
    {"Deployment",
     SEEN("\"replicas\":2",
          "\"replicas\":3,\"updatedReplicas\":2,\"availableReplicas\":3"),
     HEALTH_PROGRESSING, "1 of 3 replicas are old and end"},
    {"Deployment",
     SEEN("\"replicas\":2",
          "\"replicas\":2,\"updatedReplicas\":2,\"availableReplicas\":1"),
     HEALTH_PROGRESSING, "1 of 2 replicas are available"},
    {"Deployment",
     SEEN("\"replicas\":2",
          "\"replicas\":2,\"updatedReplicas\":1," CONDITION(
              "Progressing", "\"reason\":\"ProgressDeadlineExceeded\"")),
     HEALTH_DEGRADED, "its progress deadline is exceeded"},
    {"Deployment", SEEN("\"replicas\":2,\"paused\":true", "\"replicas\":2"),
     HEALTH_SUSPENDED, "paused"},
    {"Deployment", BEHIND, HEALTH_PROGRESSING, "has not seen"},
    {"Deployment", "{\"metadata\":{\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"}}",
     HEALTH_PROGRESSING, "being deleted"},
    {"StatefulSet",
     SEEN("\"replicas\":2",
          "\"readyReplicas\":2,\"updateRevision\":\"a\",\"currentRevision\":\"a\""),
     HEALTH_HEALTHY, ""},
    {"StatefulSet", SEEN("\"replicas\":2", "\"readyReplicas\":1"), HEALTH_PROGRESSING,
     "1 of 2 replicas are ready"},
    {"StatefulSet",
     SEEN("\"replicas\":2",
          "\"readyReplicas\":2,\"updateRevision\":\"b\",\"currentRevision\":\"a\""),
     HEALTH_PROGRESSING, "its update goes on"},
    {"StatefulSet",
     SEEN("\"replicas\":2,\"updateStrategy\":{\"type\":\"OnDelete\"}",
          "\"readyReplicas\":2,\"updateRevision\":\"b\",\"currentRevision\":\"a\""),
     HEALTH_HEALTHY, ""},
    {"StatefulSet",
     SEEN("\"replicas\":3,\"updateStrategy\":{\"rollingUpdate\":{\"partition\":2}}",
          "\"readyReplicas\":3,\"updatedReplicas\":1,\"updateRevision\":\"b\""),
     HEALTH_HEALTHY, ""},
    {"StatefulSet",
     SEEN("\"replicas\":3,\"updateStrategy\":{\"rollingUpdate\":{\"partition\":1}}",
          "\"readyReplicas\":3,\"updatedReplicas\":1,\"updateRevision\":\"b\""),
     HEALTH_PROGRESSING, "1 of 2 replicas are updated"},
    {"StatefulSet", "{\"metadata\":{},\"spec\":{}}", HEALTH_PROGRESSING, "has not seen"},
    {"ReplicaSet", SEEN("\"replicas\":2", "\"availableReplicas\":2"), HEALTH_HEALTHY, ""},
    {"ReplicaSet", SEEN("\"replicas\":2", "\"availableReplicas\":1"), HEALTH_PROGRESSING,
     "1 of 2 replicas are available"},
    {"ReplicaSet",
     SEEN("\"replicas\":2", CONDITION("ReplicaFailure", "\"status\":\"True\"")),
     HEALTH_DEGRADED, "cannot be made"},
    {"ReplicaSet",
     SEEN("\"replicas\":0", CONDITION("ReplicaFailure", "\"status\":\"False\"")),
     HEALTH_HEALTHY, ""},
    {"ReplicaSet", BEHIND, HEALTH_PROGRESSING, "has not seen"},
    {"Rollout",
     "{\"metadata\":{\"generation\":4},\"status\":{\"observedGeneration\":\"4\","
     "\"phase\":\"Healthy\"}}",
     HEALTH_HEALTHY, ""},
    {"Rollout", SEEN("", "\"phase\":\"Paused\",\"message\":\"CanaryPauseStep\""),
     HEALTH_SUSPENDED, "CanaryPauseStep"},
    {"Rollout", SEEN("", "\"phase\":\"Progressing\""), HEALTH_PROGRESSING, "Progressing"},
    {"Rollout", SEEN("", "\"phase\":\"Degraded\",\"message\":\"RolloutAborted\""),
     HEALTH_DEGRADED, "RolloutAborted"},
    {"Rollout", SEEN("\"replicas\":2", "\"replicas\":2,\"updatedReplicas\":1"),
     HEALTH_PROGRESSING, "1 of 2 replicas are updated"},
    {"Rollout",
     SEEN("", "\"phase\":\"Healthy\"," CONDITION("InvalidSpec", "\"status\":\"True\"")),
     HEALTH_DEGRADED, "invalid"},
    {"Rollout",
     "{\"metadata\":{\"generation\":5},\"status\":{\"observedGeneration\":\"4\","
     "\"phase\":\"Healthy\"}}",
     HEALTH_PROGRESSING, "has not seen"},
    {"Database", "{}", HEALTH_HEALTHY, ""},
    {"Database", BEHIND, HEALTH_PROGRESSING, "has not seen"},
};

static void health__is_what_the_controller_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++) {
        char why[64];
        struct json_object *doc = NULL;
        struct err err = ERR_INIT;
        if (json_parse(objects[i].object, strlen(objects[i].object), &doc, &err) != 0) {
            fail_msg("%s: %s", objects[i].object, err.text);
        }
        enum health health = health_of(objects[i].kind, doc, why, sizeof why);
        if (health != objects[i].health || strstr(why, objects[i].why) == NULL ||
            (objects[i].why[0] == '\0') != (why[0] == '\0')) {
            fail_msg("%s %s: %s, \"%s\"", objects[i].kind, objects[i].object,
                     health_word(health), why);
        }
        json_free(doc);
    }
}

static const struct CMUnitTest tests[] = {
#include UNIT_TESTS
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
