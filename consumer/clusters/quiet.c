#include "quiet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

const struct quiet *quiet_find(const struct quiet *list, const char *cluster)
{
    while (list != NULL && strcmp(list->cluster, cluster) != 0) {
        list = list->next;
    }
    return list;
}

void quiet_add(struct quiet **list, const char *cluster, const char *why)
{
    quiet_remove(list, cluster);
    struct quiet *one = mem_zalloc(sizeof *one);
    one->cluster = mem_strdup(cluster);
    snprintf(one->why, sizeof one->why, "%s", why);
    one->next = *list;
    *list = one;
}

void quiet_remove(struct quiet **list, const char *cluster)
{
    for (struct quiet **at = list; *at != NULL; at = &(*at)->next) {
        struct quiet *one = *at;
        if (strcmp(one->cluster, cluster) == 0) {
            *at = one->next;
            free(one->cluster);
            free(one);
            return;
        }
    }
}

void quiet_free(struct quiet *list)
{
    while (list != NULL) {
        quiet_remove(&list, list->cluster);
    }
}
