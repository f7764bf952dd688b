#include "demo_children.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/now.h"

enum { READS_A_TURN = 16, EXIT_NOT_RUN = 127 };

static void our_signals(sigset_t *set)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD};
    sigemptyset(set);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        sigaddset(set, numbers[i]);
    }
}

void children_init(struct children *children)
{
    sigset_t set;
    our_signals(&set);
    MUST(pthread_sigmask(SIG_BLOCK, &set, NULL));
    *children = (struct children){
        .signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
    };
    ASSERT(children->signal_fd >= 0);
}

/* --- start --- */

/* Between fork and exec: calls that are safe there only. */
static _Noreturn void become(char *const argv[], char *const env[], int out, pid_t parent)
{
    sigset_t none;
    struct sigaction initial = {.sa_handler = SIG_DFL};
    int in = open("/dev/null", O_RDONLY);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(EXIT_NOT_RUN); /* it died before we could ask to be told */
    }
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    sigaction(SIGPIPE, &initial, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(argv[0], argv, env);
    const char *why = strerror(errno);
    if (write(STDERR_FILENO, "cannot be run: ", 15) < 0 ||
        write(STDERR_FILENO, why, strlen(why)) < 0) {
        _exit(EXIT_NOT_RUN); /* unheard; the code says it too */
    }
    _exit(EXIT_NOT_RUN);
}

struct child *children_start(struct children *children, const char *name,
                             char *const argv[], char *const env[], struct err *err)
{
    int ends[2];
    if (children->count == CHILDREN_MAX) {
        err_set(err, -EINVAL, "more than %d child processes", CHILDREN_MAX);
        return NULL;
    }
    if (pipe2(ends, O_CLOEXEC) != 0) {
        err_set(err, -EIO, "%s: no pipe: %s", name, strerror(errno));
        return NULL;
    }
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        become(argv, env, ends[1], parent);
    }
    close(ends[1]);
    if (pid < 0) {
        err_set(err, -EIO, "%s: no process: %s", name, strerror(errno));
        close(ends[0]);
        return NULL;
    }
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    struct child *child = mem_zalloc(sizeof *child);
    snprintf(child->name, sizeof child->name, "%s", name);
    child->pid = pid;
    child->out = ends[0];
    children->list[children->count++] = child;
    return child;
}

/* --- listen --- */

static void hear_line(struct children *children, struct child *child)
{
    child->line[child->line_len] = '\0';
    child->line_len = 0;
    if (child->line[0] == '\0') {
        return;
    }
    memcpy(child->prior, child->last, sizeof child->prior);
    snprintf(child->last, sizeof child->last, "%.*s", CHILD_LAST_MAX - 1, child->line);
    if (children->said) {
        children->said(children->arg, child, child->line);
    }
}

static void hear(struct children *children, struct child *child, const char *bytes,
                 size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool full = child->line_len == sizeof child->line - 1; /* a longer line is cut */
        if (bytes[i] == '\n' || bytes[i] == '\r') {
            hear_line(children, child);
        } else if (!full && bytes[i] != '\0') {
            child->line[child->line_len++] = bytes[i];
        }
    }
}

/* Read what is there, a bounded piece of it. Returns whether there may be more. */
static bool listen_to(struct children *children, struct child *child)
{
    char bytes[4096];
    for (int i = 0; i < READS_A_TURN && child->out >= 0; i++) {
        ssize_t n = read(child->out, bytes, sizeof bytes);
        if (n > 0) {
            hear(children, child, bytes, (size_t)n);
        } else if (n < 0 && errno == EAGAIN) {
            return false;
        } else if (n == 0 || errno != EINTR) {
            close(child->out);
            child->out = -1;
        }
    }
    return child->out >= 0;
}

static struct child *find(struct children *children, pid_t pid)
{
    for (size_t i = 0; i < children->count; i++) {
        if (children->list[i]->pid == pid && !children->list[i]->ended) {
            return children->list[i];
        }
    }
    return NULL;
}

static void bury(struct children *children, struct child *child, int status)
{
    while (listen_to(children, child)) {
        /* its last words, before its end is told */
    }
    hear_line(children, child);
    if (child->out >= 0) {
        close(child->out);
        child->out = -1;
    }
    child->ended = true;
    child->status = status;
    if (children->ended) {
        children->ended(children->arg, child);
    }
}

static void reap(struct children *children)
{
    int status = 0;
    pid_t pid = waitpid(-1, &status, WNOHANG);
    for (; pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
        struct child *child = find(children, pid);
        if (child) {
            bury(children, child, status);
        }
    }
}

static void take_signals(struct children *children)
{
    struct signalfd_siginfo info;
    while (read(children->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD) {
            reap(children);
        } else if (children->signalled) {
            children->signalled(children->arg, (int)info.ssi_signo);
        }
    }
}

void children_turn(struct children *children, int64_t until_ms)
{
    struct pollfd fds[CHILDREN_MAX + 1] = {
        {.fd = children->signal_fd, .events = POLLIN},
    };
    size_t n = children->count;
    for (size_t i = 0; i < n; i++) {
        fds[i + 1] = (struct pollfd){.fd = children->list[i]->out, .events = POLLIN};
    }
    int64_t left_ms = until_ms - now_ms();
    left_ms = left_ms < 0 ? 0 : left_ms > 1000 ? 1000 : left_ms;
    if (poll(fds, n + 1, (int)left_ms) <= 0) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (fds[i + 1].revents) {
            listen_to(children, children->list[i]);
        }
    }
    if (fds[0].revents) {
        take_signals(children);
    }
}

/* --- end --- */

void child_end(struct child *child, int number)
{
    if (child && !child->ended) {
        child->asked = true;
        kill(child->pid, number);
    }
}

void child_describe_end(const struct child *child, struct str *out)
{
    if (WIFSIGNALED(child->status)) {
        int number = WTERMSIG(child->status);
        str_addf(out, "was killed by signal %d (%s)", number, strsignal(number));
    } else {
        str_addf(out, "ended with exit code %d", WEXITSTATUS(child->status));
    }
}

int child_exit_code(const struct child *child)
{
    return WIFSIGNALED(child->status) ? 128 + WTERMSIG(child->status)
                                      : WEXITSTATUS(child->status);
}

void children_release(struct children *children)
{
    for (size_t i = 0; i < children->count; i++) {
        if (!children->list[i]->ended) {
            kill(children->list[i]->pid, SIGKILL);
        }
    }
    for (size_t i = 0; i < children->count; i++) {
        struct child *child = children->list[i];
        while (!child->ended && waitpid(child->pid, NULL, 0) < 0 && errno == EINTR) {
        }
        if (child->out >= 0) {
            close(child->out);
        }
        free(child);
    }
    close(children->signal_fd);
    *children = (struct children){.signal_fd = -1};
}
