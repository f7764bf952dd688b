/* What the parts of the snapshot share; for src/ops/snapshot*.c only.
 *
 * snapshot.c          beats, consumers, partitions, totals, the frame
 * snapshot_targets.c  targets, limits, dead letters
 * snapshot_clusters.c clusters
 * snapshot_notes.c    notes and the verdict, out of the frame
 * snapshot_take.c     reads Redis and Kafka */
#ifndef OPS_SNAPSHOT_INSIDE_H
#define OPS_SNAPSHOT_INSIDE_H

#include "ops/snapshot.h"

/* A heartbeat that could be read. */
struct fleet_beat {
    const char *id;
    int64_t at_ms;
    int64_t age_ms;
    struct json_object *doc; /* owned */
    const char *state;       /* as shown */
    bool live;               /* neither late nor gone */
    bool gone;
};

struct fleet_beats {
    struct fleet_beat *items;
    size_t count;
    size_t unread; /* could not be parsed */
};

/* Typed members of what others wrote: -1 and "" where they are not what they should be.
 */
int64_t beat_count_of(struct json_object *o, const char *name);
double beat_real_of(struct json_object *o, const char *name);
const char *beat_text_of(struct json_object *o, const char *name);
struct json_object *beat_list_of(struct json_object *o, const char *name,
                                 size_t *count); /* count 0 when there is none */

/* Buckets of several consumers, added up where their bounds agree. */
enum { SPREAD_BOUNDS_MAX = 32 };
struct spread_sum {
    double bounds_s[SPREAD_BOUNDS_MAX];
    size_t bounds;
    uint64_t counts[SPREAD_BOUNDS_MAX + 1];
};
void spread_sum_add(struct spread_sum *sum, struct json_object *spread);
int64_t spread_sum_p95_ms(const struct spread_sum *sum);

/* What all live consumers say under one name; borrowed from their beats. */
struct said {
    const char *name;
    struct json_object **by; /* one for each that says something */
    size_t count;            /* at least 1 */
};

struct said_list {
    struct said *items;
    size_t count;
};

/* The objects of one list of the beats ("targets"), by their names, in order. */
void said_gather(const struct fleet_beats *beats, const char *which,
                 struct said_list *list);
void said_release(struct said_list *list);
int64_t said_max(const struct said *said, const char *name); /* -1 when nobody knows */

/* snapshot_targets.c: add "targets" and "dead" to the frame; returns how many are dead,
 * -1 when not known. */
int64_t snapshot_targets(struct json_object *frame, const struct fleet_beats *beats,
                         const struct snapshot_input *input);

/* snapshot_clusters.c: add "clusters". */
void snapshot_clusters(struct json_object *frame, const struct fleet_beats *beats);
/* Is something wrong with this cluster of the frame, that is not merely new? */
bool snapshot_cluster_is_bad(struct json_object *cluster);

/* snapshot_notes.c: add "notes" and "verdict". */
void snapshot_notes(struct json_object *frame, const struct fleet_beats *beats);

#endif
