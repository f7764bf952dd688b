/* Who may act on the fleet through the console: who has the token, from the console's own
 * page or from a script that means it. */
#ifndef CONSUMER_GUARD_H
#define CONSUMER_GUARD_H

#include <stdbool.h>

#include "fleet/config.h"
#include "wire/httpd.h"

enum { GUARD_TOKEN_MIN = 16, GUARD_TOKEN_MAX = 512 };

struct guard;

/* Read the token of console.token_file. Without one, or with console.read_only, nobody
 * may act. Returns NULL with a sentence that names the file and the next step. */
struct guard *guard_new(const struct config *config, struct err *err);
void guard_free(struct guard *guard);

bool guard_lets_act(const struct guard *guard); /* anybody at all? */

/* May this request act? Answers it and returns false when not. */
bool guard_admits(const struct guard *guard, struct httpd_request *request);

#endif
