#include "bearer.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char scheme[] = "Bearer";

enum { COOKIE_VALUE_MAX = 256, PORT_DIGITS_MAX = 5 };

/* --- Authorization --- */

struct found {
    int count;
    const char *value;
};

static void look(void *arg, const char *name, const char *value)
{
    struct found *found = arg;
    if (strcasecmp(name, "authorization") == 0) {
        found->count++;
        found->value = value;
    }
}

/* Space around a value is not part of it; the library leaves that behind it. */
enum bearer bearer_read(const struct httpd_request *request, char token[BEARER_TOKEN_MAX])
{
    struct found found = {0};
    httpd_each_header(request, look, &found);
    if (found.count > 1) {
        return BEARER_TWICE;
    }
    size_t len = sizeof scheme - 1;
    if (found.count == 0 || strncasecmp(found.value, scheme, len) != 0 ||
        (found.value[len] != ' ' && found.value[len] != '\0')) {
        return BEARER_NONE;
    }
    const char *text = found.value + len + strspn(found.value + len, " ");
    size_t text_len = strlen(text);
    while (text_len > 0 && strchr(" \t", text[text_len - 1])) {
        text_len--;
    }
    if (text_len == 0 || text_len >= BEARER_TOKEN_MAX) {
        return BEARER_BAD;
    }
    memcpy(token, text, text_len);
    token[text_len] = '\0';
    return BEARER_TOKEN;
}

/* --- cookies --- */

void bearer_cookie_name(const struct httpd_request *request, char name[BEARER_COOKIE_MAX])
{
    const char *host = httpd_header(request, "host");
    const char *port = host ? strrchr(host, ':') : NULL;
    size_t digits = port ? strspn(port + 1, "0123456789") : 0;
    bool good = digits > 0 && digits <= PORT_DIGITS_MAX && port[1 + digits] == '\0';
    snprintf(name, BEARER_COOKIE_MAX, "sluice_session%s%s", good ? "_" : "",
             good ? port + 1 : "");
}

struct jar {
    const char *name;
    bool (*fn)(void *arg, const char *value);
    void *arg;
    bool over;
};

/* One "name=value" of a list. */
static void look_at_pair(struct jar *jar, const char *pair, size_t len)
{
    char value[COOKIE_VALUE_MAX];
    size_t name_len = strlen(jar->name);
    if (len <= name_len || len - name_len > sizeof value ||
        strncmp(pair, jar->name, name_len) != 0 || pair[name_len] != '=') {
        return;
    }
    size_t value_len = len - name_len - 1;
    memcpy(value, pair + name_len + 1, value_len);
    value[value_len] = '\0';
    jar->over = jar->fn(jar->arg, value);
}

static void look_into(void *arg, const char *name, const char *value)
{
    struct jar *jar = arg;
    if (strcasecmp(name, "cookie") != 0) {
        return;
    }
    while (*value && !jar->over) {
        value += strspn(value, "; ");
        size_t len = strcspn(value, "; ");
        look_at_pair(jar, value, len);
        value += len;
    }
}

void bearer_each_cookie(const struct httpd_request *request, const char *name,
                        bool (*fn)(void *arg, const char *value), void *arg)
{
    struct jar jar = {.name = name, .fn = fn, .arg = arg};
    httpd_each_header(request, look_into, &jar);
}

/* --- where it comes from --- */

/* "http://host:port" against the Host header. */
bool bearer_is_same_origin(const struct httpd_request *request)
{
    const char *site = httpd_header(request, "sec-fetch-site");
    const char *origin = httpd_header(request, "origin");
    const char *host = httpd_header(request, "host");
    if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0) {
        return false;
    }
    if (!origin) {
        return true; /* no browser, or its address bar: with a POST they send it */
    }
    const char *authority = strstr(origin, "://");
    return authority && host && strcmp(authority + 3, host) == 0;
}
