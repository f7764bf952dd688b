#include "kube/manifests.h"

#include <errno.h>

int manifests_get(struct ctx *ctx, struct manifest *items, size_t n, int width)
{
    (void)ctx;
    if (width < 1 || width > MANIFESTS_WIDTH_MAX || n > MANIFESTS_MAX) {
        return -EINVAL;
    }
    for (size_t i = 0; i < n; i++) {
        items[i].rc = err_set(&items[i].err, -EINVAL, "manifests are not read yet");
    }
    return 0;
}

void manifests_release(struct manifest *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        json_free(items[i].doc);
        items[i].doc = NULL;
    }
}
