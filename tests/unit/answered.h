/* An answer as it would stand in a call's done function. Include after cmocka.h. */
#ifndef TESTS_ANSWERED_H
#define TESTS_ANSWERED_H

#include <string.h>

#include "base/str.h"
#include "wire/http.h"

struct answered {
    struct http_call call;
    struct str headers;
    char *
        body; /* with nothing behind its NUL, so that the sanitizer sees a read past it */
};

/* headers: "Name: value\r\n" lines or NULL. body: NULL is an empty one. */
static inline void answer_make(struct answered *a, const char *url, int status,
                               const char *headers, const char *body, size_t len)
{
    char text[32];
    memset(a, 0, sizeof(*a));
    str_init(&a->headers);
    str_add(&a->headers, headers != NULL ? headers : "");
    a->body = malloc(len + 1);
    assert_non_null(a->body);
    memcpy(a->body, body != NULL ? body : "", len);
    a->body[len] = '\0';
    a->call = (struct http_call){.url = url,
                                 .end = HTTP_END_ANSWERED,
                                 .status = status,
                                 .answer = a->body,
                                 .answer_len = len,
                                 .answer_headers = &a->headers,
                                 .retry_after_ms = -1};
    if (http_answer_header(&a->call, "retry-after", text, sizeof(text)) != NULL) {
        a->call.retry_after_ms = strtol(text, NULL, 10) * 1000;
    }
}

static inline void answer_drop(struct answered *a)
{
    str_release(&a->headers);
    free(a->body);
}

#endif
