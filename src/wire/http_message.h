/* What may stand in a request's head, and what an answer's head says. Pure, without
 * libcurl; any thread. http_answer_header and http_answer_take are declared in
 * wire/http.h. */
#ifndef WIRE_HTTP_MESSAGE_H
#define WIRE_HTTP_MESSAGE_H

#include <stdint.h>

#include "base/str.h"
#include "wire/http.h"

enum {
    HTTP_METHOD_MAX = 32,
    HTTP_URL_MAX = 16 * 1024,
    HTTP_LINES_MAX = HTTP_HEADERS_MAX + 3
};

/* Why the request must not be made, or NULL. libcurl sends what it is given, line ends
 * too, so this is the last line of defence against a second request inside the first. */
const char *http_request_refused(const struct http_call *call);

/* Its header lines as libcurl wants them, each ended by NUL. Returns how many: at most
 * HTTP_LINES_MAX. host  of the Host header, unless the call has one; NULL: libcurl's. */
int http_request_lines(const struct http_call *call, const char *host, struct str *lines);

/* Retry-After as a duration from now, at most seven days; -1 when absent or bad. */
int64_t http_answer_retry_after_ms(const struct http_call *call);

/* Control characters become spaces. */
void http_message_clean(char *text);

#endif
