/* What a gate says to a unit, out of what was found about its application. Pure. */
#ifndef CONSUMER_KEEPER_ANSWER_H
#define CONSUMER_KEEPER_ANSWER_H

#include "fleet/gate.h"
#include "kube/workloads.h"

/* What was found about an application, or done for it. */
enum finding {
    FOUND_AWAKE,  /* or partly, or without anything that could sleep */
    FOUND_ASLEEP, /* and nobody wakes it */
    FOUND_WOKEN,  /* by us, just now */
    FOUND_WAKING, /* not all of it, yet */
    FOUND_STUCK,  /* not all of it, and trying again soon would not help */
    FOUND_UNKNOWN,
    FOUND_UNREACHABLE, /* its cluster does not answer */
    FOUND_STOPPING,    /* nobody looks any more */
};

struct keeper_answer {
    enum gate_says says;
    const char *reason; /* "" for an open gate */
    int64_t wait_ms;
};

/* unknown_send: targets.*.gate.unknown. */
struct keeper_answer keeper_answer(enum config_gate_policy policy, bool unknown_send,
                                   enum finding finding);

/* What reading found; a policy that wakes has something to do when some part sleeps. */
enum finding finding_of(const struct workloads *read);

/* A text made of an event's fields, for a namespace or labels. Such a value may not
 * change what is asked for: a field is one name, or one label's value, or it is refused.
 *
 * out  appended. Returns 0 or -EBADMSG with a sentence; as template_fill for a field that
 * the event lacks. */
int keeper_fill_namespace(const struct config_gate *gate, const struct event *ev,
                          struct str *out, struct err *err);
int keeper_fill_selector(const struct config_gate *gate, const struct event *ev,
                         struct str *out, struct err *err);

#endif
