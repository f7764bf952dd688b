/* Which CI system this process runs in, and what its environment says about the build.
 * Pure: the environment is asked through a function. */
#ifndef PRODUCER_CI_H
#define PRODUCER_CI_H

#include "facts.h"

typedef const char *ci_env_fn(void *arg, const char *name);

/* Fill the facts that are not known yet.
 * Returns the system's name ("GitHub Actions"), or NULL when there is none: then nothing
 * is filled. */
const char *ci_detect(ci_env_fn *env, void *arg, struct facts *facts);

/* "acme/api" out of a clone URL, whatever its form; credentials, host and ".git" stay
 * out. What is no URL comes back as it is. Returns owned. */
char *ci_repo_of_url(const char *url);

#endif
