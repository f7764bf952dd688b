/* Between the files of the guard: guard.c knows and asks, guard_session.c signs in. */
#ifndef CONSUMER_GUARD_INSIDE_H
#define CONSUMER_GUARD_INSIDE_H

#include <pthread.h>

#include "guard.h"

enum { GUARD_KEYS_MAX = CONFIG_TOKENS_MAX + 1 };

enum guard_answer {
    GUARD_ALLOWED,
    GUARD_UNKNOWN,
    GUARD_DENIED,
    GUARD_ERROR,
    GUARD_ANSWERS
};

struct guard_key {
    struct session_hash hash;
    char name[TARGET_NAME_MAX];
    bool is_operator; /* of console.token_file */
};

struct guard_keys {
    struct guard_key items[GUARD_KEYS_MAX];
    size_t count;
    bool wanted; /* to read, too */
};

struct guard {
    /* read-only after guard_new */
    bool acts;
    struct access *access;
    struct sessions *sessions; /* NULL: none */
    struct metric *answers[GUARD_ANSWERS];

    pthread_mutex_t mu; /* then the access' */
    /* guarded by mu */
    struct guard_keys keys;
    size_t parts;
};

/* The one with this hash, or NULL; in a time that does not say which. */
const struct guard_key *guard_find(const struct guard_keys *keys,
                                   const struct session_hash *hash);

enum guard_identity { GUARD_KNOWN, GUARD_NO_TOKEN, GUARD_WRONG_TOKEN, GUARD_TWO_TOKENS };

/* by_bearer_only  no session will do. who: out. */
enum guard_identity guard_identify(struct guard *guard,
                                   const struct httpd_request *request,
                                   bool by_bearer_only, struct guard_who *who);

/* 401. Returns false. */
bool guard_refuse(struct guard *guard, struct httpd_request *request,
                  enum guard_identity identity);

void guard_count(struct guard *guard, enum guard_answer answer);

#endif
