#include "base/cgroup.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* Above that version 1 means none: it says so with the largest number of whole pages. */
static const int64_t limit_max = (int64_t)1 << 50;

/* "max", a huge number and no file at all mean none. */
static uint64_t read_limit(const char *path)
{
    char text[32] = "";
    int64_t bytes;
    FILE *file = fopen(path, "re");
    if (!file) {
        return 0;
    }
    char *line = fgets(text, sizeof text, file);
    fclose(file);
    if (!line) {
        return 0;
    }
    text[strcspn(text, "\n")] = '\0';
    return text_parse_int(text, 1, limit_max, &bytes) ? 0 : (uint64_t)bytes;
}

/* From the group up to the root. A group that is not there stands for one above it: what
 * a container mounts as the root may be its own group. */
static uint64_t tightest(const char *root, const char *group, const char *file)
{
    char parent[PATH_MAX];
    char path[2 * PATH_MAX];
    uint64_t limit = 0;
    snprintf(parent, sizeof parent, "%s", group);
    for (;;) {
        snprintf(path, sizeof path, "%s%s/%s", root, parent, file);
        uint64_t here = read_limit(path);
        limit = here && (!limit || here < limit) ? here : limit;
        char *slash = strrchr(parent, '/');
        if (!slash) {
            return limit;
        }
        *slash = '\0';
    }
}

/* Is "memory" one of "cpu,memory"? */
static bool names_memory(const char *controllers, size_t len)
{
    static const char memory[] = "memory";
    while (len > 0) {
        size_t word = strcspn(controllers, ",:");
        if (word == sizeof memory - 1 && strncmp(controllers, memory, word) == 0) {
            return true;
        }
        size_t step = word < len ? word + 1 : len;
        controllers += step;
        len -= step;
    }
    return false;
}

/* A line is "0::/group" in version 2, "5:cpu,memory:/group" in version 1. */
static uint64_t limit_of_line(const char *line, const char *root)
{
    char version1[PATH_MAX];
    const char *controllers = strchr(line, ':');
    const char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group) {
        return 0;
    }
    controllers++;
    if (controllers == group) {
        return tightest(root, group + 1, "memory.max");
    }
    snprintf(version1, sizeof version1, "%s/memory", root);
    return names_memory(controllers, (size_t)(group - controllers))
               ? tightest(version1, group + 1, "memory.limit_in_bytes")
               : 0;
}

uint64_t cgroup_memory_limit(const char *membership, const char *root)
{
    char line[PATH_MAX];
    uint64_t limit = 0;
    FILE *file = fopen(membership, "re");
    if (!file) {
        return 0;
    }
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        uint64_t here = limit_of_line(line, root);
        limit = here && (!limit || here < limit) ? here : limit;
    }
    fclose(file);
    return limit;
}
