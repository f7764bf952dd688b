/* What is asked of a server before its connection counts as ready, and what its answers
 * mean. No I/O: the owner sends what is in `out` and hands in the replies; then the same
 * once more for the trial. Plain data: one thread. */
#ifndef WIRE_REDIS_HANDSHAKE_H
#define WIRE_REDIS_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "wire/redis_resp.h"
#include "wire/redis_url.h"

enum {
    REDIS_SCRIPTS_MAX = 32,
    REDIS_INFO_MAX = 48,
    REDIS_STEPS_MAX = REDIS_SCRIPTS_MAX + 8
};

/* A script that does once what all others do, to see whether this user may. */
struct redis_trial {
    const char *text; /* NULL: none */
    const char *key;
};

/* What came of an attempt to connect. */
struct redis_connection {
    struct redis_stream *stream; /* NULL: failed; else owned by whoever took it */
    char run_id[REDIS_INFO_MAX];
    char policy[REDIS_INFO_MAX];
    char sha[REDIS_SCRIPTS_MAX][REDIS_SHA_LEN]; /* of the scripts asked for, in order */
    size_t script_count;
    bool refused;   /* failed for good: a person must mend it */
    struct err err; /* why it failed */
};

enum redis_step {
    STEP_AUTH,
    STEP_SELECT,
    STEP_INFO,
    STEP_POLICY,
    STEP_SCRIPT,
    STEP_TRIAL_SCRIPT,
    STEP_TRIAL,
};

struct redis_handshake {
    struct str out; /* questions to be sent; the answers come in their order */
    const struct redis_trial *trial;
    char trial_sha[REDIS_SHA_LEN + 1];
    enum redis_step steps[REDIS_STEPS_MAX];
    size_t step_count;
    size_t answered;
};

/* texts: of the scripts to load. Nothing of it is kept but the trial, borrowed. */
void redis_handshake_init(struct redis_handshake *hs, const struct redis_url *url,
                          const char *const *texts, size_t n,
                          const struct redis_trial *trial);
/* When all is answered: puts the trial into `out`. Returns false when there is none. */
bool redis_handshake_begin_trial(struct redis_handshake *hs);
void redis_handshake_release(struct redis_handshake *hs); /* wipes the password */

/* Returns 0, or a negative errno with con->err, and con->refused when a person must mend
 * it. */
int redis_handshake_take(struct redis_handshake *hs, const struct redis_reply *reply,
                         struct redis_connection *con);
bool redis_handshake_is_answered(const struct redis_handshake *hs);

#endif
