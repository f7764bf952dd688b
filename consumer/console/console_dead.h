/* The console's dead letters: what there is, and sending it again. */
#ifndef CONSUMER_CONSOLE_DEAD_H
#define CONSUMER_CONSOLE_DEAD_H

#include "jobs.h"
#include "redriver.h"

/* Jobs. GET deadletters?target=&reason=&event=&since=&limit= */
void console_dead_list(void *arg, struct ops_place *place, struct httpd_request *request,
                       struct ctx *ctx);

/* POST deadletters/redrive {"target","reason","event","since","rate_per_s","who","why",
 * "dry_run"}. arg: a struct console_api. */
void console_dead_redrive(void *arg, struct ops_place *place,
                          struct httpd_request *request, struct ctx *ctx);

#endif
