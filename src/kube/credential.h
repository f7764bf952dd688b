/* Files that hold certificates and tokens, and texts that are secret. Any thread. */
#ifndef KUBE_CREDENTIAL_H
#define KUBE_CREDENTIAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* The bytes of a regular file of at most `max`, NUL-ended.
 * Returns owned, to be wiped; NULL with a sentence: -ENOENT, -EACCES, -EIO, or -EBADMSG
 * (too long, or a NUL in it). */
char *kube_file_read(const char *path, size_t max, struct err *err)
    __attribute__((warn_unused_result));

/* The same for a token: without the white space around it, and fit for a header. */
char *kube_token_read(const char *path, struct err *err)
    __attribute__((warn_unused_result));

/* Cut the white space off both ends. Returns whether what is left may be a token. */
bool kube_token_trim(char *text);

void kube_wipe(char *text); /* overwrite and free; NULL allowed */

#endif
