/* Redis over one connection and one thread per process.
 *
 * Callers on any thread hand in commands; whatever is waiting goes out as one pipeline
 * (group commit). Each command has its own deadline and ends exactly once through `done`
 * on the redis thread, also at stop. Deadlines hold whatever the server, the network or
 * the resolver does: the descriptor is non-blocking under our own poll loop, and names
 * are resolved and connections made by a second thread (hiredis' own timeouts do not
 * hold: EINTR restarts them, reconnect drops them, DNS has none).
 *
 * The connection is made again for ever, with jittered backoff of at most 1 s, of 5 s
 * where it was refused. What goes on failing alike is said once a minute. A reply
 * that was not read before its connection broke is lost: idempotent commands are sent
 * again if their deadline allows, the others end with -EIO. */
#ifndef WIRE_REDIS_H
#define WIRE_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/metrics.h"

struct redis;
struct redis_reply;  /* borrowed inside done; hiredis' type underneath */
struct redis_script; /* a Lua text with its SHA-1, registered before the first use */

enum { REDIS_ARGS_MAX = 24 };

enum redis_reply_kind {
    REDIS_NIL,
    REDIS_STRING,
    REDIS_STATUS,
    REDIS_ERROR,
    REDIS_INTEGER,
    REDIS_ARRAY,
};

enum redis_reply_kind redis_reply_kind(const struct redis_reply *reply);
int64_t redis_reply_integer(const struct redis_reply *reply);
const char *redis_reply_text(const struct redis_reply *reply,
                             size_t *len); /* string, status, error */
size_t redis_reply_count(const struct redis_reply *reply);
const struct redis_reply *redis_reply_at(const struct redis_reply *reply, size_t i);

/* rc     0 with a reply (which may be a REDIS_ERROR other than the ones handled here), or
 *        -ETIMEDOUT (deadline passed; the command may or may not have been executed), or
 *        -EIO (connection lost after it was written and it is not idempotent; or 131,072
 *        commands are open), or -ECANCELED (stop).
 * reply  NULL unless rc is 0; borrowed until done returns.
 * Runs on the redis thread; never blocks. */
typedef void redis_done_fn(void *arg, int rc, const struct redis_reply *reply);

struct redis_command {
    const char *args[REDIS_ARGS_MAX]; /* copied by redis_send */
    size_t lens[REDIS_ARGS_MAX];
    size_t arg_count;
    struct redis_script
        *script; /* not NULL: args are keys and arguments, EVALSHA is put before them */
    size_t key_count;    /* for scripts: how many of args are keys */
    int64_t deadline_ms; /* monotonic */
    bool idempotent;     /* may be sent again after a lost connection */
    int64_t linger_ms;   /* after the deadline called done with -ETIMEDOUT, or done got an
                            error reply, keep trying to deliver it (no second done) for so
                            long: for facts that must be recorded after an outage. 0: no.
                            Bounded by REDIS_LINGER_MAX commands, the oldest dropped first
                            and counted */
    redis_done_fn *done; /* may be NULL */
    const char *name; /* "claim": redis_call measures under the name of the first; NULL:
                         not measured */
    void *arg;
};

enum { REDIS_LINGER_MAX = 65536 };

struct redis_options {
    const char *url; /* redis://[user[:password]@]host[:port][/db], rediss:// for TLS,
                        unix:///path[?db=n] */
    const char *username; /* override the URL's; NULL: none */
    const char *password;
    const char *ca_file;   /* for rediss://: who is trusted; NULL: the system's */
    const char *cert_file; /* for rediss://: what is shown, PEM; NULL: nothing */
    const char *key_file;
    /* A Lua text that does what all scripts do, run on this key at each connect: a user
     * without the right to it is refused then, instead of failing at every command.
     * Borrowed for ever; NULL: none. Errors that are not about rights do not count. */
    const char *trial_text;
    const char *trial_key; /* copied */
    int64_t connect_timeout_ms;
    struct metrics *metrics; /* may be NULL */
    /* Called on the redis thread after each successful (re)connect, before queued
     * commands go out. run_id: the server's; changed: it differs from the last one seen.
     * May be NULL. */
    void (*connected)(void *arg, const char *run_id, bool changed);
    void *arg;
};

/* Check a URL without opening a socket. Returns 0 or -EINVAL with a sentence. */
int redis_url_check(const char *url, struct err *err);

/* Start the threads; does not wait for the connection. NULL with err on a bad URL, or a
 * file for TLS that cannot be used. */
struct redis *redis_start(const struct redis_options *options, struct err *err);

/* Wait until lingering and open commands are delivered or until the deadline, end the
 * rest with -ECANCELED, join. */
void redis_stop(struct redis *redis, int64_t until_ms);

/* Register a script; it is loaded at each connect and again on NOSCRIPT. Before the first
 * send that uses it. text: borrowed for ever (it is compiled in); the same text gives the
 * same script, at most 32 of them. Lives until redis_stop. */
struct redis_script *redis_script_new(struct redis *redis, const char *text);

/* Hand in n commands as one unit of the pipeline. Copies the arguments; the structs may
 * go at once. Any thread, also from done functions. Never blocks. */
void redis_send(struct redis *redis, const struct redis_command *commands, size_t n);

/* Send and wait until all n are done; each command's own done is called as usual (on the
 * redis thread). Returns 0 when every command got a reply, else the first non-zero rc.
 * Any thread but the redis thread and the http loop. */
int redis_call(struct redis *redis, const struct redis_command *commands, size_t n)
    __attribute__((warn_unused_result));

bool redis_is_connected(struct redis *redis);
/* A sentence about the last connect failure, "" when connected: "NOAUTH Authentication
 * required". */
void redis_last_error(struct redis *redis, char *text, size_t text_len);
/* Refused for good by either side (wrong password, no permission, a certificate that is
 * not trusted), not merely unreachable. */
bool redis_is_refused(struct redis *redis);

/* maxmemory-policy as read at connect; "" when unknown (not connected, INFO not
 * permitted). */
void redis_eviction_policy(struct redis *redis, char *text, size_t text_len);

const char *redis_library_version(void);

#endif
