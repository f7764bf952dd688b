/* Which events a target wants: globs on routing fields and on any JSON pointer; all must
 * match. Plain data, read-only after init: any thread. */
#ifndef EVENT_MATCH_H
#define EVENT_MATCH_H

#include "event/event.h"

struct match_rule {
    int field;     /* enum event_field, or -1: a JSON pointer */
    char *pointer; /* owned, when field is -1 */
    char **globs;  /* owned; any one may match */
    size_t glob_count;
};

struct match {
    struct match_rule *rules;
    size_t count;
};

/* name: "app" or "/a/json/pointer". globs: copied. Returns 0 or -EINVAL with a sentence
 * (with a suggestion). */
int match_add(struct match *m, const char *name, const char *const *globs, size_t n,
              struct err *err);
void match_release(struct match *m);

/* No rules match everything; an absent value matches no glob, not even "*". why:
 * optional, told of each rule, also after one failed; value NULL: absent. */
bool match_event(const struct match *m, const struct event *ev,
                 void (*why)(void *arg, const struct match_rule *rule, const char *value,
                             bool ok),
                 void *arg);

#endif
