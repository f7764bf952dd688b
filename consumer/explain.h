/* What would happen to one event, worked out once and shown in one of three ways. */
#ifndef CONSUMER_EXPLAIN_H
#define CONSUMER_EXPLAIN_H

#include "commands.h"
#include "event/event.h"
#include "target/target.h"

enum { EXPLAIN_RULES_MAX = 64 };

struct explain_rule {
    const struct match_rule *rule;
    char *value; /* of the event; NULL: absent */
    bool ok;
};

struct explain_target {
    const struct config_target *target;
    bool match;
    struct explain_rule rules[EXPLAIN_RULES_MAX];
    size_t rule_count;
    bool made; /* matched, and the request could be made */
    struct target_request request;
    struct err err; /* why not */
};

struct explain {
    const struct config *config;
    struct event ev;
    enum event_outcome outcome;
    struct event_reason reason;
    struct explain_target *targets; /* one of each of config's; none unless EVENT_OK */
    size_t target_count;
};

void explain_print_text(const struct explain *x, const struct command_line *line);
void explain_print_curl(const struct explain *x);
void explain_print_json(const struct explain *x);

/* What explain_print_curl wants in a request: a secret's place, found again by its name.
 * As template_secret_fn. */
const char *explain_secret_marker(void *arg, const char *name);
enum { EXPLAIN_MARKERS = 64, EXPLAIN_MARKER_MAX = 160 };
struct explain_markers {
    char texts[EXPLAIN_MARKERS][EXPLAIN_MARKER_MAX];
    size_t count;
};

#endif
