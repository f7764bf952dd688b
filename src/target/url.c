#include "target/url.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

enum { PORT_MAX = 65535, HOST_MAX = 255 };

struct url {
    struct template *text;
    char *origin;          /* as written: "https://argocd.acme.io" */
    char *host;            /* with the port */
    size_t empty_segments; /* of the path as configured */
};

/* ---- checking ---- */

/* Where the authority ends; it begins behind "://". */
static size_t authority_len(const char *authority)
{
    return strcspn(authority, "/?#");
}

static bool is_host(const char *host, size_t len)
{
    bool bracketed = len > 2 && host[0] == '[' && host[len - 1] == ']';
    size_t from = bracketed ? 1 : 0;
    size_t to = bracketed ? len - 1 : len;
    for (size_t i = from; i < to; i++) {
        char c = host[i];
        bool ok = bracketed
                      ? isxdigit((unsigned char)c) || c == ':' || c == '.'
                      : isalnum((unsigned char)c) || c == '-' || c == '.' || c == '_';
        if (!ok) {
            return false;
        }
    }
    return to > from && len <= HOST_MAX;
}

/* Read scheme, host and port; sets origin and host. */
static int read_origin(struct url *url, const char *text, struct err *err)
{
    const char *authority = strstr(text, "://");
    bool secure = text_starts(text, "https://");
    if (!secure && !text_starts(text, "http://")) {
        bool templated = *text == '$' || (authority != NULL &&
                                          memchr(text, '$', (size_t)(authority - text)));
        return err_set(err, -EINVAL,
                       templated ? "the scheme may not come from an event"
                                 : "a URL begins with 'https://' or 'http://'");
    }
    authority += strlen("://");
    size_t len = authority_len(authority);
    if (memchr(authority, '$', len) != NULL) {
        return err_set(err, -EINVAL, "the host may not come from an event");
    }
    if (memchr(authority, '@', len) != NULL) {
        return err_set(err, -EINVAL,
                       "user and password do not belong into a URL; use a "
                       "header with ${secret.<name>}");
    }
    const char *colon = memrchr(authority, ':', len);
    if (colon != NULL && memchr(colon, ']', len - (size_t)(colon - authority)) != NULL) {
        colon = NULL; /* inside [::1] */
    }
    size_t host_len = colon != NULL ? (size_t)(colon - authority) : len;
    int64_t port = secure ? 443 : 80;
    if (!is_host(authority, host_len)) {
        return err_set(err, -EINVAL, "the URL names no valid host");
    }
    if (colon != NULL) {
        char *digits = mem_strndup(colon + 1, len - host_len - 1);
        int rc = text_parse_int(digits, 1, PORT_MAX, &port);
        free(digits);
        if (rc != 0) {
            return err_set(err, -EINVAL, "the port of a URL is 1 to %d", PORT_MAX);
        }
    }
    struct str host;
    str_init(&host);
    str_addf(&host, "%s://%.*s:%lld", secure ? "https" : "http", (int)host_len, authority,
             (long long)port);
    url->host = str_take(&host);
    url->origin = mem_strndup(text, (size_t)(authority - text) + len);
    return 0;
}

/* "." or "..", also with its dots percent-encoded: some servers decode first. */
static bool is_dots(const char *segment, size_t len)
{
    size_t dots = 0;
    for (size_t i = 0; i < len; dots++) {
        if (segment[i] == '.') {
            i++;
        } else if (len - i >= 3 && strncasecmp(segment + i, "%2e", 3) == 0) {
            i += 3;
        } else {
            return false;
        }
    }
    return dots == 1 || dots == 2;
}

/* Count the path's empty segments. Returns 0, or -EBADMSG when one is "." or "..". path:
 * from the authority's end; ends at '?'. */
static int check_path(const char *path, size_t *empty)
{
    *empty = 0;
    while (*path == '/') {
        size_t len = strcspn(path + 1, "/?");
        if (is_dots(path + 1, len)) {
            return -EBADMSG;
        }
        *empty += len == 0;
        path += 1 + len;
    }
    return 0;
}

