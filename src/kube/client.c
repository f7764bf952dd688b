#include "kube/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct kube {
    char *name;
};

struct kube *kube_open(struct http *http, const struct kube_options *options,
                       struct err *err)
{
    (void)http;
    err_set(err, -EINVAL, "cluster %s: clusters are not read yet", options->name);
    return NULL;
}

void kube_close(struct kube *kube)
{
    free(kube);
}

const char *kube_name(const struct kube *kube)
{
    return kube->name;
}

const char *kube_server(const struct kube *kube)
{
    return kube->name;
}

const char *kube_namespace(const struct kube *kube)
{
    (void)kube;
    return NULL;
}

void kube_start(struct kube *kube, struct kube_call *call)
{
    (void)kube_do(kube, call);
    call->done(call);
}

int kube_do(struct kube *kube, struct kube_call *call)
{
    call->end = KUBE_UNUSABLE;
    call->rc = err_set(&call->err, -EINVAL, "cluster %s is not asked yet", kube->name);
    return call->rc;
}

void kube_call_release(struct kube_call *call)
{
    json_free(call->doc);
    free(call->text);
    call->doc = NULL;
    call->text = NULL;
}
