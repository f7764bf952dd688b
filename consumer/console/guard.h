/* Who may ask the HTTP API what, and who may act through it.
 *
 * With tokens in the configuration everything below /api/v1/ wants one: as Authorization:
 * Bearer, or, to read, as the session that POST /api/v1/session gave a browser for it.
 * What it may do is a matter of its roles (ops/access). The text of console.token_file
 * may do everything. Without tokens whoever reaches the port may read, and acts want that
 * text. Any thread, except new and free. */
#ifndef CONSUMER_GUARD_H
#define CONSUMER_GUARD_H

#include <stdbool.h>

#include "base/metrics.h"
#include "fleet/config.h"
#include "ops/access.h"
#include "session.h"
#include "wire/httpd.h"

struct guard;

struct guard_options {
    const struct config *config; /* its tokens are loaded; copied */
    struct metrics *metrics;     /* NULL: none; borrowed until guard_free */
    bool console; /* it has sessions, and lets act when console.read_only is false */
};

/* Returns NULL with a sentence that names console.token_file and the next step. */
struct guard *guard_new(const struct guard_options *options, struct err *err);
void guard_free(struct guard *guard); /* NULL is allowed */

/* The tokens and roles of another configuration, from now on; console.token_file is read
 * again. A token that is gone takes its sessions along. Returns 0, or -EINVAL or -ENOENT
 * with a sentence, and then nothing has changed. */
int guard_set(struct guard *guard, const struct config *config, struct err *err);

bool guard_lets_act(const struct guard *guard); /* anybody at all? */
bool guard_wants_tokens(struct guard *guard);   /* to read, too? */

/* Who asks, good until guard_still says otherwise. Plain data. */
struct guard_who {
    enum { GUARD_ANYBODY, GUARD_TOKEN, GUARD_OPERATOR } is;
    char name[TARGET_NAME_MAX]; /* of the token; "" unless GUARD_TOKEN */
    bool has_session;
    struct session_hash token;
    struct session_hash session;
};

/* Who sent this request, and may they read this resource? Answers with 401 or 403 and
 * returns false when not.
 *
 * resource  NULL: to be known is enough.
 * who       out. */
bool guard_lets_read(struct guard *guard, struct httpd_request *request,
                     const char *resource, struct guard_who *who);

/* The same of an action that is not reading, where it changes nothing. */
bool guard_lets(struct guard *guard, struct httpd_request *request,
                enum rule_action action, const char *resource, struct guard_who *who);

/* May this request act? Wants the token itself, a header that no other site's page can
 * send, and no other site. Answers it and returns false when not. who: out. */
bool guard_lets_act_on(struct guard *guard, struct httpd_request *request,
                       enum rule_action action, const char *resource,
                       struct guard_who *who);

/* Who sent what one of these let in? Returns false when they have gone since. */
bool guard_knows(struct guard *guard, const struct httpd_request *request,
                 struct guard_who *who);

/* May they still? For what goes on after it was let in. */
bool guard_still(struct guard *guard, const struct guard_who *who,
                 enum rule_action action, const char *resource);

/* The same of many resources in one go, see access_ask_batch; for who was let in. */
void guard_ask(struct guard *guard, struct ctx *ctx, const struct guard_who *who,
               enum rule_action action, const char *const *resources, size_t n,
               struct access_result *results);

/* Is there anything on which they may do that? */
bool guard_may_any(struct guard *guard, const struct guard_who *who,
                   enum rule_action action);

/* POST and DELETE /api/v1/session. Returns false when the path is another. */
bool guard_serve_session(struct guard *guard, struct httpd_request *request);

#endif