/* Is every byte one that may stand in a URL on the wire? masked: bullets are fine too. */
static bool is_sendable(const char *text, bool masked)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c >= 0x80 && masked) {
            continue;
        }
        if (c <= 0x20 || c >= 0x7f || strchr("\"<>\\^`{|}#", c) != NULL) {
            return false;
        }
    }
    return true;
}

/* ---- making ---- */

/* The URL with every value an 'x': what configuration itself says. */
static void put_sample(const char *text, struct str *out)
{
    while (*text != '\0') {
        const char *end = text_starts(text, "${") ? strchr(text, '}') : NULL;
        if (end != NULL) {
            str_addc(out, 'x');
            text = end + 1;
        } else {
            str_addc(out, *text);
            text += text_starts(text, "$$") ? 2 : 1;
        }
    }
}

static int check_sample(struct url *url, const char *text, struct err *err)
{
    int rc = 0;
    struct str sample;
    str_init(&sample);
    put_sample(text, &sample);
    if (strchr(sample.data, '#') != NULL) {
        rc = err_set(err, -EINVAL, "a fragment ('#') is never sent; write %%23");
    } else if (!is_sendable(sample.data, false)) {
        rc = err_set(err, -EINVAL, "the URL holds a byte that must be percent-encoded");
    } else if (check_path(sample.data + strlen(url->origin), &url->empty_segments) != 0) {
        rc = err_set(err, -EINVAL, "the path holds a segment '.' or '..'");
    }
    str_release(&sample);
    return rc;
}

struct url *url_new(const char *text, const struct template_scope *scope, struct err *err)
{
    struct url *url = mem_zalloc(sizeof(*url));
    int rc = read_origin(url, text, err);
    if (rc == 0) {
        url->text = template_compile_in(text, scope, err);
        rc = url->text == NULL ? -EINVAL : check_sample(url, text, err);
    }
    if (rc != 0) {
        url_free(url);
        return NULL;
    }
    return url;
}

void url_free(struct url *url)
{
    if (url != NULL) {
        template_free(url->text);
        free(url->origin);
        free(url->host);
        free(url);
    }
}

const char *url_host(const struct url *url)
{
    return url->host;
}

bool url_has_secret(const struct url *url)
{
    return template_has_secret(url->text);
}

int url_join(const struct url *url, const char *path, size_t max, struct str *out,
             struct err *err)
{
    size_t empty;
    if (strlen(url->origin) + strlen(path) > max) {
        return err_set(err, -EINVAL, "the URL is longer than %zu bytes", max);
    }
    if (path[0] != '/' || !is_sendable(path, false) || check_path(path, &empty) != 0 ||
        empty > 0) {
        return err_set(err, -EBADMSG, "this is no path of the target");
    }
    str_add(out, url->origin);
    str_add(out, path);
    return 0;
}

int url_fill(const struct url *url, const struct event *ev, size_t max,
             template_secret_fn *secret, void *arg, struct str *out, struct err *err)
{
    size_t start = out->len;
    size_t empty;
    int rc = template_fill(url->text, ev, TEMPLATE_PERCENT, secret, arg, out, err);
    if (rc != 0) {
        return rc;
    }
    const char *text = out->data + start;
    const char *path = text + strlen(url->origin);
    if (out->len - start > max) {
        return err_set(err, -EINVAL, "the URL is longer than %zu bytes", max);
    }
    if (!text_starts(text, url->origin) ||
        (*path != '\0' && strchr("/?", *path) == NULL) ||
        !is_sendable(text, secret == NULL)) {
        return err_set(err, -EBADMSG, "a value would change the URL's host");
    }
    if (check_path(path, &empty) != 0) {
        return err_set(err, -EBADMSG, "a value makes a path segment '.' or '..'");
    }
    if (empty > url->empty_segments) {
        return err_set(err, -EBADMSG, "an empty value leaves a path segment empty");
    }
    return 0;
}
