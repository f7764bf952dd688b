/* The one door to libmicrohttpd, for src/wire/httpd*.c only: its header, and what the
 * server and its streaming bodies share. */
#ifndef WIRE_HTTPD_INSIDE_H
#define WIRE_HTTPD_INSIDE_H

#include <microhttpd.h>
#include <pthread.h>

#include "wire/httpd_request.h"
#include "wire/httpd_watch.h"

struct httpd {
    /* read-only after start */
    struct httpd_options options;
    struct MHD_Daemon *daemon;
    int port;
    struct httpd_watch *watch;

    pthread_mutex_t mu;
    /* guarded by mu */
    bool stopping;
    int owners; /* httpd_start's caller and every request */
    LIST_HEAD(, httpd_request) requests;
};

/* libmicrohttpd's suspend and resume, with our note of it. Suspend only from one of its
 * callbacks for that connection; resume only what is suspended. */
void httpd_suspend_locked(struct httpd_request *r);
void httpd_resume_locked(struct httpd_request *r);

void httpd_add_headers(struct MHD_Response *response, const char *const *headers);

/* response: taken; NULL when there is none. */
void httpd_decide(struct httpd_request *r, enum decision decision, int status,
                  struct MHD_Response *response, int64_t every_ms);

/* Close a streaming body's connection, whatever is on its way. */
void httpd_stream_cut_locked(struct httpd_request *r);

#endif
