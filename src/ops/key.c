#include "ops/key.h"

void ops_key(const struct config *config, const char *name, struct str *key)
{
    str_addf(key, "%s:ops:{%s}:%s", config->redis.prefix, config->kafka.group, name);
}
