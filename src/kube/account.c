#include "kube/account.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "kube/credential.h"

#define ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/"

/* NULL when the address can be used, else what is wrong with it. */
const char *kube_server_fault(const char *server)
{
    const char *host = strstr(server, "://");
    if (strlen(server) > KUBE_SERVER_MAX) {
        return "server is too long";
    }
    if (strncasecmp(server, "https://", 8) != 0 &&
        strncasecmp(server, "http://", 7) != 0) {
        return "server is no https:// address";
    }
    for (const char *c = server; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~' || strchr("?#@\\\"<>", *c) != NULL) {
            return "server is more than scheme, host, port and path";
        }
    }
    return strchr("/:", host[3]) != NULL ? "server names no host" : NULL;
}

static const char *variable(char *const *environment, const char *name)
{
    size_t len = strlen(name);
    for (; *environment != NULL; environment++) {
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=') {
            return *environment + len + 1;
        }
    }
    return "";
}

static char *account_file(const char *root, const char *name)
{
    struct str out;
    str_init(&out);
    str_addf(&out, "%s" ACCOUNT "%s", root != NULL ? root : "", name);
    return str_take(&out);
}

/* As a pod: the address is in the environment, the rest in the account's folder. */
int kube_account_read(const struct kube_access_options *options,
                      struct kube_access *access, struct err *err)
{
    char *const *environment =
        options->environment != NULL ? options->environment : environ;
    const char *host = variable(environment, "KUBERNETES_SERVICE_HOST");
    const char *port = variable(environment, "KUBERNETES_SERVICE_PORT");
    if (host[0] == '\0' || port[0] == '\0') {
        return err_set(err, -EINVAL,
                       "this process is in no cluster: KUBERNETES_SERVICE_HOST and _PORT "
                       "are not set; give a kubeconfig instead of in_cluster");
    }
    struct str server;
    bool v6 = strchr(host, ':') != NULL && host[0] != '[';
    str_init(&server);
    str_addf(&server, "https://%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port);
    access->server = str_take(&server);
    if (kube_server_fault(access->server) != NULL) {
        return err_set(err, -EINVAL,
                       "KUBERNETES_SERVICE_HOST and _PORT are no host and port");
    }
    access->ca.file = account_file(options->root, "ca.crt");
    access->token.file = account_file(options->root, "token");
    access->token.bytes = kube_token_read(access->token.file, err);
    if (access->token.bytes != NULL) {
        access->ca.bytes = kube_file_read(access->ca.file, KUBE_FILE_MAX, err);
    }
    if (access->ca.bytes == NULL) {
        return err_wrap(err, "the pod's service account");
    }
    struct err none = ERR_INIT; /* a namespace need not be there */
    char *path = account_file(options->root, "namespace");
    access->ns = kube_token_read(path, &none);
    free(path);
    return 0;
}
