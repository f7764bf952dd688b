/* What wire/httpd does to sockets without its library. */
#ifndef WIRE_HTTPD_SOCKET_H
#define WIRE_HTTPD_SOCKET_H

#include <stdbool.h>

#include "base/err.h"

/* Bind and listen.
 *
 * address     a numeric address or "localhost".
 * port        0: any free one.
 * port_tries  how many following ports to try when it is taken.
 * bound       out: the port it became.
 * Returns a non-blocking descriptor, or -EINVAL, -EACCES, -EIO with a sentence. */
int httpd_socket_listen(const char *address, int port, int port_tries, int *bound,
                        struct err *err) __attribute__((warn_unused_result));

/* Cut a connection with a reset, now; a mere close would send an orderly end first. The
 * descriptor stays open. */
void httpd_socket_reset(int fd);

/* Has the peer hung up, or shut down its sending side? */
bool httpd_socket_is_gone(int fd);

#endif
