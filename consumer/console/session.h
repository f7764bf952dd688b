/* Who is signed in on the console: a browser's session stands for the token it was opened
 * with. Bounded, gone with the process. Nothing here holds a secret in the clear: a
 * session is kept under the hash of its id, and a token is its hash. Any thread. */
#ifndef CONSUMER_SESSION_H
#define CONSUMER_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/crypto.h"

enum {
    SESSIONS_MAX = 256, /* the one unused longest gives way */
    SESSIONS_OF_TOKEN_MAX = 32,
    SESSION_ID_BYTES = 32,
    SESSION_ID_LEN = 2 * SESSION_ID_BYTES + 1, /* as hex */
    SESSION_IDLE_MS = 8 * 3600 * 1000,         /* gone when unused so long, */
};
#define SESSION_LIFE_MS (7 * 24 * 3600 * 1000LL) /* and in any case after that */

struct session_hash {
    unsigned char bytes[CRYPTO_SHA256_LEN];
};

struct sessions;

struct sessions *sessions_new(void);
void sessions_free(struct sessions *sessions); /* NULL is allowed */

/* id: out, from the system's randomness; its only copy. */
void sessions_open(struct sessions *sessions, const struct session_hash *token,
                   int64_t now_ms, char id[SESSION_ID_LEN]);

/* The session of an id as a browser sends it. Compared in a time that says nothing about
 * the ids there are. Using it keeps it.
 * session, token  out: its own hash, and the one of its token. */
bool sessions_find(struct sessions *sessions, const char *id, int64_t now_ms,
                   struct session_hash *session, struct session_hash *token);

/* Is it still there? Using it keeps it. */
bool sessions_touch(struct sessions *sessions, const struct session_hash *session,
                    int64_t now_ms);

void sessions_close(struct sessions *sessions, const struct session_hash *session,
                    int64_t now_ms);

#endif
