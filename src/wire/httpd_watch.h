/* A thread that notices peers hanging up on sockets nobody else looks at, and that keeps
 * one alarm. For wire/httpd. */
#ifndef WIRE_HTTPD_WATCH_H
#define WIRE_HTTPD_WATCH_H

#include <stdint.h>

#include "base/err.h"

struct httpd_watch;

/* Both run on the watching thread.
 * gone   the peer of fd seems to have hung up. A hint, given once: the descriptor may
 *        have been closed and given out again meanwhile; ask httpd_socket_is_gone, and
 * add it again if not. alarm  called at each turn; returns in how many ms it wants to be
 * called at the latest, -1: no matter when. */
struct httpd_watch_options {
    void (*gone)(void *arg, int fd);
    int64_t (*alarm)(void *arg);
    void *arg;
};

/* Returns NULL with a sentence when there is no descriptor left. */
struct httpd_watch *httpd_watch_start(const struct httpd_watch_options *options,
                                      struct err *err);
void httpd_watch_stop(struct httpd_watch *watch);

/* Any thread, also under locks. Adding again renews; a closed descriptor leaves by
 * itself. */
void httpd_watch_add(struct httpd_watch *watch, int fd);
void httpd_watch_wake(struct httpd_watch *watch); /* call alarm soon */

#endif
