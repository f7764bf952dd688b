/* The part of package URLs (purl) that names container images:
 * pkg:oci/name@sha256%3A...?repository_url=ghcr.io/acme/name&tag=1.2. Pure; any thread.
 */
#ifndef EVENT_PURL_H
#define EVENT_PURL_H

#include "base/str.h"

struct purl {
    struct str name;   /* without namespace */
    struct str image;  /* what one would pull */
    struct str digest; /* "sha256:..."; "" when it has none */
};

/* Returns 0 with the parts, to be released, or -EINVAL: no purl, or not of an image. */
int purl_parse(const char *text, struct purl *purl);
void purl_release(struct purl *purl);

#endif
