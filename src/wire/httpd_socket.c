#include "wire/httpd_socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

enum { BACKLOG = 511, PORT_MAX = 65535 };

/* Returns a descriptor or a negative errno of the system's. */
static int listen_at(const struct addrinfo *at)
{
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    int one = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, at->ai_addr, at->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

static int listen_port(const char *address, int port, struct err *err)
{
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_PASSIVE | AI_NUMERICSERV |
                    (strcmp(address, "localhost") == 0 ? 0 : AI_NUMERICHOST),
    };
    struct addrinfo *at = NULL;
    size_t len = strlen(address);
    bool bracketed = len > 2 && address[0] == '[' && address[len - 1] == ']';
    char *host = mem_strndup(address + bracketed, len - 2 * (size_t)bracketed);
    int rc = getaddrinfo(host, service, &hints, &at);
    free(host);
    if (rc != 0) {
        return err_set(err, -EINVAL, "cannot listen on \"%s\": not an address of a host",
                       address);
    }
    int fd = listen_at(at);
    freeaddrinfo(at);
    if (fd < 0) {
        err_set(err, fd, "cannot listen on %s:%d: %s", address, port, strerror(-fd));
    }
    return fd;
}

static int bound_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } name = {0};
    socklen_t len = sizeof name;
    MUST(getsockname(fd, &name.any, &len));
    return ntohs(name.any.sa_family == AF_INET6 ? name.v6.sin6_port : name.v4.sin_port);
}

int httpd_socket_listen(const char *address, int port, int port_tries, int *bound,
                        struct err *err)
{
    if (port < 0 || port > PORT_MAX) {
        return err_set(err, -EINVAL, "cannot listen on port %d: not a port", port);
    }
    int last = port == 0 ? 0 : port + port_tries;
    int fd = -EADDRINUSE;
    for (int p = port; p <= last && p <= PORT_MAX && fd == -EADDRINUSE; p++) {
        fd = listen_port(address, p, err);
    }
    if (fd >= 0) {
        *bound = bound_port(fd);
        return fd;
    }
    return fd == -EACCES || fd == -EINVAL ? fd : -EIO;
}

void httpd_socket_reset(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    (void)connect(fd, &none, sizeof none);
}

bool httpd_socket_is_gone(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};
    return poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}
