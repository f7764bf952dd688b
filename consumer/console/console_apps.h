/* The applications the fleet has seen lately, of those that who asks may read. */
#ifndef CONSUMER_CONSOLE_APPS_H
#define CONSUMER_CONSOLE_APPS_H

#include "console_api.h"

/* A job: GET apps. {"schema":"sluice.apps/1","apps":[{"app","last_ms"}]}, by name; all
 * are asked about in one go, and one that could not be judged is {"app","error"}. arg: a
 * struct console_api. */
void console_apps_list(void *arg, struct ops_place *place, struct httpd_request *request,
                       struct ctx *ctx);

#endif
