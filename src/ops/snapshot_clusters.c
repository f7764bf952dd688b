/* The clusters as the fleet sees them: each consumer checks them for itself, and the one
 * that sees the worst is believed, for what it is asked there waits. */
#include <string.h>

#include "ops/put.h"
#include "snapshot_inside.h"

/* From well to worst. The names are kube/clusters': of another version, perhaps. */
static const char *const states[] = {"virtual",   "connected", "unknown",
                                     "unhealthy", "timeout",   "unreachable",
                                     "tls-error", "forbidden", "unauthorized"};
enum { STATES = sizeof states / sizeof states[0], CONNECTED = 1, UNKNOWN = 2 };

static size_t state_of(struct json_object *cluster)
{
    const char *word = beat_text_of(cluster, "state");
    for (size_t i = 0; i < STATES; i++) {
        if (strcmp(word, states[i]) == 0) {
            return i;
        }
    }
    return UNKNOWN;
}

/* One that was not asked yet is no news against one that was. */
static int badness_of(struct json_object *cluster)
{
    size_t state = state_of(cluster);
    return state == UNKNOWN && beat_text_of(cluster, "why")[0] == '\0' ? -1 : (int)state;
}

bool snapshot_cluster_is_bad(struct json_object *cluster)
{
    return badness_of(cluster) > CONNECTED;
}

static struct json_object *cluster_object(const struct said *cluster)
{
    struct json_object *worst = cluster->by[0];
    int64_t by_state[STATES] = {0};
    for (size_t i = 0; i < cluster->count; i++) {
        struct json_object *said = cluster->by[i];
        by_state[state_of(said)]++;
        worst = badness_of(said) > badness_of(worst) ? said : worst;
    }
    struct json_object *o = json_object_new_object();
    struct json_object *consumers = json_object_new_object();
    for (size_t i = 0; i < STATES; i++) {
        if (by_state[i] > 0) {
            put_count(consumers, states[i], by_state[i]);
        }
    }
    put_text(o, "name", cluster->name);
    put_text(o, "state", states[state_of(worst)]);
    json_object_object_add(o, "consumers", consumers);
    put_count(o, "checked_ms", said_max(cluster, "checked_ms"));
    put_count(o, "ok_ms", said_max(cluster, "ok_ms"));
    put_text(o, "why", beat_text_of(worst, "why"));
    return o;
}

void snapshot_clusters(struct json_object *frame, const struct fleet_beats *beats)
{
    struct said_list clusters;
    struct json_object *list = json_object_new_array();
    said_gather(beats, "clusters", &clusters);
    for (size_t i = 0; i < clusters.count; i++) {
        json_object_array_add(list, cluster_object(&clusters.items[i]));
    }
    json_object_object_add(frame, "clusters", list);
    said_release(&clusters);
}
