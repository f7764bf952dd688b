/* One request, as wire/httpd.c drives it and wire/httpd_request.c lets handlers read it.
 */
#ifndef WIRE_HTTPD_REQUEST_H
#define WIRE_HTTPD_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/str.h"
#include "wire/httpd.h"

struct MHD_Connection;
struct MHD_Response;

enum stage {
    READING,  /* the body is still arriving; libmicrohttpd's thread alone knows it */
    HANDLING, /* the handler runs and has not decided */
    HELD,     /* suspended: waiting for the decision */
    DECIDED,
};

enum decision { ANSWER, CLOSE, RESET };

struct httpd_request {
    struct httpd *httpd;
    struct MHD_Connection *connection;
    int fd;

    /* read-only once the handler is called */
    char *method;
    char *path;
    struct str headers; /* name NUL value NUL name NUL ... */
    struct str query;
    struct str body;
    size_t body_seen; /* may pass body_max; then the body is not kept */

    /* guarded by mu */
    enum stage stage;
    enum decision decision;
    bool hung;      /* the handler let go of it and will never decide */
    bool suspended; /* as libmicrohttpd sees it */
    int owners;
    LIST_ENTRY(httpd_request) link;
    struct httpd_request *next_aborted;
    struct MHD_Response *response;
    int status;

    /* a trickling body; guarded by mu */
    int64_t every_ms; /* 0: not one */
    int64_t due_ms;

    struct httpd_stream stream; /* read-only once decided; pull NULL: not one */
    /* guarded by mu */
    bool woken; /* since pull was last called */
    bool cut;
};

/* Append a name and a value. */
void httpd_pairs_add(struct str *pairs, const char *name, const char *value);

#endif
