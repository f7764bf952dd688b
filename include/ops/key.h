/* The names of what operators read and write in Redis. Pure. */
#ifndef OPS_KEY_H
#define OPS_KEY_H

#include "fleet/config.h"

/* "<prefix>:ops:{<group>}:<name>", appended. All such keys of a group share one hash
 * slot. */
void ops_key(const struct config *config, const char *name, struct str *key);

#endif
