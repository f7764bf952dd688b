/* The loop's interest in its sockets, as epoll knows it. The loop's thread only.
 *
 * A connection that is idle between two calls stays registered, for two reasons. It saves
 * two system calls a request. And what comes on an idle connection, a close, a reset or a
 * byte nobody asked for, makes it unfit for the next call, whose answer it would be taken
 * for: it is emptied and shut down at once, so that libcurl finds it dead when it picks
 * it (7.88 by itself reuses connections that were reset or hold unread bytes). */
#ifndef WIRE_HTTP_SOCKETS_H
#define WIRE_HTTP_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>

struct http_sockets;

/* epoll_fd  borrowed; events carry the tags given to http_sockets_want. */
struct http_sockets *http_sockets_new(int epoll_fd);
void http_sockets_free(struct http_sockets *sockets);

/* A connection's socket, from its making to its closing. Others (a resolver's pair) are
 * only wanted and not wanted. */
void http_sockets_opened(struct http_sockets *sockets, int fd);
void http_sockets_close(struct http_sockets *sockets, int fd);

/* events  EPOLLIN, EPOLLOUT, both, or 0: none. */
void http_sockets_want(struct http_sockets *sockets, int fd, uint64_t tag,
                       uint32_t events);

/* An event came: is somebody waiting for it? If not, the connection was shut down. */
bool http_sockets_expected(struct http_sockets *sockets, int fd);

#endif
