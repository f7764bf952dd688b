#include "route.h"

#include <string.h>

bool route_fits(const char *pattern, const char *path, char name[ROUTE_NAME_MAX])
{
    size_t before = strcspn(pattern, "{");
    const char *after = strchr(pattern, '}');
    name[0] = '\0';
    if (!after) {
        return strcmp(pattern, path) == 0;
    }
    size_t tail = strlen(++after);
    size_t len = strlen(path);
    if (len <= before + tail || strncmp(path, pattern, before) != 0 ||
        strcmp(path + len - tail, after) != 0) {
        return false;
    }
    len -= before + tail;
    if (len >= ROUTE_NAME_MAX) {
        return false;
    }
    memcpy(name, path + before, len);
    name[len] = '\0';
    return true;
}
