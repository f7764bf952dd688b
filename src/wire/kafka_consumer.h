/* What the parts of the consumer share; for src/wire/kafka*.c only.
 *
 * kafka.c            the client and the poll thread
 * kafka_group.c      assign, revoke
 * kafka_start.c      where a partition starts
 * kafka_commit.c     commits, one in flight
 * kafka_partition.c  records, taking, done, the window: the lanes' side
 * kafka_state.c      what the consumer says of itself, the wake-up: below the others */
#ifndef WIRE_KAFKA_CONSUMER_H
#define WIRE_KAFKA_CONSUMER_H

#include <pthread.h>
#include <stdatomic.h>

#include "wire/kafka_lib.h"

enum {
    KAFKA_POLL_MS = 100,
    KAFKA_LOOKUP_MS = 3000,        /* committed offsets and watermarks, in all */
    KAFKA_COMMIT_LAST_MS = 2000,   /* the commit inside a revoke, and the last one */
    KAFKA_COMMIT_STALL_MS = 20000, /* then a commit's answer is not waited for any more */
    KAFKA_COMMIT_REST_MS = 200,
    KAFKA_CLOSE_MS = 3000,
    KAFKA_CLOSE_AFTER_STALL_MS = 500,
    KAFKA_FIX_EVERY_MS = 1000,
    KAFKA_PENDING_MAX = 64,
};

/* When and with how many partitions of its source topic a group came to be. */
struct kafka_birth {
    int partitions;  /* 0: not known */
    int64_t wall_ms; /* 0: not known */
};

/* One kafka_done that is not committed yet. */
struct kafka_pending {
    int64_t next_offset;
    int64_t oldest_wall_ms; /* the first of its records */
};

struct kafka_partition {
    /* read-only after made */
    struct kafka_consumer *consumer; /* not to be touched once `over` is set */
    char *topic;
    int id;
    bool source;
    uint64_t epoch;
    struct metric *gaps;     /* of the topic */
    struct metric *assigned; /* of the topic */
    struct metric *holes;    /* of the topic */
    atomic_int refs;

    /* poll thread */
    struct metric *lag_events;
    struct metric *lag_seconds;

    /* lane thread, until `revoked` returned */
    rd_kafka_queue_t *queue;

    atomic_llong next;           /* the offset expected next; -1: not known yet */
    atomic_bool woken;           /* nothing more is taken */
    atomic_bool needs_start;     /* no valid position: the poll thread must give one */
    atomic_llong committed;      /* as the broker acknowledged; -1: none */
    atomic_llong end;            /* of the partition; -1: not known yet */
    atomic_llong oldest_wall_ms; /* of what is not committed; 0: all is; -1: not known */
    atomic_llong open_wall_ms;   /* timestamp of the oldest record taken since the last
                                    done; 0: none */

    pthread_mutex_t mu;
    pthread_cond_t cond; /* committed moved, or woken */
    /* guarded by mu */
    bool over; /* the epoch has ended: kafka_done is ignored */
    int64_t done;
    int64_t
        empty_from; /* from here to one before empty_to there is no record; -1: none */
    int64_t empty_to;
    struct kafka_pending pending[KAFKA_PENDING_MAX];
    int pending_count;
};

struct kafka_consumer {
    pthread_t thread;
    rd_kafka_t *rk;
    int wake_fd; /* eventfd: the consumer queue, the commit queue, kafka_done and stop all
                    write to it */
    atomic_bool stop;
    atomic_llong turned_ms; /* when the poll loop last turned */
    atomic_int state;       /* enum kafka_state */
    atomic_int assigned;
    atomic_llong lag; /* events of all partitions, as last looked at */

    /* read-only after start */
    struct kafka_options options; /* its strings are ours */
    struct metric_family *gap_family;
    struct metric_family *assigned_family;
    struct metric_family *hole_family;
    struct metric_family *lag_events_family;
    struct metric_family *lag_seconds_family;
    struct metric *commits;
    struct metric *commit_failures;
    struct metric *rebalances[3]; /* assign, revoke, lost */

    /* poll thread */
    uint64_t epoch;
    struct kafka_partition **partitions;
    size_t partition_count;
    rd_kafka_queue_t *commit_queue;
    bool commit_open;
    bool commit_failed; /* the last one: rest before the next */
    int64_t commit_since_ms;
    bool commit_stalled; /* the last one was not confirmed in time */
    int64_t fixed_ms;    /* when positions were last given anew */
    size_t fix_first;    /* which of them was looked at first */
    struct kafka_birth born;
    bool released;  /* stopping: lanes are gone, rebalances only unassign */
    int64_t lag_ms; /* when lag was last computed */

    pthread_mutex_t mu;
    /* guarded by mu */
    char reason[256];
};

void kafka_consumer_wake(struct kafka_consumer *c);
void kafka_consumer_note(struct kafka_consumer *c, enum kafka_state state,
                         const char *reason);

/* kafka_group.c; poll thread */
void kafka_group_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t what,
                           rd_kafka_topic_partition_list_t *list, void *consumer);
void kafka_group_release(struct kafka_consumer *c); /* let go of all lanes and queues */
void kafka_group_lag(struct kafka_consumer *c);     /* set the lag gauges */

/* kafka_start.c; poll thread */
/* Fill in the offsets of a list that stands for partitions[]; those that cannot be told
 * now are RD_KAFKA_OFFSET_INVALID. KAFKA_LOOKUP_MS at most. */
void kafka_start_find(struct kafka_consumer *c, rd_kafka_topic_partition_list_t *list,
                      struct kafka_partition **partitions);
/* Give positions to those that lost theirs. */
void kafka_start_fix(struct kafka_consumer *c);
/* Write the group's birth into an entry that is about to be committed. */
void kafka_start_put_birth(const struct kafka_consumer *c,
                           rd_kafka_topic_partition_t *entry);

/* kafka_commit.c; poll thread */
void kafka_commit_start(struct kafka_consumer *c);
void kafka_commit_serve(struct kafka_consumer *c, int wait_ms);
bool kafka_commit_flush(struct kafka_consumer *c,
                        int64_t until_ms); /* false: not all confirmed */

/* kafka_partition.c */
struct kafka_partition *kafka_partition_new(struct kafka_consumer *c, const char *topic,
                                            int id);
void kafka_partition_end(struct kafka_partition *p); /* epoch over; poll thread */
/* It begins, or goes on, at `start`. Poll thread. */
void kafka_partition_starts(struct kafka_partition *p, int64_t start, int64_t committed);
/* The broker holds `committed` now. */
void kafka_partition_committed(struct kafka_partition *p, int64_t committed);
int64_t kafka_partition_done_offset(struct kafka_partition *p);

#endif
