/* The console's API beside the live stream: an event, the dead letters, the
 * configuration, the doctor; and what acts on the fleet. */
#ifndef CONSUMER_CONSOLE_API_H
#define CONSUMER_CONSOLE_API_H

#include "../clusters/kube_reader.h"
#include "../workflow.h"
#include "guard.h"
#include "jobs.h"
#include "redriver.h"
#include "route.h"

/* What every job gets as its `arg`. Read-only while it is served. */
struct console_api {
    const struct config *config;
    struct guard *guard;
    struct jobs *jobs;
    struct redriver *redriver;
    struct workflow *workflow;
    struct kube_reader *kube;
};

/* Answer when the path is below /api/v1/. Returns false when it is not. On the httpd
 * loop. */
bool console_api_serve(const struct console_api *api, struct httpd_request *request);

/* May who sent it do that? Answers and returns false when not. For a job that looks for
 * itself; any thread. */
bool console_api_lets(const struct console_api *api, struct httpd_request *request,
                      enum rule_action action, const char *resource);

/* Who acts, for the audit: the token's name, and what the request says of itself behind
 * it, from this console. said: may be NULL. */
void console_api_say_who(const struct console_api *api, struct httpd_request *request,
                         const struct ops_place *place, const char *said, char *who,
                         size_t len);

/* What stands for the braces of the request's route: the id of events/{id}. Any thread.
 */
void console_api_name(const struct httpd_request *request, char name[ROUTE_NAME_MAX]);

#endif
