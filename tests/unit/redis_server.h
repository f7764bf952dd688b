/* A private redis-server for one test: on a unix socket in a directory of its own (and a
 * free TCP port when asked), without persistence, gone with the test. */
#ifndef TESTS_UNIT_REDIS_SERVER_H
#define TESTS_UNIT_REDIS_SERVER_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/now.h"
#include "wire/redis.h"

/* Generous: under a sanitizer on a busy machine. Never waited for when all is well. */
enum { PATIENCE_MS = 20000 };

struct redis_server {
    char dir[64];
    char socket[96];
    char url[128];
    int port; /* 0: none */
    const char *password;
    pid_t pid;
};

static inline void redis_server_launch(struct redis_server *server)
{
    char port[16];
    char log[96];
    snprintf(port, sizeof port, "%d", server->port);
    snprintf(log, sizeof log, "%s/log", server->dir);
    server->pid = fork();
    ASSERT(server->pid >= 0);
    if (server->pid > 0) {
        return;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1",
                 "--unixsocket", server->socket, "--save", "", "--appendonly", "no",
                 "--dir", server->dir, "--logfile", log, "--enable-debug-command", "yes",
                 server->password ? "--requirepass" : NULL, server->password, NULL);
    _exit(127);
}

static inline void redis_server_start(struct redis_server *server, bool tcp,
                                      const char *password)
{
    memset(server, 0, sizeof *server);
    server->password = password;
    strncpy(server->dir, "/tmp/sluice-redis-XXXXXX", sizeof server->dir - 1);
    ASSERT(mkdtemp(server->dir));
    snprintf(server->socket, sizeof server->socket, "%s/sock", server->dir);
    snprintf(server->url, sizeof server->url, "unix://%s", server->socket);
    if (tcp) {
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof address;
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        ASSERT(bind(fd, (struct sockaddr *)&address, len) == 0);
        ASSERT(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
        close(fd);
        server->port = ntohs(address.sin_port);
        snprintf(server->url, sizeof server->url, "redis://127.0.0.1:%d", server->port);
    }
    redis_server_launch(server);
}

static inline void redis_server_kill(struct redis_server *server)
{
    if (server->pid > 0) {
        kill(server->pid, SIGKILL);
        waitpid(server->pid, NULL, 0);
        server->pid = 0;
    }
}

static inline void redis_server_stop(struct redis_server *server)
{
    char log[128];
    redis_server_kill(server);
    snprintf(log, sizeof log, "%s/log", server->dir);
    unlink(log);
    unlink(server->socket);
    rmdir(server->dir);
}

static inline void redis_server_freeze(struct redis_server *server)
{
    int status;
    kill(server->pid, SIGSTOP);
    waitpid(server->pid, &status, WUNTRACED);
}

static inline void redis_server_thaw(struct redis_server *server)
{
    kill(server->pid, SIGCONT);
}

static inline struct redis *redis_client(const char *url)
{
    struct redis_options options = {.url = url, .connect_timeout_ms = 2000};
    struct err err = ERR_INIT;
    struct redis *redis = redis_start(&options, &err);
    ASSERT(redis);
    return redis;
}

/* One answer, copied. */
struct answer {
    int calls;
    int rc;
    enum redis_reply_kind kind;
    int64_t integer;
    size_t count;
    char text[256];
};

static inline void answer_done(void *arg, int rc, const struct redis_reply *reply)
{
    struct answer *answer = arg;
    answer->calls++;
    answer->rc = rc;
    if (reply) {
        answer->kind = redis_reply_kind(reply);
        answer->integer = redis_reply_integer(reply);
        answer->count = redis_reply_count(reply);
        snprintf(answer->text, sizeof answer->text, "%s", redis_reply_text(reply, NULL));
    }
}

/* "SET k v", split at blanks; the text must outlive the send. */
static inline struct redis_command command_of(char *text, struct answer *answer,
                                              int64_t deadline_ms)
{
    struct redis_command command = {.deadline_ms = deadline_ms,
                                    .idempotent = true,
                                    .done = answer_done,
                                    .arg = answer};
    char *save = NULL;
    for (char *word = strtok_r(text, " ", &save); word;
         word = strtok_r(NULL, " ", &save)) {
        command.args[command.arg_count] = word;
        command.lens[command.arg_count] = strlen(word);
        command.arg_count++;
    }
    return command;
}

static inline struct answer ask_until(struct redis *redis, const char *text,
                                      int64_t deadline_ms)
{
    char copy[512];
    struct answer answer = {0};
    snprintf(copy, sizeof copy, "%s", text);
    struct redis_command command = command_of(copy, &answer, deadline_ms);
    int rc = redis_call(redis, &command, 1);
    ASSERT(rc == answer.rc && answer.calls == 1);
    return answer;
}

static inline struct answer ask(struct redis *redis, const char *text)
{
    return ask_until(redis, text, now_ms() + PATIENCE_MS);
}

#endif
