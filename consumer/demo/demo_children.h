/* Child processes: started, listened to line by line, ended; none outlives its parent.
 *
 * One thread and one poll loop: signals come through a descriptor, so nothing races with
 * them. What a child says on stdout and stderr arrives in order, its end after its last
 * line. Each child has a process group of its own, so a Ctrl-C reaches the parent alone;
 * the kernel kills them when the parent dies. */
#ifndef CONSUMER_DEMO_CHILDREN_H
#define CONSUMER_DEMO_CHILDREN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

enum { CHILDREN_MAX = 32, CHILD_LINE_MAX = 8192, CHILD_LAST_MAX = 1024 };

struct child {
    char name[24]; /* "c-1" */
    pid_t pid;
    int out;    /* its stdout and stderr; -1: closed */
    bool asked; /* it was told to end */
    bool ended;
    int status;                 /* as of waitpid, when ended */
    char last[CHILD_LAST_MAX];  /* its last line, cut */
    char prior[CHILD_LAST_MAX]; /* the one before it */
    char line[CHILD_LINE_MAX];  /* a line that is not whole yet */
    size_t line_len;
};

struct children {
    struct child *list[CHILDREN_MAX]; /* owned, in the order they were started */
    size_t count;
    int signal_fd;
    /* Called from children_turn. */
    void (*said)(void *arg, struct child *child, const char *line);
    void (*ended)(void *arg, struct child *child);
    void (*signalled)(void *arg, int number); /* SIGINT, SIGTERM or SIGHUP */
    void *arg;
};

/* Block the signals and listen for them; the callbacks are the caller's to set. */
void children_init(struct children *children);

/* Kill what still runs, at once, and wait for it. No callback is called. */
void children_release(struct children *children);

/* Run the program argv[0] (a path) with the signals a new process expects and /dev/null
 * to read from. One that cannot be run says so as its first line and ends with 127. argv,
 * env: ended by NULL. Returns borrowed, until children_release; NULL with a sentence. */
struct child *children_start(struct children *children, const char *name,
                             char *const argv[], char *const env[], struct err *err);

/* Ask it to end with this signal; nothing when it has ended. */
void child_end(struct child *child, int number);

/* Wait for something to happen, at most until then, and call back for it. */
void children_turn(struct children *children, int64_t until_ms);

/* "was killed by signal 9 (Killed)", "ended with exit code 78". */
void child_describe_end(const struct child *child, struct str *out);

/* Its exit code, or 128 and the signal's number. */
int child_exit_code(const struct child *child);

#endif
