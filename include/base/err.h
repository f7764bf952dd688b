/* Errors and bugs.
 *
 * A fallible function returns 0 or a negative errno out of the set ECANCELED ETIMEDOUT
 * EPIPE EAGAIN ENOMEM EINVAL EBADMSG EIO EPROTO EACCES ENOENT; where a person needs a
 * sentence its last parameter is a `struct err`, written on failure only. A bug (a broken
 * invariant of ours) is not an error: ASSERT and MUST end the process with exit code 70,
 * also in release builds. Any thread. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>

enum { ERR_TEXT_MAX = 512, EXIT_BUG = 70 };

struct err {
    int code;                /* negative errno, 0 when unused */
    char text[ERR_TEXT_MAX]; /* a full sentence, cut if too long, no full stop */
};

#define ERR_INIT \
    { \
        .code = 0 \
    }

/* Write a sentence and hand the code back: `return err_set(err, -EINVAL, "...", ...)`.
 * The arguments may quote err->text itself.
 *
 * err  may be NULL: then only the code is returned. */
int err_set(struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "<context>: " before the sentence that is there; returns its code (0 for NULL). */
int err_wrap(struct err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Report a broken invariant on stderr and end the process with EXIT_BUG. */
_Noreturn void err_bug(const char *file, int line, const char *what);

#define ASSERT(x) \
    do { \
        if (!(x)) { \
            err_bug(__FILE__, __LINE__, #x); \
        } \
    } while (0)

/* For calls that return 0 unless we misuse them (pthread_*). */
#define MUST(call) \
    do { \
        if ((call) != 0) { \
            err_bug(__FILE__, __LINE__, #call); \
        } \
    } while (0)

#endif
