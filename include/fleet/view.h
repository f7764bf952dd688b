/* What a worker is doing, for operators: a copy that may be looked at in peace.
 *
 * Looking costs the lanes nothing: a lane shows its batch while it works it, and who
 * looks counts the states of its units. Plain data. */
#ifndef FLEET_VIEW_H
#define FLEET_VIEW_H

#include "base/option.h"
#include "fleet/fleet.h"
#include "fleet/lane.h"
#include "wire/kafka.h"

enum { VIEW_WAITING_MAX = 4, VIEW_TOPIC_MAX = 256, VIEW_HELD_MAX = 12 };

enum view_state {
    VIEW_IDLE,     /* no records */
    VIEW_FILLING,  /* takes a batch */
    VIEW_CLAIMING, /* another worker holds a unit, or the ledger is asked */
    VIEW_ASKING,   /* asks whether the targets may be called: a gate has not answered */
    VIEW_LIMITED,  /* waits for the rate limit */
    VIEW_FIRING,   /* starts calls */
    VIEW_BARRIER,  /* all that can be called is called: waits for the last to end */
    VIEW_PARKING,  /* waits for the broker to acknowledge what failed */
    VIEW_DUE,      /* a retry topic's head is not due */
    VIEW_BLOCKED,  /* Redis does not answer, or commits are not confirmed */
};
const char *view_state_name(enum view_state state);

/* A target that keeps a batch from its end. */
struct view_waiting {
    char target[OPTION_NAME_MAX];
    int units;         /* that have not ended */
    int64_t oldest_ms; /* for how long the oldest of its calls is on the wire; 0: none */
};

struct view_lane {
    char topic[VIEW_TOPIC_MAX];
    int partition;
    bool source; /* else a retry topic */
    struct kafka_lag lag;
    enum view_state state;
    int64_t for_ms; /* since the batch, the filling or the wait began */
    int events;     /* in the batch, or taken for it so far */
    int units;
    int ended;
    struct view_waiting waiting[VIEW_WAITING_MAX]; /* those with most units first */
    size_t waiting_count;
};

/* redis_answers: whether Redis is connected now. */
void view_lane(struct lane *lane, bool redis_answers, int64_t now, struct view_lane *out);

/* A histogram since the start: one count more than bounds. */
struct view_spread {
    double bounds_s[METRIC_BUCKETS_MAX];
    size_t bound_count;
    uint64_t counts[METRIC_BUCKETS_MAX + 1];
};
void view_spread(const struct metric *histogram, struct view_spread *out);

struct view_target {
    char name[OPTION_NAME_MAX];
    const char *kind;  /* static: "argocd" */
    int64_t open_ms;   /* until the breaker's next probe; 0: it is due; -1: closed */
    int64_t silent_ms; /* that it asked for and that is left; 0: none */
    int in_flight;
    uint64_t calls;     /* that were sent, since the start; the next add up to them */
    uint64_t codes[6];  /* by class; 0: no answer */
    uint64_t triggered; /* units it took */
    struct view_spread took;
    int limits[TARGET_LIMITS_MAX]; /* into view_limit's of the same view */
    size_t limit_count;
    struct view_held {
        const char *reason; /* the fleet's */
        uint64_t units;     /* that began to wait for it, since the start */
    } held[VIEW_HELD_MAX];  /* each reason keeps its place */
    size_t held_count;
};
void view_target(const struct fleet *fleet, const struct fleet_target *target,
                 int64_t now, struct view_target *out);

struct view_limit {
    char name[OPTION_NAME_MAX];
    double rate_per_s;
    double burst;
    bool seen;     /* tokens is known: the bucket was asked at least once */
    double tokens; /* as last seen; negative: promised */
    struct view_spread waited;
};
void view_limit(const struct fleet *fleet, const struct config_limit *limit,
                struct view_limit *out);

#endif
