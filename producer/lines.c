#include "lines.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum { READ_BYTES = 64 * 1024 };

int lines_open(struct lines *lines, const char *path, struct err *err)
{
    memset(lines, 0, sizeof *lines);
    str_init(&lines->in);
    bool is_stdin = strcmp(path, "-") == 0;
    lines->name = is_stdin ? "stdin" : path;
    lines->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (lines->fd < 0) {
        return err_set(err, -ENOENT, "%s: %s", path, strerror(errno));
    }
    return 0;
}

void lines_close(struct lines *lines)
{
    if (lines->fd > STDIN_FILENO) {
        close(lines->fd);
    }
    str_release(&lines->in);
}

static size_t unread(const struct lines *lines)
{
    return lines->in.len - lines->at;
}

static const char *find_end(const struct lines *lines)
{
    return memchr(lines->in.data + lines->at, '\n', unread(lines));
}

/* Read more, dropping what was given already. Returns as read(2). */
static ssize_t fill(struct lines *lines)
{
    char bytes[READ_BYTES];
    ssize_t n;
    do {
        n = read(lines->fd, bytes, sizeof bytes);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        lines->ended = true;
        return n;
    }
    size_t rest = unread(lines);
    memmove(lines->in.data, lines->in.data + lines->at, rest);
    lines->in.len = rest;
    lines->at = 0;
    str_put(&lines->in, bytes, (size_t)n);
    return n;
}

/* Skip the rest of a line that is too long, so that the next one begins where it should.
 */
static int skip_rest(struct lines *lines)
{
    const char *end = find_end(lines);
    while (!end && !lines->ended) {
        lines->at = lines->in.len;
        if (fill(lines) < 0) {
            return -EIO;
        }
        end = find_end(lines);
    }
    lines->at = end ? (size_t)(end + 1 - lines->in.data) : lines->in.len;
    return 0;
}

int lines_next(struct lines *lines, const char **text, size_t *len, struct err *err)
{
    const char *end = NULL;
    if (lines->too_long && skip_rest(lines) != 0) {
        return err_set(err, -EIO, "%s: %s", lines->name, strerror(errno));
    }
    lines->too_long = false;
    while (!(end = find_end(lines)) && !lines->ended && unread(lines) <= LINE_BYTES_MAX) {
        if (fill(lines) < 0) {
            return err_set(err, -EIO, "%s: %s", lines->name, strerror(errno));
        }
    }
    if (unread(lines) == 0) {
        return 0;
    }
    *text = lines->in.data + lines->at;
    *len = end ? (size_t)(end - *text) : unread(lines);
    lines->number++;
    if (*len > LINE_BYTES_MAX) {
        *len = LINE_BYTES_MAX;
        lines->too_long = true;
    } else {
        lines->at += *len + (end != NULL);
    }
    return 1;
}

bool lines_would_wait(struct lines *lines)
{
    struct pollfd p = {.fd = lines->fd, .events = POLLIN};
    return !lines->ended && !find_end(lines) && poll(&p, 1, 0) == 0;
}

int lines_read_all(struct lines *lines, size_t max, struct str *out, struct err *err)
{
    ssize_t n = 1;
    while (n > 0) {
        str_put(out, lines->in.data + lines->at, unread(lines));
        lines->at = lines->in.len;
        if (out->len > max) {
            return err_set(err, -EIO, "%s: larger than %zu bytes", lines->name, max);
        }
        n = fill(lines);
    }
    return n == 0 ? 0 : err_set(err, -EIO, "%s: %s", lines->name, strerror(errno));
}
