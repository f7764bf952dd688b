#include "fleet/unit.h"

#include "base/err.h"

const char *verdict_name(enum verdict verdict)
{
    static const char *const names[VERDICT_COUNT] = {
        "in_flight",  "triggered", "duplicate", "skipped",
        "superseded", "deferred",  "dead",      "returned",
    };
    ASSERT(verdict >= 0 && verdict < VERDICT_COUNT);
    return names[verdict];
}
