#include "base/err.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int err_set(struct err *err, int code, const char *format, ...)
{
    if (err == NULL) {
        return code;
    }
    char text[ERR_TEXT_MAX]; /* the arguments may point into err->text */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    err->code = code;
    memcpy(err->text, text, sizeof text);
    return code;
}

int err_wrap(struct err *err, const char *format, ...)
{
    if (err == NULL) {
        return 0;
    }
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char joined[2 * ERR_TEXT_MAX + 2];
    snprintf(joined, sizeof joined, "%s: %s", text, err->text);
    memcpy(err->text, joined, sizeof err->text);
    err->text[ERR_TEXT_MAX - 1] = 0;
    return err->code;
}

_Noreturn void err_bug(const char *file, int line, const char *what)
{
    char text[ERR_TEXT_MAX];
    snprintf(text, sizeof text, "bug: %s:%d: %s\n", file, line, what);
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
    _exit(EXIT_BUG);
}
