/* What the console orders the fleet to do: jobs for POST targets/{name}/pause and
 * /resume, consumers/{id}/drain, and reload. Each answers {"consumers","obeyed"}. Who did
 * not wait for that asks GET acts. */
#ifndef CONSUMER_CONSOLE_ACT_H
#define CONSUMER_CONSOLE_ACT_H

#include "jobs.h"

/* {"schema":"sluice.acts/1","acts":[as control_acts]} */
void console_acts(void *arg, struct ops_place *place, struct httpd_request *request,
                  struct ctx *ctx);
/* {"for_ms" (0: until it is resumed), "reason", "who"} */
void console_pause(void *arg, struct ops_place *place, struct httpd_request *request,
                   struct ctx *ctx);
/* {"reason", "who"} */
void console_resume(void *arg, struct ops_place *place, struct httpd_request *request,
                    struct ctx *ctx);
/* {"undo", "reason", "who"} */
void console_drain(void *arg, struct ops_place *place, struct httpd_request *request,
                   struct ctx *ctx);
/* {"reason", "who"} */
void console_reload(void *arg, struct ops_place *place, struct httpd_request *request,
                    struct ctx *ctx);

#endif
