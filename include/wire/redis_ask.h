/* Ask Redis and keep the answer: for commands of operators, which wait and read, not for
 * lanes. Over wire/redis; any thread but the redis thread and the http loop. */
#ifndef WIRE_REDIS_ASK_H
#define WIRE_REDIS_ASK_H

#include "wire/redis.h"

/* A reply as plain data; ours after the call. */
struct redis_value {
    enum redis_reply_kind kind;
    int64_t integer;
    char *text; /* string, status, error; ended by NUL; else NULL */
    size_t len;
    struct redis_value *items; /* array */
    size_t count;
};

/* Send n commands as one pipeline and wait for all answers, each at most until its own
 * deadline. Their done and arg are used here.
 *
 * values  out: n of them; redis_values_release in every case.
 * Returns 0 when each got an answer that is no error; -EACCES when Redis refused
 * (credentials, ACL); -EPROTO for another error reply; -ETIMEDOUT, -EIO or -ECANCELED
 * when it did not answer; with a sentence. */
int redis_ask(struct redis *redis, struct redis_command *commands, size_t n,
              struct redis_value *values, struct err *err)
    __attribute__((warn_unused_result));

void redis_values_release(struct redis_value *values, size_t n);

/* "HGETALL key" as words; ended by NULL, at most REDIS_ARGS_MAX. */
struct redis_command redis_words(int64_t deadline_ms, bool idempotent, ...);

/* The value of a field of HGETALL's reply, or NULL. */
const struct redis_value *redis_value_field(const struct redis_value *hash,
                                            const char *name);

#endif
