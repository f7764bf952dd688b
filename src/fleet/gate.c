#include "fleet/gate.h"

#include <stdio.h>

enum { NOBODY_WAIT_MS = 60 * 1000 };

bool gate_is_on(const struct config_target *target)
{
    return target->gate.policy != CONFIG_GATE_SEND;
}

int64_t gate_patience_ms(const struct gate *gate)
{
    return gate && gate->patience_ms > 0 ? gate->patience_ms : GATE_PATIENCE_MS;
}

void gate_start(const struct gate *gate, struct gate_ask *ask)
{
    if (gate) {
        gate->ask(gate->arg, ask);
    } else {
        gate_answer(ask, GATE_HOLD, "no-gate",
                    "this process has nobody who knows the target's cluster",
                    NOBODY_WAIT_MS);
    }
}

void gate_recall(const struct gate *gate, struct gate_ask *ask)
{
    if (gate) {
        gate->recall(gate->arg, ask);
    }
}

void gate_answer(struct gate_ask *ask, enum gate_says says, const char *reason,
                 const char *detail, int64_t wait_ms)
{
    ask->says = says;
    snprintf(ask->reason, sizeof ask->reason, "%s", reason);
    snprintf(ask->detail, sizeof ask->detail, "%s", detail);
    ask->wait_ms = wait_ms > 0 ? wait_ms : 0;
    ask->done(ask);
}
