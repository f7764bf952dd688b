#include "notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "base/str.h"

enum {
    SEND_TIMEOUT_US = 500000,
    STATUS_MAX = 320,
    USEC_PER_HALF = 2000, /* half an interval, from microseconds to milliseconds */
};

struct notify {
    int fd; /* -1: nobody listens */
    struct sockaddr_un address;
    socklen_t address_len;
    /* watchdog thread */
    int64_t alive_every_ms; /* 0: nobody asked for signs of life */
    int64_t alive_ms;       /* when the last was sent; 0: none yet */
    char status[STATUS_MAX];
};

/* --- the socket --- */

static int take_address(struct notify *n, const char *path)
{
    size_t len = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || len >= sizeof n->address.sun_path) {
        return -EINVAL;
    }
    n->address.sun_family = AF_UNIX;
    memcpy(n->address.sun_path, path, len + 1);
    n->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    if (path[0] == '@') { /* an abstract name: no path, and no zero at its end */
        n->address.sun_path[0] = '\0';
        n->address_len--;
    }
    return 0;
}

static int64_t alive_interval_ms(void)
{
    const char *usec = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    int64_t number;
    if (pid && (text_parse_int(pid, 1, INT32_MAX, &number) || number != getpid())) {
        return 0; /* meant for another process */
    }
    if (!usec || text_parse_int(usec, 1, INT64_MAX, &number)) {
        return 0;
    }
    return number / USEC_PER_HALF > 0 ? number / USEC_PER_HALF : 1;
}

static void listen_to(struct notify *n, const char *path)
{
    struct timeval patience = {.tv_usec = SEND_TIMEOUT_US};
    if (take_address(n, path)) {
        LOG(LOG_WARN,
            "NOTIFY_SOCKET is no unix socket, the service manager hears nothing",
            LS("socket", path), LEND);
        return;
    }
    n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (n->fd < 0 ||
        setsockopt(n->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience)) {
        LOG(LOG_WARN, "no socket for the service manager", LS("why", strerror(errno)),
            LEND);
    }
}

struct notify *notify_open(void)
{
    struct notify *n = mem_zalloc(sizeof *n);
    const char *path = getenv("NOTIFY_SOCKET");
    n->fd = -1;
    if (path && path[0]) {
        listen_to(n, path);
        n->alive_every_ms = alive_interval_ms();
    }
    return n;
}

void notify_close(struct notify *n)
{
    if (n->fd >= 0) {
        close(n->fd);
    }
    free(n);
}

static void tell(const struct notify *n, const char *text)
{
    ssize_t sent;
    if (n->fd < 0) {
        return;
    }
    do {
        sent = sendto(n->fd, text, strlen(text), MSG_NOSIGNAL,
                      (const struct sockaddr *)&n->address, n->address_len);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        LOG(LOG_WARN, "the service manager cannot be told", LS("why", strerror(errno)),
            LEND);
    }
}

/* --- messages --- */

void notify_ready(struct notify *n)
{
    tell(n, "READY=1");
}

void notify_reloading(struct notify *n)
{
    char text[64];
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
             (long long)now_ms() * 1000);
    tell(n, text);
}

static void tell_alive(struct notify *n, int64_t at_ms)
{
    if (n->alive_every_ms == 0 ||
        (n->alive_ms && at_ms - n->alive_ms < n->alive_every_ms)) {
        return;
    }
    n->alive_ms = at_ms;
    tell(n, "WATCHDOG=1");
}

/* A status is one line, whatever a reason of others' holds. */
static void tell_status(struct notify *n, const char *before, const char *status)
{
    char text[STATUS_MAX + 32];
    char line[STATUS_MAX];
    snprintf(line, sizeof line, "%s", status);
    for (char *c = line; *c; c++) {
        *c = (unsigned char)*c < ' ' ? ' ' : *c;
    }
    if (strcmp(line, n->status) == 0) {
        return;
    }
    memcpy(n->status, line, sizeof line);
    snprintf(text, sizeof text, "%sSTATUS=%s", before, line);
    tell(n, text);
}

static void describe(const struct worker_status *status, char text[STATUS_MAX])
{
    const char *s = status && status->assigned == 1 ? "" : "s";
    if (!status || status->poll_age_ms < 0) {
        snprintf(text, STATUS_MAX, "waiting for Kafka");
    } else if (status->kafka != KAFKA_RUNNING) {
        snprintf(text, STATUS_MAX, "joining the group%s%s",
                 status->kafka_reason[0] ? ": " : "", status->kafka_reason);
    } else if (!status->redis_connected) {
        snprintf(text, STATUS_MAX, "waiting for Redis: %s; %d partition%s, lag %lld",
                 status->redis_reason, status->assigned, s,
                 (long long)status->lag_events);
    } else {
        snprintf(text, STATUS_MAX, "running: %d partition%s, lag %lld", status->assigned,
                 s, (long long)status->lag_events);
    }
}

void notify_worker(struct notify *n, const struct worker_status *status, int64_t at_ms)
{
    char text[STATUS_MAX];
    describe(status, text);
    tell_status(n, "", text);
    if (!status || worker_turns(status)) {
        tell_alive(n, at_ms);
    }
}

void notify_draining(struct notify *n, int64_t at_ms)
{
    tell_status(n, "STOPPING=1\n", "draining");
    tell_alive(n, at_ms);
}
