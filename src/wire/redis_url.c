#include "wire/redis_url.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/mem.h"
#include "base/str.h"
#include "wire/redis.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

/* %41 becomes A; a lone % stays, as people write passwords. */
static char *percent_decoded(const char *text, size_t len)
{
    char *out = mem_alloc(len + 1);
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        int high = i + 2 < len ? hex_value(text[i + 1]) : -1;
        int low = high >= 0 ? hex_value(text[i + 2]) : -1;
        if (text[i] == '%' && low >= 0) {
            out[n++] = (char)(high * 16 + low);
            i += 2;
        } else {
            out[n++] = text[i];
        }
    }
    out[n] = '\0';
    return out;
}

static int parse_db(const char *text, struct redis_url *url, struct err *err)
{
    int64_t db = 0;
    if (*text && text_parse_int(text, 0, REDIS_DB_MAX, &db) != 0) {
        return err_set(err, -EINVAL, "redis.url: the database must be a number, not '%s'",
                       text);
    }
    url->db = (int)db;
    return 0;
}

static int parse_unix(const char *rest, struct redis_url *url, struct err *err)
{
    struct sockaddr_un address;
    const char *query = strchr(rest, '?');
    size_t len = query ? (size_t)(query - rest) : strlen(rest);
    if (len == 0 || rest[0] != '/') {
        return err_set(err, -EINVAL,
                       "redis.url: a unix socket needs an absolute path, as in "
                       "unix:///run/redis.sock");
    }
    if (len >= sizeof address.sun_path) {
        return err_set(err, -EINVAL,
                       "redis.url: the socket's path is longer than %zu bytes",
                       sizeof address.sun_path - 1);
    }
    if (query && !text_starts(query, "?db=")) {
        return err_set(err, -EINVAL, "redis.url: only ?db=N may follow a socket's path");
    }
    url->path = mem_strndup(rest, len);
    return query ? parse_db(query + 4, url, err) : 0;
}

static void parse_user(const char *text, size_t len, struct redis_url *url)
{
    const char *colon = memchr(text, ':', len);
    size_t name_len = colon ? (size_t)(colon - text) : len;
    if (name_len > 0) {
        url->username = percent_decoded(text, name_len);
    }
    if (colon) {
        url->password = percent_decoded(colon + 1, len - name_len - 1);
    }
}

static int parse_host(const char *text, size_t len, struct redis_url *url,
                      struct err *err)
{
    const char *host = text;
    const char *end = text + len;
    const char *host_end;
    if (len > 0 && text[0] == '[') {
        host = text + 1;
        host_end = memchr(text, ']', len);
        if (!host_end) {
            return err_set(err, -EINVAL, "redis.url: '[' without ']'");
        }
        text = host_end + 1;
    } else {
        host_end = memchr(text, ':', len);
        host_end = host_end ? host_end : end;
        text = host_end;
    }
    if (host_end == host) {
        return err_set(err, -EINVAL,
                       "redis.url: no host, as in redis://redis.example:6379/0");
    }
    int64_t port = 6379;
    char number[8] = "6379";
    if (text < end) {
        size_t n = (size_t)(end - text) - 1;
        bool fits = *text == ':' && n < sizeof number;
        if (fits) {
            memcpy(number, text + 1, n);
            number[n] = '\0';
        }
        if (!fits || text_parse_int(number, 1, 65535, &port) != 0) {
            return err_set(err, -EINVAL,
                           "redis.url: the port must be a number from 1 to 65535");
        }
    }
    url->host = mem_strndup(host, (size_t)(host_end - host));
    url->port = mem_strdup(number);
    return 0;
}

static int parse_tcp(const char *rest, struct redis_url *url, struct err *err)
{
    const char *slash = strrchr(rest, '/');
    const char *at = strrchr(rest, '@');
    if (slash && at && slash < at) {
        slash = NULL; /* a slash inside the password */
    }
    const char *end = slash ? slash : rest + strlen(rest);
    if (at && at < end) {
        parse_user(rest, (size_t)(at - rest), url);
        rest = at + 1;
    }
    int rc = parse_host(rest, (size_t)(end - rest), url, err);
    return rc != 0 || !slash ? rc : parse_db(slash + 1, url, err);
}

int redis_url_parse(const char *text, struct redis_url *url, struct err *err)
{
    int rc;
    memset(url, 0, sizeof *url);
    if (text_starts(text, "redis://")) {
        rc = parse_tcp(text + strlen("redis://"), url, err);
    } else if (text_starts(text, "unix://")) {
        rc = parse_unix(text + strlen("unix://"), url, err);
    } else if (text_starts(text, "rediss://")) {
        url->tls = true;
        rc = parse_tcp(text + strlen("rediss://"), url, err);
    } else {
        rc = err_set(
            err, -EINVAL,
            "redis.url must begin with redis://, rediss:// (TLS) or unix://, as in "
            "redis://redis:6379/0");
    }
    if (rc != 0) {
        redis_url_release(url);
    }
    return rc;
}

void redis_url_copy(struct redis_url *to, const struct redis_url *from)
{
    *to = (struct redis_url){
        .path = mem_strdup(from->path),
        .host = mem_strdup(from->host),
        .port = mem_strdup(from->port),
        .username = mem_strdup(from->username),
        .password = mem_strdup(from->password),
        .db = from->db,
        .tls = from->tls,
        .ca_file = mem_strdup(from->ca_file),
        .cert_file = mem_strdup(from->cert_file),
        .key_file = mem_strdup(from->key_file),
    };
}

static void free_secret(char *text)
{
    if (text) {
        mem_wipe(text, strlen(text));
        free(text);
    }
}

void redis_url_release(struct redis_url *url)
{
    free(url->path);
    free(url->host);
    free(url->port);
    free(url->username);
    free_secret(url->password);
    free(url->ca_file);
    free(url->cert_file);
    free(url->key_file);
    memset(url, 0, sizeof *url);
}

int redis_url_check(const char *text, struct err *err)
{
    struct redis_url url;
    int rc = redis_url_parse(text, &url, err);
    if (rc == 0) {
        redis_url_release(&url);
    }
    return rc;
}
