#include "wire/http_progress.h"

#include <stdio.h>
#include <string.h>

#include "wire/http_address.h"
#include "wire/http_message.h"

enum { BUFFER_KEPT_MAX = 4 * 1024 }; /* a larger buffer goes back when its call is over */

void http_progress_init(struct http_progress *p)
{
    memset(p, 0, sizeof(*p));
    str_init(&p->headers);
    str_init(&p->body);
}

void http_progress_release(struct http_progress *p)
{
    str_release(&p->headers);
    str_release(&p->body);
}

static void forget(struct str *s)
{
    if (s->cap > BUFFER_KEPT_MAX) {
        str_release(s);
        str_init(s);
    }
    str_clear(s);
}

void http_progress_clear(struct http_progress *p)
{
    struct str headers = p->headers;
    struct str body = p->body;
    forget(&headers);
    forget(&body);
    memset(p, 0, sizeof(*p));
    p->headers = headers;
    p->body = body;
}

void http_progress_begin(struct http_progress *p, size_t answer_max)
{
    p->kept_max = answer_max > 0 ? answer_max : HTTP_BODY_KEPT_MAX;
    p->read_max = answer_max > 0 ? answer_max : HTTP_BODY_READ_MAX;
}

bool http_progress_address(struct http_progress *p, const char *text, bool public_only)
{
    const char *what = http_address_refused(text, public_only);
    if (what != NULL) {
        p->refused_what = what;
        snprintf(p->refused_address, sizeof(p->refused_address), "%s", text);
    }
    return what == NULL;
}

static int status_of(const char *line, size_t len)
{
    const char *space = memchr(line, ' ', len);
    size_t left = space == NULL ? 0 : len - (size_t)(space - line);
    if (left < 4) {
        return 0;
    }
    int status = 0;
    for (int i = 1; i <= 3; i++) {
        if (space[i] < '0' || space[i] > '9') {
            return 0;
        }
        status = status * 10 + (space[i] - '0');
    }
    return status;
}

bool http_progress_header(struct http_progress *p, const char *line, size_t len)
{
    p->header_bytes += len;
    if (p->header_bytes > HTTP_HEADER_BYTES_MAX) {
        p->too_large = true;
        return false;
    }
    if (p->headers_done) {
        return true;
    }
    if (!p->in_headers) {
        p->in_headers = true;
        p->status = status_of(line, len);
        str_clear(&p->headers);
    } else if (line[0] == '\r' || line[0] == '\n') {
        p->in_headers = false;
        p->headers_done = p->status >= 200;
    } else {
        str_put(&p->headers, line, len);
    }
    return true;
}

bool http_progress_body(struct http_progress *p, const char *bytes, size_t len)
{
    size_t room = p->kept_max - p->body.len;
    str_put(&p->body, bytes, len < room ? len : room);
    p->body_bytes += len;
    p->too_large = p->body_bytes > p->read_max;
    return !p->too_large;
}

static enum http_end end_of(const struct http_progress *p, enum http_failure failure)
{
    if (p->too_large && p->status >= 200) {
        return HTTP_END_TOO_LARGE;
    }
    if (p->headers_done) {
        return HTTP_END_ANSWERED;
    }
    if (p->sent) {
        return HTTP_END_UNCERTAIN;
    }
    if (p->refused_what != NULL && !p->opened) { /* else another address was tried */
        return HTTP_END_REFUSED;
    }
    return failure == HTTP_FAILED_REQUEST ? HTTP_END_REFUSED : HTTP_END_NOT_SENT;
}

static const char *phase_of(const struct http_progress *p, enum http_end end,
                            enum http_failure failure)
{
    if (end == HTTP_END_REFUSED) {
        return "refused";
    }
    if (end != HTTP_END_NOT_SENT) {
        return p->headers_done ? "body" : "answer";
    }
    if (failure == HTTP_FAILED_TLS) {
        return "tls";
    }
    return failure == HTTP_FAILED_RESOLVE ? "resolve" : "connect";
}

static void reason_of(const struct http_progress *p, enum http_failure failure,
                      const char *text, char *reason, size_t size)
{
    if (p->too_large) {
        snprintf(reason, size, "larger than %zu bytes",
                 p->headers_done ? p->read_max : (size_t)HTTP_HEADER_BYTES_MAX);
    } else if (failure == HTTP_FAILED_TIMEOUT) {
        snprintf(reason, size, "timed out");
    } else if (p->resend || failure == HTTP_FAILED_CLOSED) {
        snprintf(reason, size, "the connection was closed before one came");
    } else if (p->refused_what != NULL && !p->opened) {
        snprintf(reason, size, "address %s is %s", p->refused_address, p->refused_what);
    } else if (failure == HTTP_FAILED_RESOLVE) {
        snprintf(reason, size, "no address for the host");
    } else if (failure == HTTP_FAILED_CONNECT && p->socket_errno != 0) {
        snprintf(reason, size, "%s", strerror(p->socket_errno));
    } else {
        snprintf(reason, size, "%s", text);
    }
}

void http_progress_end(struct http_progress *p, enum http_failure failure,
                       const char *text, struct http_call *call)
{
    call->end = end_of(p, failure);
    bool answered = call->end == HTTP_END_ANSWERED || call->end == HTTP_END_TOO_LARGE;
    call->status = answered ? p->status : 0;
    call->answer = p->body.data;
    call->answer_len = p->body.len;
    call->answer_headers = &p->headers;
    call->answer_body = &p->body;
    call->retry_after_ms = http_answer_retry_after_ms(call);
    call->error[0] = '\0';
    if (failure != HTTP_FAILED_NOT || call->end != HTTP_END_ANSWERED) {
        char reason[HTTP_ERROR_MAX - 12]; /* room for "connect: " */
        reason_of(p, failure, text, reason, sizeof(reason));
        snprintf(call->error, sizeof(call->error), "%s: %s",
                 phase_of(p, call->end, failure), reason);
        http_message_clean(call->error);
    }
}
