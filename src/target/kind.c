#include "target/kind.h"

#include <string.h>

/* One line for each file in kinds/, made by the Makefile. */
#define KIND(id, name) extern const struct kind kind_##id;
#include "target/kinds.inc"
#undef KIND

static const struct kind *const kinds[] = {
#define KIND(id, name) &kind_##id,
#include "target/kinds.inc"
#undef KIND
};
enum { KIND_COUNT = sizeof(kinds) / sizeof(kinds[0]) };

const struct kind *kind_at(size_t i)
{
    return i < KIND_COUNT ? kinds[i] : NULL;
}

const struct kind *kind_find(const char *name)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (strcmp(kinds[i]->name, name) == 0) {
            return kinds[i];
        }
    }
    return NULL;
}

const char *kind_phase_name(enum kind_phase_word phase)
{
    static const char *const names[] = {
        [PHASE_UNKNOWN] = "unknown", [PHASE_PENDING] = "pending",
        [PHASE_RUNNING] = "running", [PHASE_SUCCEEDED] = "succeeded",
        [PHASE_FAILED] = "failed",   [PHASE_CANCELLED] = "cancelled",
    };
    return names[phase];
}
