/* A target's URL: scheme, host and port are constant, values of events stand in path and
 * query only and can neither add nor drop path segments. Pure, without a URL library:
 * what is checked is the text that is sent. Read-only after new: any thread. */
#ifndef TARGET_URL_H
#define TARGET_URL_H

#include "event/template.h"

struct url;

/* text: a template. Returns owned, or NULL with a sentence (without the place: the caller
 * wraps it). */
struct url *url_new(const char *text, const struct template_scope *scope,
                    struct err *err);
void url_free(struct url *url);

/* "https://argocd.acme.io:443": the port is always there. Borrowed. */
const char *url_host(const struct url *url);

/* Does a secret stand in it? */
bool url_has_secret(const struct url *url);

/* Append another path and query on the same host, as they are.
 * Returns 0, -EBADMSG (not a path that could be sent; the host would differ), or -EINVAL
 * (longer than max). */
int url_join(const struct url *url, const char *path, size_t max, struct str *out,
             struct err *err);

/* Append the filled URL. Values are percent-encoded, '/' too.
 * Returns 0, -ENOENT, -EBADMSG (a value makes a path segment empty, "." or ".."; the host
 * would differ), or -EINVAL (longer than max). */
int url_fill(const struct url *url, const struct event *ev, size_t max,
             template_secret_fn *secret, void *arg, struct str *out, struct err *err);

#endif
