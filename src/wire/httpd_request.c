#include "wire/httpd_request.h"

#include <string.h>
#include <strings.h>

#include "wire/httpd.h"

void httpd_pairs_add(struct str *pairs, const char *name, const char *value)
{
    str_put(pairs, name, strlen(name) + 1);
    str_put(pairs, value, strlen(value) + 1);
}

static const char *after(const char *text)
{
    return text + strlen(text) + 1;
}

static const char *find(const struct str *pairs, const char *name, bool ignore_case,
                        size_t nth)
{
    const char *end = pairs->data + pairs->len;
    for (const char *p = pairs->data; p < end; p = after(after(p))) {
        if ((ignore_case ? strcasecmp(p, name) : strcmp(p, name)) == 0 && nth-- == 0) {
            return after(p);
        }
    }
    return NULL;
}

const char *httpd_method(const struct httpd_request *r)
{
    return r->method;
}

const char *httpd_path(const struct httpd_request *r)
{
    return r->path;
}

const char *httpd_query(const struct httpd_request *r, const char *name)
{
    return find(&r->query, name, false, 0);
}

const char *httpd_query_nth(const struct httpd_request *r, const char *name, size_t n)
{
    return find(&r->query, name, false, n);
}

const char *httpd_header(const struct httpd_request *r, const char *name)
{
    return find(&r->headers, name, true, 0);
}

void httpd_each_header(const struct httpd_request *r,
                       void (*fn)(void *arg, const char *name, const char *value),
                       void *arg)
{
    const char *end = r->headers.data + r->headers.len;
    for (const char *p = r->headers.data; p < end; p = after(after(p))) {
        fn(arg, p, after(p));
    }
}

const char *httpd_body(const struct httpd_request *r, size_t *len)
{
    if (len) {
        *len = r->body.len;
    }
    return r->body.data;
}
