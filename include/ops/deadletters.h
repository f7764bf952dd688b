/* The dead-letter topic of a group, read and worked off.
 *
 * The topic is the truth and is never written here: what was dealt with is noted in Redis
 * (`ops:{g}:handled`: "<partition>:<offset>" -> "redriven r-0031 <wall ms>" or "dropped
 * <who> <wall ms>"), and a letter without a note is outstanding. Every function blocks,
 * bounded by a deadline, on the connections of its place. Any thread, one call at a time
 * for each place. */
#ifndef OPS_DEADLETTERS_H
#define OPS_DEADLETTERS_H

#include "ops/letter.h"
#include "ops/place.h"

enum {
    DEADLETTERS_PARTITIONS_MAX = 64,
    DEADLETTERS_GROUPS_MAX = 1000,
    DEADLETTERS_PATIENCE_MS = 15000
};

/* What of the topic one walk sees. */
struct deadletters_range {
    char topic[256];
    int partitions;
    int64_t first[DEADLETTERS_PARTITIONS_MAX];
    int64_t end[DEADLETTERS_PARTITIONS_MAX];
    int64_t records; /* at most, in all partitions */
};

/* Look where the topic begins and ends now. Returns 0, -ENOENT (no such topic yet: there
 * never was a dead letter), -ETIMEDOUT, -EACCES, -EIO. */
int deadletters_range(struct ops_place *place, int64_t until_ms,
                      struct deadletters_range *range, struct err *err);

/* One letter. handled: the note on it, or NULL. Return false to end the walk. */
typedef bool deadletters_fn(void *arg, struct letter *letter, const char *handled);

/* Walk all letters of a range that match, oldest first; only outstanding ones unless the
 * filter says otherwise. The letter is the walk's.
 * patience_ms  how long to wait for one record. Returns 0 (also when fn ended it),
 * -ETIMEDOUT, -EACCES, -EIO, -EPROTO. */
int deadletters_walk(struct ops_place *place, const struct deadletters_range *range,
                     const struct letter_filter *filter, int64_t patience_ms,
                     deadletters_fn *fn, void *arg, struct err *err);

/* --- listing --- */

struct deadletters_row {
    struct json_object *letter; /* letter_summary */
    char *handled;              /* the note on it; NULL: outstanding */
};

struct deadletters_group {
    char *target; /* "" for none */
    char *reason;
    int64_t count;
    int64_t oldest_ms;
};

struct deadletters_list {
    struct deadletters_row *rows; /* oldest first */
    size_t count;
    int64_t total;                    /* that match, also beyond the limit */
    struct deadletters_group *groups; /* of what matches, most first */
    size_t group_count;
};

/* Without a filter it also sets the counters right that `status` and the console show. */
int deadletters_list(struct ops_place *place, const struct letter_filter *filter,
                     size_t limit, int64_t until_ms, struct deadletters_list *list,
                     struct err *err);
void deadletters_list_release(struct deadletters_list *list);

/* {"schema":"sluice.deadletters/1", ...}. Returns owned. */
struct json_object *deadletters_list_json(const struct deadletters_list *list);

/* One letter by its place in the dead-letter topic, or every letter of an event.
 * letters  out: an array of letter_json, each with "handled"; owned. Empty: none. */
int deadletters_show(struct ops_place *place, const char *which, int64_t until_ms,
                     struct json_object **letters, struct err *err);

/* --- dealing with them --- */

/* Note on letters that they are dealt with, and count them out.
 * note  "redriven r-0031". Returns 0, -ETIMEDOUT, -EIO, -EPROTO, -EACCES. */
struct deadletters_note {
    int partition;
    int64_t offset;
    const char *target;
    const char *reason;
};
int deadletters_handle(struct ops_place *place, const struct deadletters_note *notes,
                       size_t n, const char *note, struct err *err);

struct drop_options {
    int64_t max;     /* refuse when more match: -EINVAL */
    bool dry_run;    /* count only */
    const char *why; /* for the audit; may be NULL */
};

/* Mark what matches as dealt with. dropped: out, how many were marked, or would be. */
int deadletters_drop(struct ops_place *place, const struct letter_filter *filter,
                     const struct drop_options *options, int64_t until_ms,
                     int64_t *dropped, struct err *err);

#endif
