/* Paths with at most one name in them, such as "apps/{app}/workflow". Pure. */
#ifndef CONSUMER_ROUTE_H
#define CONSUMER_ROUTE_H

#include <stdbool.h>

enum { ROUTE_NAME_MAX = 1024 };

/* Does the path, decoded, fit the pattern?
 *
 * name  out: what stands for the braces, anything that is not empty, also with '/' in it,
 *       for events and applications have such names; "" when the pattern has none.
 * A name that is longer than ROUTE_NAME_MAX - 1 does not fit. */
bool route_fits(const char *pattern, const char *path, char name[ROUTE_NAME_MAX]);

#endif
