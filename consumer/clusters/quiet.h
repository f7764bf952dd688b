/* Clusters that were asked and did not answer in time: who asks about one of them need
 * not wait to learn the same. A list by name; names come from configuration, so there are
 * at most as many as clusters were ever configured. Its owner's lock guards it. */
#ifndef CONSUMER_QUIET_H
#define CONSUMER_QUIET_H

#include "fleet/gate.h"

struct quiet {
    char *cluster;
    char why[GATE_DETAIL_MAX];
    struct quiet *next;
};

/* NULL: it answers, as far as is known. Borrowed until the list changes. */
const struct quiet *quiet_find(const struct quiet *list, const char *cluster);

/* A second time: what it says of why is the newer. */
void quiet_add(struct quiet **list, const char *cluster, const char *why);

/* One that is not there is allowed. */
void quiet_remove(struct quiet **list, const char *cluster);

/* All of it. */
void quiet_free(struct quiet *list);

#endif
