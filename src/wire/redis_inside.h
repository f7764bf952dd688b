/* What redis.c (the callers' side) and redis_loop.c (the redis thread) share. */
#ifndef WIRE_REDIS_INSIDE_H
#define WIRE_REDIS_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "wire/redis.h"
#include "wire/redis_connect.h"
#include "wire/redis_queue.h"
#include "wire/redis_resp.h"
#include "wire/redis_stream.h"

enum redis_reason {
    REASON_CONNECT,
    REASON_LOST,
    REASON_SILENT,
    REASON_TIMEOUT,
    REASON_UNAVAILABLE,
    REASON_NOSCRIPT,
    REASON_OOM,
    REASON_REPLY,
    REASON_FULL,
    REASON_LINGER,
    REASONS,
};

extern const char *const redis_reason_names[REASONS];

struct redis_script {
    const char *text;
    /* owned by the redis thread */
    char sha[REDIS_SHA_LEN];
    bool loading;
};

struct redis_waiter {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    size_t left;
    int rc;
};

struct redis {
    /* read-only after start */
    struct redis_url url;
    void (*connected_fn)(void *arg, const char *run_id, bool changed);
    void *connected_arg;
    struct metric *errors[REASONS]; /* NULL without metrics */
    struct metric *connected_gauge;
    struct metric_family *durations; /* by name; NULL without metrics */
    struct redis_connector *connector;
    int wake_fd;
    pthread_t thread;

    atomic_size_t open; /* commands that are not over */

    pthread_mutex_t mu;
    /* guarded by mu */
    struct redis_fifo inbox;
    bool asleep; /* the redis thread is or may soon be in poll, and must be woken */
    bool stopping;
    bool closed; /* nothing is taken any more */
    int64_t stop_until_ms;
    bool connected;
    bool refused;
    char last_error[ERR_TEXT_MAX];
    char policy[REDIS_INFO_MAX];
    struct redis_script *scripts[REDIS_SCRIPTS_MAX];
    size_t script_count;

    /* owned by the redis thread */
    struct redis_stream *stream; /* NULL: down */
    struct redis_reader *reader;
    struct str out; /* being written, from out_sent on */
    size_t out_sent;
    struct redis_fifo waiting;
    struct redis_fifo again;
    struct redis_fifo in_flight;
    struct redis_fifo lingering;
    struct redis_fifo resting; /* lingering, refused, to be sent again */
    int64_t rest_until_ms;
    struct redis_heap due;
    int64_t heard_ms; /* when something came last, or when in_flight became not empty */
    int failures;     /* since the last good reply */
    char said[ERR_TEXT_MAX]; /* the failure that was logged last, "": none goes on */
    int64_t said_ms;
    int64_t unsaid; /* failures like it, since */
    bool ever_connected;
    char run_id[REDIS_INFO_MAX];
    struct redis_fifo taken; /* from the inbox, for one turn */
};

void redis_waiter_tell(struct redis_waiter *waiter, int rc);
void redis_count(struct redis *redis, enum redis_reason reason);

/* One command's life. All but _new run on the redis thread. */

/* Copies the command. */
struct redis_node *redis_node_new(const struct redis_command *command);
struct redis_node *redis_node_load(struct redis_script *script); /* a SCRIPT LOAD */
/* The caller's part is over: exactly once. */
void redis_node_end(struct redis *redis, struct redis_node *node, int rc,
                    const struct redis_reply *reply);
/* After its deadline, or after a refusal: it is kept until it is done or linger_ms is
 * over. */
void redis_node_linger(struct redis *redis, struct redis_node *node);
/* Is anything still wanted of it? Else it is a ghost. */
bool redis_node_is_alive(const struct redis_node *node);
void redis_node_free(struct redis *redis, struct redis_node *node); /* it has ended */
/* End it, if nobody has, and free it. */
void redis_node_drop(struct redis *redis, struct redis_node *node, int rc);
/* End what is due. */
void redis_expire(struct redis *redis, int64_t now);

void *redis_loop_main(void *redis);

#endif
