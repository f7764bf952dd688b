#include "kube/credential.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "kube/kubeconfig.h"

static int open_fault(struct err *err, const char *path)
{
    bool denied = errno == EACCES || errno == EPERM;
    return err_set(err,
                   denied            ? -EACCES
                   : errno == ENOENT ? -ENOENT
                                     : -EIO,
                   "%.300s cannot be read: %s", path, strerror(errno));
}

static int read_all(int fd, const char *path, size_t max, struct str *out,
                    struct err *err)
{
    char chunk[16 * 1024];
    ssize_t n = 1;
    while (n > 0 && out->len <= max) {
        n = read(fd, chunk, sizeof chunk);
        if (n > 0) {
            str_put(out, chunk, (size_t)n);
        } else if (n < 0 && errno == EINTR) {
            n = 1;
        }
    }
    mem_wipe(chunk, sizeof chunk);
    if (n < 0) {
        return open_fault(err, path);
    }
    if (out->len > max) {
        return err_set(err, -EBADMSG, "%.300s is longer than %zu bytes", path, max);
    }
    if (memchr(out->data, '\0', out->len) != NULL) {
        return err_set(err, -EBADMSG, "%.300s holds a byte 0", path);
    }
    return 0;
}

void kube_wipe(char *text)
{
    if (text != NULL) {
        mem_wipe(text, strlen(text));
        free(text);
    }
}

/* A pipe would keep us waiting, and cannot be read again: regular files only. */
char *kube_file_read(const char *path, size_t max, struct err *err)
{
    struct stat seen;
    struct str out;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        (void)open_fault(err, path);
        return NULL;
    }
    str_init(&out);
    int rc = 0;
    if (fstat(fd, &seen) != 0) {
        rc = open_fault(err, path);
    } else if (!S_ISREG(seen.st_mode)) {
        rc = err_set(err, -EIO, "%.300s is no regular file", path);
    } else {
        rc = read_all(fd, path, max, &out, err);
    }
    (void)close(fd);
    if (rc == 0) {
        return str_take(&out);
    }
    mem_wipe(out.data, out.len);
    str_release(&out);
    return NULL;
}

/* Cut white space off both ends; what is left may be a header's value. */
bool kube_token_trim(char *text)
{
    size_t from = strspn(text, " \t\r\n");
    size_t len = strlen(text + from);
    while (len > 0 && strchr(" \t\r\n", text[from + len - 1]) != NULL) {
        len--;
    }
    memmove(text, text + from, len);
    memset(text + len, 0, strlen(text + len));
    for (const char *c = text; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~') {
            return false;
        }
    }
    return len > 0;
}

char *kube_token_read(const char *path, struct err *err)
{
    char *text = kube_file_read(path, KUBE_TOKEN_MAX, err);
    if (text == NULL || kube_token_trim(text)) {
        return text;
    }
    kube_wipe(text);
    err_set(err, -EBADMSG,
            "%.300s holds no token: it is empty, or has a space or a control character "
            "in it",
            path);
    return NULL;
}
