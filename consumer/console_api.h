/* The console's API beside the live stream: an event, the dead letters, the
 * configuration, the doctor; and what acts on the fleet. */
#ifndef CONSUMER_CONSOLE_API_H
#define CONSUMER_CONSOLE_API_H

#include "guard.h"
#include "jobs.h"
#include "redriver.h"

struct console_api {
    const struct config *config;
    const struct guard *guard;
    struct jobs *jobs;
    struct redriver *redriver;
};

/* Answer when the path is below /api/v1/. Returns false when it is not. On the httpd
 * loop. */
bool console_api_serve(const struct console_api *api, struct httpd_request *request);

#endif
