/* RESP, both ways: commands are written by us into one buffer, replies are read by
 * hiredis. The one door to hiredis; no sockets here. Plain data: the owner's thread only.
 */
#ifndef WIRE_REDIS_RESP_H
#define WIRE_REDIS_RESP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "wire/redis.h"

/* What a peer may make us hold: one reply, or the unread rest of one. */
enum { REDIS_REPLY_BYTES_MAX = 4 * 1024 * 1024, REDIS_SHA_LEN = 40 };

/* The exact size of a command's text; with sha_offset the command is an EVALSHA whose
 * hash is left open. */
size_t redis_resp_size(const struct redis_command *command);

/* Write it. Returns where the 40 bytes of the script's hash belong (filled with zeros for
 * now), 0 for a command without a script. */
size_t redis_resp_write(const struct redis_command *command, char *out);

/* A short command of texts, for handshakes; the list ends with NULL. */
void redis_resp_add(struct str *out, ...);

struct redis_reader;

struct redis_reader *redis_reader_new(void);
void redis_reader_free(struct redis_reader *reader);

/* Returns 0, or -EPROTO when the peer exceeds REDIS_REPLY_BYTES_MAX or speaks nonsense.
 */
int redis_reader_feed(struct redis_reader *reader, const char *bytes, size_t len,
                      struct err *err);

/* The next whole reply, or *reply = NULL when there is none yet. Returns 0 or -EPROTO.
 * reply  owned by the caller: redis_reply_free. */
int redis_reader_next(struct redis_reader *reader, struct redis_reply **reply,
                      struct err *err);
void redis_reply_free(struct redis_reply *reply);

/* Does this error reply say so? Servers before 7.0 wrap the errors of commands inside
 * scripts, so the word is looked for anywhere. */
bool redis_reply_says(const struct redis_reply *reply, const char *word);

#endif
