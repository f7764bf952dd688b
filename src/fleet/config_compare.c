/* What is different in two configurations. */
#include "fleet/config_private.h"

#include <stdlib.h>
#include <string.h>

/* As it would be written. */
static void written(const struct config *config, const char *pattern, const char *name,
                    struct str *out)
{
    const struct setting *s = settings_get(config->settings, pattern, name);
    if (s != NULL) {
        config_flow(s->value, out);
    }
}

bool config_same(const struct config *a, const struct config *b, const char *pattern,
                 const char *name)
{
    struct str one;
    struct str other;
    str_init(&one);
    str_init(&other);
    written(a, pattern, name, &one);
    written(b, pattern, name, &other);
    bool same = one.len == other.len && memcmp(one.data, other.data, one.len) == 0;
    str_release(&one);
    str_release(&other);
    return same;
}
