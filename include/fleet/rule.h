/* What a role allows through the HTTP API: an action on resources, said as "ACTION
 * RESOURCE", where the resource is a glob ("read apps/payments-?") and a star in place of
 * either means all.
 *
 * Resources are apps/<app>, targets/<target>, consumers/<id>, clusters/<cluster>, and
 * deadletters, config, doctor, fleet and stream, of which there is one each. Plain data,
 * read-only once made: any thread. */
#ifndef FLEET_RULE_H
#define FLEET_RULE_H

#include <stdbool.h>

#include "base/err.h"

enum rule_action {
    RULE_READ,
    RULE_PAUSE,
    RULE_RESUME,
    RULE_DRAIN,
    RULE_REDRIVE,
    RULE_RELOAD,
    RULE_KUBE,
    RULE_ACTIONS, /* how many there are; in a rule: any of them */
};

enum { RULE_GLOB_MAX = 256 };

struct rule {
    enum rule_action action;
    char *glob; /* owned; see text_glob: `*` also crosses a slash */
};

/* "pause"; "*" for RULE_ACTIONS. */
const char *rule_action_name(enum rule_action action);

/* rule: out, rule_release. Returns 0 or -EINVAL with a sentence, with a suggestion for a
 * word that is near. A glob that could match no resource there is, is refused. */
int rule_parse(const char *text, struct rule *rule, struct err *err);
void rule_release(struct rule *rule);

bool rule_allows(const struct rule *rule, enum rule_action action, const char *resource);

#endif
