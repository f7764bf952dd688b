/* Who we are to one cluster, looked at again when the files that say so change.
 *
 * A look costs a few calls of stat at most every IDENTITY_LOOK_MS, on the thread of
 * whoever begins a call; after an answer of 401 at once, on the loop: the files are small
 * and local. What cannot be read leaves what we have. Any thread. */
#ifndef KUBE_IDENTITY_H
#define KUBE_IDENTITY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/str.h"
#include "kube/client.h"
#include "kube/kubeconfig.h"

enum { IDENTITY_LOOK_MS = 1000, IDENTITY_FILES = 4 };

struct identity {
    /* read-only after identity_open */
    const char *name; /* of the cluster, borrowed */
    bool has_files;
    struct http_pool *pool;

    pthread_mutex_t mu;
    /* guarded by mu */
    struct kube_access access; /* its texts that are no secret are read-only */
    uint64_t generation;       /* grows with each change */
    int64_t looked_ms;
    bool looking;
    /* owned by who is looking */
    struct stat stamps[IDENTITY_FILES];
};

/* Read it and make the pool. Returns 0 or an error, with a sentence. */
int identity_open(struct identity *identity, struct http *http,
                  const struct kube_options *options, struct err *err)
    __attribute__((warn_unused_result));
void identity_close(struct identity *identity); /* frees the pool, wipes the secrets */

/* Have the files changed?
 * at_once  not only when the last look is IDENTITY_LOOK_MS old.
 * Returns whether we may be somebody new since the generation given. */
bool identity_look(struct identity *identity, bool at_once, uint64_t generation);

/* Append the value of the authorization header; nothing when we bring no such credential.
 * Returns the generation it is of. */
uint64_t identity_authorization(struct identity *identity, struct str *value);

#endif
