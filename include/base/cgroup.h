/* What the control groups of this process allow. */
#ifndef BASE_CGROUP_H
#define BASE_CGROUP_H

#include <stdint.h>

/* The tightest memory limit of the process' control group and of those above it, in
 * bytes; 0 for none. Versions 1 and 2; in a container, whose own group is the root it
 * sees, on a host, and under a service manager.
 * membership  "/proc/self/cgroup"
 * root        "/sys/fs/cgroup" */
uint64_t cgroup_memory_limit(const char *membership, const char *root);

#endif
