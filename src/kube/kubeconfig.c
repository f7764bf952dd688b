#include "kube/kubeconfig.h"

#include <errno.h>

int kube_access_read(const struct kube_access_options *options,
                     struct kube_access *access, struct err *err)
{
    (void)options;
    (void)access;
    return err_set(err, -EINVAL, "kubeconfig files are not read yet");
}

void kube_access_release(struct kube_access *access)
{
    (void)access;
}

int kube_file_read(const char *path, size_t max, char **bytes, struct err *err)
{
    (void)max;
    (void)bytes;
    return err_set(err, -ENOENT, "%s is not read yet", path);
}
