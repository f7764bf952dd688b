#include "keeper_answer.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "event/template.h"

enum {
    ASLEEP_WAIT_MS = 10 * 1000,
    WAKING_WAIT_MS = 5 * 1000,
    STUCK_WAIT_MS = 30 * 1000,
    UNKNOWN_WAIT_MS = 5 * 1000,
    NAMESPACE_MAX = 63, /* a DNS label */
};

struct keeper_answer keeper_answer(enum config_gate_policy policy, bool unknown_send,
                                   enum finding finding)
{
    static const struct keeper_answer open = {GATE_OPEN, "", 0};
    switch (finding) {
    case FOUND_AWAKE:
    case FOUND_WOKEN:
        return open;
    case FOUND_ASLEEP:
        if (policy == CONFIG_GATE_SKIP) {
            return (struct keeper_answer){GATE_SKIP, "hibernating", 0};
        }
        return (struct keeper_answer){GATE_HOLD, "hibernating", ASLEEP_WAIT_MS};
    case FOUND_WAKING:
        return (struct keeper_answer){GATE_HOLD, "waking", WAKING_WAIT_MS};
    case FOUND_STUCK:
        return (struct keeper_answer){GATE_HOLD, "waking", STUCK_WAIT_MS};
    case FOUND_UNKNOWN:
        return unknown_send
                   ? open
                   : (struct keeper_answer){GATE_HOLD, "app-unknown", UNKNOWN_WAIT_MS};
    case FOUND_STOPPING:
        return (struct keeper_answer){GATE_HOLD, "recalled", WAKING_WAIT_MS};
    case FOUND_UNREACHABLE:
        break;
    }
    return unknown_send ? open
                        : (struct keeper_answer){GATE_HOLD, "cluster-unreachable",
                                                 UNKNOWN_WAIT_MS};
}

enum finding finding_of(const struct workloads *read)
{
    bool lost = read->rc == -EIO || read->rc == -ETIMEDOUT;
    if (read->judged.state == HIBERNATION_UNKNOWN) {
        return lost ? FOUND_UNREACHABLE : FOUND_UNKNOWN;
    }
    return hibernation_sleeps(&read->judged) ? FOUND_ASLEEP : FOUND_AWAKE;
}

/* --- texts --- */

int keeper_fill_namespace(const struct config_gate *gate, const struct event *ev,
                          struct str *out, struct err *err)
{
    int rc = template_fill(gate->ns, ev, TEMPLATE_PLAIN, NULL, NULL, out, err);
    if (rc != 0) {
        return rc;
    }
    bool good = out->len > 0 && out->len <= NAMESPACE_MAX && out->data[0] != '-' &&
                out->data[out->len - 1] != '-';
    for (size_t i = 0; good && i < out->len; i++) {
        unsigned char c = (unsigned char)out->data[i];
        good = islower(c) || isdigit(c) || c == '-';
    }
    if (!good) {
        return err_set(err, -EBADMSG,
                       "\"%.80s\" is no namespace: at most %d of a-z 0-9 -", out->data,
                       NAMESPACE_MAX);
    }
    return 0;
}

/* Whatever could end a value, or begin another, is escaped by the filling and seen by
 * that, for a label's value has no character that would be. */
int keeper_fill_selector(const struct config_gate *gate, const struct event *ev,
                         struct str *out, struct err *err)
{
    int rc = template_fill(gate->selector, ev, TEMPLATE_PERCENT, NULL, NULL, out, err);
    if (rc != 0) {
        return rc;
    }
    size_t len = out->len;
    bool empty = !template_is_constant(gate->selector) &&
                 (len == 0 || out->data[len - 1] == '=' || strstr(out->data, "=,"));
    if (empty || strchr(out->data, '%') != NULL) {
        return err_set(err, -EBADMSG, "\"%.120s\": an event's field is no label's value",
                       out->data);
    }
    return 0;
}
