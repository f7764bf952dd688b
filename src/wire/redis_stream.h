/* The bytes to and from a Redis: a connected socket, with TLS over it for rediss://. The
 * one door to libssl.
 *
 * Nothing here waits: what cannot go on says -EAGAIN, and the owner polls the descriptor
 * under its own deadline. The certificate is always verified, and that it is one for the
 * host of the URL. Files are read anew for each connection, so that a renewed certificate
 * is used from the next one on. Plain data: one thread at a time. */
#ifndef WIRE_REDIS_STREAM_H
#define WIRE_REDIS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "wire/redis_url.h"

/* The least room for a receive: a TLS record as a whole, so that no byte stays inside
 * where poll does not see it. */
enum { REDIS_STREAM_BYTES = 16384 };

struct redis_stream;

/* Can what the URL names be used? Returns 0 or -EINVAL with a sentence. */
int redis_stream_check(const struct redis_url *url, struct err *err);

/* fd  connected and non-blocking; taken. */
struct redis_stream *redis_stream_new(int fd);
void redis_stream_close(struct redis_stream *stream); /* NULL is allowed */
int redis_stream_fd(const struct redis_stream *stream);

/* From here on with TLS. Returns 0, or -EINVAL with a sentence when a file cannot be
 * used. */
int redis_stream_secure(struct redis_stream *stream, const struct redis_url *url,
                        struct err *err);

/* Go on with the handshake of TLS; a plain stream has none.
 * events  out: what to poll for after -EAGAIN.
 * Returns 0, -EAGAIN, -EACCES when either side does not trust the other, or -EIO. */
int redis_stream_greet(struct redis_stream *stream, short *events, struct err *err);

/* Return the number of bytes, at least 1, or -EAGAIN, or -EIO with a sentence, also at
 * the end of the stream. -EACCES: the server does not want our certificate. What was not
 * sent must be sent again first, with the same bytes. */
ssize_t redis_stream_send(struct redis_stream *stream, const char *bytes, size_t len,
                          struct err *err);
ssize_t redis_stream_recv(struct redis_stream *stream, char *bytes, size_t len,
                          struct err *err);

/* After n bytes were received into room for len: may there be more already? */
bool redis_stream_may_have_more(const struct redis_stream *stream, ssize_t n, size_t len);

#endif
