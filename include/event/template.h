/* Text with ${event.x}, ${event:/json/pointer}, ${secret.x}, ${trigger.key} and
 * ${trigger.name} in it, compiled once. "$$" is a dollar sign. Read-only after compile:
 * any thread. */
#ifndef EVENT_TEMPLATE_H
#define EVENT_TEMPLATE_H

#include "event/event.h"

struct template;

enum template_escape {
    TEMPLATE_PLAIN,   /* as is */
    TEMPLATE_PERCENT, /* each value percent-encoded: paths and queries */
    TEMPLATE_HEADER,  /* values with control characters are refused */
    TEMPLATE_FORM,    /* all of it percent-encoded: a form's values */
    TEMPLATE_JSON,    /* all of it as the inside of a JSON string: bodies' leaves */
};

enum { TEMPLATE_OUTPUT_MAX = 64 * 1024 };

/* Secrets by name. NULL when unknown; borrowed. */
typedef const char *template_secret_fn(void *arg, const char *name);

/* What names there are, besides those of events. */
struct template_scope {
    bool (*known_secret)(void *arg, const char *name); /* NULL: any name goes */
    void *arg;
    const char *target; /* whose triggers ${trigger.x} speaks of, copied; NULL: there is
                           no ${trigger.x} */
};

/* Returns owned or NULL with a sentence that names the column. scope: NULL is an empty
 * one. */
struct template *template_compile_in(const char *text, const struct template_scope *scope,
                                     struct err *err);
/* The same without ${trigger.x}. */
struct template *template_compile(const char *text,
                                  bool (*known_secret)(void *arg, const char *name),
                                  void *arg, struct err *err);
void template_free(struct template *t);

bool template_is_constant(const struct template *t);

/* The text of a constant template; "" for an empty one. Borrowed. */
const char *template_constant(const struct template *t);

/* Does the text depend on the event; does a secret stand in it? */
bool template_is_of_event(const struct template *t);
bool template_has_secret(const struct template *t);

/* The JSON pointer of a template that is ${event:/pointer} and nothing else, else NULL.
 * Borrowed. */
const char *template_sole_pointer(const struct template *t);

/* Append the filled text. A pointer's value is a string, number or boolean.
 * secret  NULL: secrets are shown as "••••••".
 * Returns 0, or -ENOENT with a sentence when the event lacks a field, -EBADMSG for a
 * value that may not stand here, -EINVAL when the output is too long. */
int template_fill(const struct template *t, const struct event *ev,
                  enum template_escape escape, template_secret_fn *secret, void *arg,
                  struct str *out, struct err *err);

#endif
