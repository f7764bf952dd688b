/* A request body from a tree whose strings are templates: everything constant is printed
 * once, values are put in between. Read-only after new: any thread. */
#ifndef TARGET_BODY_H
#define TARGET_BODY_H

#include "event/template.h"

struct body;

/* Keys are constant. A string that is one ${event:/pointer} and nothing else becomes the
 * value there with its own type. tree: read only, NULL is JSON null. Returns owned, or
 * NULL with a sentence that names the JSON pointer of the string. */
struct body *body_new(struct json_object *tree, const struct template_scope *scope,
                      struct err *err);

/* The same as application/x-www-form-urlencoded: "a=1&b=x". tree: an object; what is in
 * an object or a list below it is named as Rails and PHP do, "variables[KEY]" and
 * "tags[]"; null is an empty text. */
struct body *body_new_form(struct json_object *tree, const struct template_scope *scope,
                           struct err *err);
void body_free(struct body *body);

/* Append the body. Returns as template_fill does; the sentence names the JSON pointer. */
int body_fill(const struct body *body, const struct event *ev, template_secret_fn *secret,
              void *arg, struct str *out, struct err *err);

#endif
