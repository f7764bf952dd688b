#include "reply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const common[] =
    {"cache-control",   "no-store",    "x-content-type-options",       "nosniff",
     "referrer-policy", "no-referrer", "cross-origin-resource-policy", "same-origin"};

void reply_headers(const char *type, const char *headers[REPLY_HEADERS_MAX])
{
    size_t n = 0;
    headers[n++] = "content-type";
    headers[n++] = type;
    for (size_t i = 0; i < sizeof common / sizeof common[0]; i++) {
        headers[n++] = common[i];
    }
    ASSERT(n < REPLY_HEADERS_MAX);
    headers[n] = NULL;
}

void reply_text(struct httpd_request *request, int status, const char *json, size_t len)
{
    const char *headers[REPLY_HEADERS_MAX];
    reply_headers("application/json", headers);
    httpd_reply(request, status, headers, json, len);
}

static void reply_doc(struct httpd_request *request, int status, struct json_object *doc,
                      const char *const *headers)
{
    struct str text;
    str_init(&text);
    json_print(doc, &text);
    str_addc(&text, '\n');
    httpd_reply(request, status, headers, text.data, text.len);
    str_release(&text);
    json_free(doc);
}

void reply_json(struct httpd_request *request, int status, struct json_object *doc)
{
    const char *headers[REPLY_HEADERS_MAX];
    reply_headers("application/json", headers);
    reply_doc(request, status, doc, headers);
}

void reply_json_with(struct httpd_request *request, int status, struct json_object *doc,
                     const char *name, const char *value)
{
    const char *headers[REPLY_HEADERS_MAX + 2];
    size_t n = 0;
    reply_headers("application/json", headers);
    while (headers[n]) {
        n++;
    }
    headers[n] = name;
    headers[n + 1] = value;
    headers[n + 2] = NULL;
    reply_doc(request, status, doc, headers);
}

/* A sentence may repeat what was asked for, which is any bytes. */
static struct json_object *error_doc(const char *error, const char *next)
{
    struct json_object *doc = json_object_new_object();
    struct str plain;
    str_init(&plain);
    str_add_plain(&plain, error);
    json_object_object_add(doc, "error", json_object_new_string(plain.data));
    json_put_text(doc, "next", next);
    str_release(&plain);
    return doc;
}

void reply_error(struct httpd_request *request, int status, const char *error,
                 const char *next)
{
    reply_json(request, status, error_doc(error, next));
}

void reply_error_with(struct httpd_request *request, int status, const char *error,
                      const char *next, const char *name, const char *value)
{
    reply_json_with(request, status, error_doc(error, next), name, value);
}

void reply_failure(struct httpd_request *request, int rc, const struct err *err)
{
    int status = rc == -ENOENT                     ? 404
                 : rc == -EINVAL || rc == -EBADMSG ? 400
                 : rc == -EAGAIN                   ? 409
                                                   : 503;
    reply_error(request, status, err->text,
                status == 503 ? "see the view Doctor, or `sluice-consumer doctor`"
                              : NULL);
}

int reply_read_body(struct httpd_request *request, struct json_object **body,
                    struct err *err)
{
    size_t len;
    const char *bytes = httpd_body(request, &len);
    *body = NULL;
    int rc = json_parse(len > 0 ? bytes : "{}", len > 0 ? len : 2, body, err);
    if (rc == 0 && !json_object_is_type(*body, json_type_object)) {
        json_free(*body);
        *body = NULL;
        return err_set(err, -EBADMSG, "the body is no JSON object");
    }
    return rc ? err_wrap(err, "the body") : 0;
}

void reply_say_who(const struct ops_place *place, const char *said, char *who, size_t len)
{
    if (said[0]) {
        snprintf(who, len, "%.60s via the console of %.60s", said, place->who);
    } else {
        snprintf(who, len, "the console of %.60s", place->who);
    }
}

bool reply_is_get(struct httpd_request *request)
{
    const char *method = httpd_method(request);
    bool is_get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (!is_get) {
        reply_error(request, 405, "only GET here", NULL);
    }
    return is_get;
}

bool reply_may_read(struct httpd_request *request)
{
    const char *site = httpd_header(request, "sec-fetch-site");
    if (!reply_is_get(request)) {
        return false;
    }
    if (site && strcmp(site, "cross-site") == 0) {
        reply_error(request, 403, "another site may not read this",
                    "open the console itself");
        return false;
    }
    return true;
}
