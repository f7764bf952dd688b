#include "session.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

struct session {
    struct session_hash hash; /* of its id */
    struct session_hash token;
    int64_t opened_ms;
    int64_t used_ms;
    bool open;
};

struct sessions {
    pthread_mutex_t mu;
    /* guarded by mu */
    struct session items[SESSIONS_MAX];
};

struct sessions *sessions_new(void)
{
    struct sessions *sessions = mem_zalloc(sizeof *sessions);
    MUST(pthread_mutex_init(&sessions->mu, NULL));
    return sessions;
}

void sessions_free(struct sessions *sessions)
{
    if (sessions) {
        MUST(pthread_mutex_destroy(&sessions->mu));
        free(sessions);
    }
}

static bool is_over(const struct session *session, int64_t now_ms)
{
    return !session->open || now_ms - session->used_ms >= SESSION_IDLE_MS ||
           now_ms - session->opened_ms >= SESSION_LIFE_MS;
}

/* Looks at all of them, and at all of each. */
static struct session *find_locked(struct sessions *sessions,
                                   const struct session_hash *hash, int64_t now_ms)
{
    struct session *found = NULL;
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        struct session *session = &sessions->items[i];
        unsigned difference = 0;
        for (size_t k = 0; k < sizeof hash->bytes; k++) {
            difference |= (unsigned)(session->hash.bytes[k] ^ hash->bytes[k]);
        }
        if (difference == 0 && !is_over(session, now_ms)) {
            found = session;
        }
    }
    return found;
}

static bool is_older(const struct session *session, const struct session *than)
{
    return !than || session->used_ms < than->used_ms;
}

/* A free place, or the one of who was away longest; a token that has as many as it may
 * pushes out its own. */
static struct session *place_locked(struct sessions *sessions,
                                    const struct session_hash *token, int64_t now_ms)
{
    struct session *none = NULL;
    struct session *oldest = NULL;
    struct session *its_oldest = NULL;
    size_t its = 0;
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        struct session *session = &sessions->items[i];
        if (is_over(session, now_ms)) {
            none = session;
            continue;
        }
        if (is_older(session, oldest)) {
            oldest = session;
        }
        if (memcmp(&session->token, token, sizeof *token) == 0) {
            its++;
            its_oldest = is_older(session, its_oldest) ? session : its_oldest;
        }
    }
    return its >= SESSIONS_OF_TOKEN_MAX ? its_oldest : none ? none : oldest;
}

void sessions_open(struct sessions *sessions, const struct session_hash *token,
                   int64_t now_ms, char id[SESSION_ID_LEN])
{
    unsigned char bytes[SESSION_ID_BYTES];
    struct session fresh = {.token = *token,
                            .opened_ms = now_ms,
                            .used_ms = now_ms,
                            .open = true};
    crypto_random(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        snprintf(id + 2 * i, 3, "%02x", bytes[i]);
    }
    mem_wipe(bytes, sizeof bytes);
    crypto_sha256(id, SESSION_ID_LEN - 1, fresh.hash.bytes);
    MUST(pthread_mutex_lock(&sessions->mu));
    *place_locked(sessions, token, now_ms) = fresh;
    MUST(pthread_mutex_unlock(&sessions->mu));
}

bool sessions_find(struct sessions *sessions, const char *id, int64_t now_ms,
                   struct session_hash *session, struct session_hash *token)
{
    struct session_hash hash;
    if (strnlen(id, SESSION_ID_LEN) != SESSION_ID_LEN - 1) {
        return false;
    }
    crypto_sha256(id, SESSION_ID_LEN - 1, hash.bytes);
    MUST(pthread_mutex_lock(&sessions->mu));
    struct session *found = find_locked(sessions, &hash, now_ms);
    if (found) {
        found->used_ms = now_ms;
        *session = hash;
        *token = found->token;
    }
    MUST(pthread_mutex_unlock(&sessions->mu));
    return found != NULL;
}

bool sessions_touch(struct sessions *sessions, const struct session_hash *session,
                    int64_t now_ms)
{
    MUST(pthread_mutex_lock(&sessions->mu));
    struct session *found = find_locked(sessions, session, now_ms);
    if (found) {
        found->used_ms = now_ms;
    }
    MUST(pthread_mutex_unlock(&sessions->mu));
    return found != NULL;
}

void sessions_close(struct sessions *sessions, const struct session_hash *session,
                    int64_t now_ms)
{
    MUST(pthread_mutex_lock(&sessions->mu));
    struct session *found = find_locked(sessions, session, now_ms);
    if (found) {
        *found = (struct session){0};
    }
    MUST(pthread_mutex_unlock(&sessions->mu));
}
