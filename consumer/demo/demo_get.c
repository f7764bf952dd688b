#include "demo_get.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/now.h"

/* Wait until the socket can do this. Returns 0 or -ETIMEDOUT. */
static int await(int fd, short events, int64_t until_ms)
{
    struct pollfd wait = {.fd = fd, .events = events};
    int64_t left_ms = until_ms - now_ms();
    if (left_ms <= 0) {
        return -ETIMEDOUT;
    }
    return poll(&wait, 1, (int)(left_ms < 60000 ? left_ms : 60000)) == 1 ? 0 : -ETIMEDOUT;
}

static int connect_to(int fd, int port, int64_t until_ms)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    int code = 0;
    socklen_t len = sizeof code;
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0) {
        return 0;
    }
    if (errno != EINPROGRESS) {
        return -EIO;
    }
    if (await(fd, POLLOUT, until_ms)) {
        return -ETIMEDOUT;
    }
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &len) == 0 && code == 0 ? 0 : -EIO;
}

/* Read to the end of the connection. */
static int read_all(int fd, int64_t until_ms, struct str *answer)
{
    char bytes[16384];
    while (answer->len < DEMO_GET_BYTES_MAX) {
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n == 0) {
            return 0;
        }
        if (n > 0) {
            str_put(answer, bytes, (size_t)n);
        } else if (errno != EAGAIN && errno != EINTR) {
            return -EIO;
        } else if (await(fd, POLLIN, until_ms)) {
            return -ETIMEDOUT;
        }
    }
    return -EIO;
}

/* HTTP/1.0 asks for the plain form: no chunks, the connection closed behind the body. */
static int ask(int fd, int port, const char *path, int64_t until_ms, struct str *answer)
{
    struct str request;
    str_init(&request);
    str_addf(&request, "GET %s HTTP/1.0\r\nHost: 127.0.0.1:%d\r\n\r\n", path, port);
    int rc = connect_to(fd, port, until_ms);
    if (rc == 0) {
        ssize_t n = send(fd, request.data, request.len, MSG_NOSIGNAL);
        rc = n == (ssize_t)request.len ? read_all(fd, until_ms, answer) : -EIO;
    }
    str_release(&request);
    return rc;
}

int demo_get(int port, const char *path, int64_t until_ms, struct str *body,
             struct err *err)
{
    struct str answer;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return err_set(err, -EIO, "no socket: %s", strerror(errno));
    }
    str_init(&answer);
    int rc = ask(fd, port, path, until_ms, &answer);
    close(fd);
    const char *end = strstr(answer.data, "\r\n\r\n");
    bool good = text_starts(answer.data, "HTTP/1.") && strlen(answer.data) > 12 &&
                memcmp(answer.data + 8, " 200", 4) == 0;
    if (rc) {
        err_set(err, rc, "http://127.0.0.1:%d%s: %s", port, path,
                rc == -ETIMEDOUT ? "no answer in time" : "no connection");
    } else if (!good || !end) {
        rc = err_set(err, -EPROTO, "http://127.0.0.1:%d%s: answered %.40s", port, path,
                     answer.data);
    } else {
        str_clear(body);
        str_add(body, end + 4);
    }
    str_release(&answer);
    return rc;
}
