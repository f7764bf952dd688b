/* How far one call got, and what its end therefore means. Pure, without libcurl; the
 * loop's thread.
 *
 * Before `sent` no byte of the request can have left: NOT_SENT. After it some may have:
 * UNCERTAIN, until the blank line after a final status: ANSWERED, whatever befalls the
 * body. */
#ifndef WIRE_HTTP_PROGRESS_H
#define WIRE_HTTP_PROGRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "wire/http.h"

enum http_failure {
    HTTP_FAILED_NOT,
    HTTP_FAILED_TIMEOUT,
    HTTP_FAILED_REQUEST, /* the library does not take URL, scheme or option */
    HTTP_FAILED_RESOLVE,
    HTTP_FAILED_CONNECT,
    HTTP_FAILED_TLS,
    HTTP_FAILED_CLOSED, /* before any answer */
    HTTP_FAILED_OTHER,
};

struct http_progress {
    bool opened;       /* a socket was opened */
    bool sent;         /* a byte of the request may have left */
    bool resend;       /* the library wanted to send it a second time */
    bool in_headers;   /* between a status line and its blank line */
    bool headers_done; /* of a final answer */
    bool too_large;
    int socket_errno;         /* of opening or connecting; 0 when unknown */
    const char *refused_what; /* "link-local" */
    char refused_address[INET6_ADDRSTRLEN];
    int status;      /* of the last status line */
    size_t kept_max; /* of the body */
    size_t read_max; /* of the body, then it is too large */
    size_t header_bytes;
    size_t body_bytes;
    struct str headers; /* raw lines of the last answer */
    struct str body;    /* its first bytes */
};

void http_progress_init(struct http_progress *p);
void http_progress_release(struct http_progress *p);
void http_progress_clear(
    struct http_progress *p); /* for the next call; large buffers go */

/* Before the first use for a call. answer_max  see struct http_call. */
void http_progress_begin(struct http_progress *p, size_t answer_max);

/* May this address be used? Remembers a refusal. */
bool http_progress_address(struct http_progress *p, const char *text, bool public_only);

/* One line of an answer's head with its end (1xx answers come first, trailers after the
 * body); bytes of its body. Return false when a bound is passed: end the call. */
bool http_progress_header(struct http_progress *p, const char *line, size_t len);
bool http_progress_body(struct http_progress *p, const char *bytes, size_t len);

/* Write the call's result fields. text: the library's own words for the failure. `answer`
 * and `answer_headers` point into p. */
void http_progress_end(struct http_progress *p, enum http_failure failure,
                       const char *text, struct http_call *call);

#endif
