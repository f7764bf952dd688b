/* Design. A kubeconfig is read into a tree that knows its lines; the context names a
 * cluster and a user, and each of them is then read key by key. Keys that would change
 * who we are or where we go, and that are not obeyed here, are faults, not noise;
 * extensions and keys nobody has heard of are let be. */
#include "kube/kubeconfig.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kube/account.h"
#include "kube/credential.h"
#include "wire/crypto.h"
#include "wire/yaml.h"

enum { SHOWN_MAX = 96 };

/* --- one kubeconfig while it is read --- */

struct reading {
    const char *path;
    const struct yaml_node *root;
    struct kube_access *access;
    char what[2 * SHOWN_MAX]; /* the entry looked at: user "admin" */
    struct err *err;
};

/* Names out of the file, short and printable. */
static void show(char out[SHOWN_MAX], const char *text)
{
    struct str plain;
    str_init(&plain);
    str_add_plain(&plain, text);
    snprintf(out, SHOWN_MAX, "%.80s", plain.data);
    str_release(&plain);
}

static int refuse(const struct reading *r, const struct yaml_node *at, const char *why)
{
    return err_set(r->err, -EINVAL, "%.200s:%d: %s: %s", r->path, at->line, r->what, why);
}

/* The text of a member; NULL: absent, empty or null. Something else is a fault. */
static int text_of(const struct reading *r, const struct yaml_node *map, const char *key,
                   const char **text)
{
    struct yaml_node *node = yaml_get(map, key);
    *text = NULL;
    if (node == NULL) {
        return 0;
    }
    if (node->kind != YAML_SCALAR) {
        char why[128];
        snprintf(why, sizeof why, "%s is no text", key);
        return refuse(r, node, why);
    }
    bool nothing = !node->quoted &&
                   (strcmp(node->text, "null") == 0 || strcmp(node->text, "~") == 0);
    *text = nothing || node->text[0] == '\0' ? NULL : node->text;
    return 0;
}

static int flag_of(const struct reading *r, const struct yaml_node *map, const char *key,
                   bool *flag)
{
    const char *text;
    int rc = text_of(r, map, key, &text);
    *flag = text != NULL && strcmp(text, "true") == 0;
    if (rc == 0 && text != NULL && !*flag && strcmp(text, "false") != 0) {
        char why[128];
        snprintf(why, sizeof why, "%s is neither true nor false", key);
        return refuse(r, yaml_get(map, key), why);
    }
    return rc;
}

/* Is the key there and says something? */
static bool is_said(const struct yaml_node *map, const char *key)
{
    const struct yaml_node *node = yaml_get(map, key);
    return node != NULL && (node->kind != YAML_SCALAR ||
                            (node->text[0] != '\0' && strcmp(node->text, "null") != 0));
}

/* "<folder of the file>/<path>", an absolute one as it is. Returns owned. */
static char *beside(const char *file, const char *path)
{
    const char *slash = strrchr(file, '/');
    struct str out;
    str_init(&out);
    if (path[0] != '/' && slash != NULL) {
        str_put(&out, file, (size_t)(slash - file) + 1);
    }
    str_add(&out, path);
    return str_take(&out);
}

/* Base64 over several lines is base64. Returns owned text or NULL. */
static char *decode(const char *text)
{
    char *packed = mem_alloc(strlen(text) + 1);
    size_t n = 0;
    for (const char *c = text; *c != '\0'; c++) {
        if (!isspace((unsigned char)*c)) {
            packed[n++] = *c;
        }
    }
    packed[n] = '\0';
    unsigned char *out = mem_zalloc(3 * (n / 4) + 4);
    int len = crypto_unbase64(packed, out);
    kube_wipe(packed);
    if (len <= 0 || memchr(out, '\0', (size_t)len) != NULL) {
        mem_wipe(out, 3 * (n / 4) + 4);
        free(out);
        return NULL;
    }
    out[len] = '\0';
    return (char *)out;
}

/* What stands in the file, or in a file it names; the former wins, as for kubectl. */
static int material_of(const struct reading *r, const struct yaml_node *map,
                       const char *key, struct kube_material *material)
{
    char data_key[64];
    const char *path;
    const char *data;
    snprintf(data_key, sizeof data_key, "%s-data", key);
    int rc = text_of(r, map, key, &path);
    rc = rc == 0 ? text_of(r, map, data_key, &data) : rc;
    if (rc != 0) {
        return rc;
    }
    if (data != NULL) {
        material->bytes = decode(data);
        if (material->bytes == NULL) {
            char why[128];
            snprintf(why, sizeof why, "%s is no base64 of a text", data_key);
            return refuse(r, yaml_get(map, data_key), why);
        }
        return 0;
    }
    if (path == NULL) {
        return 0;
    }
    material->file = beside(r->path, path);
    material->bytes = kube_file_read(material->file, KUBE_FILE_MAX, r->err);
    return material->bytes != NULL
               ? 0
               : err_wrap(r->err, "%.120s: %s: %s", r->path, r->what, key);
}

/* --- the entries --- */

/* The inner map of the entry of that name in a list such as `users`, or NULL. */
static const struct yaml_node *find_entry(struct reading *r, const char *list,
                                          const char *inner, const char *name)
{
    char shown[SHOWN_MAX];
    const struct yaml_node *entries = yaml_get(r->root, list);
    show(shown, name);
    snprintf(r->what, sizeof r->what, "%s \"%s\"", inner, shown);
    for (size_t i = 0;
         entries != NULL && entries->kind == YAML_LIST && i < entries->count; i++) {
        const struct yaml_node *entry = entries->items[i];
        const struct yaml_node *named = yaml_get(entry, "name");
        if (entry->kind != YAML_MAP || named == NULL || named->kind != YAML_SCALAR ||
            strcmp(named->text, name) != 0) {
            continue;
        }
        const struct yaml_node *found = yaml_get(entry, inner);
        if (found == NULL || found->kind != YAML_MAP) {
            (void)refuse(r, entry, "the entry says nothing");
            return NULL;
        }
        return found;
    }
    err_set(r->err, -EINVAL, "%.200s: there is no %s; `%s` has its entries", r->path,
            r->what, list);
    return NULL;
}

static bool is_loopback(const char *host, size_t len)
{
    static const char *const names[] = {"localhost", "[::1]", "::1"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strlen(names[i]) == len && strncasecmp(host, names[i], len) == 0) {
            return true;
        }
    }
    size_t digits = strspn(host, "0123456789.");
    return len > 4 && strncmp(host, "127.", 4) == 0 && digits == len;
}

static int take_server(const struct reading *r, const struct yaml_node *cluster)
{
    const char *server;
    int rc = text_of(r, cluster, "server", &server);
    if (rc != 0) {
        return rc;
    }
    if (server == NULL) {
        return refuse(r, cluster, "`server` is missing");
    }
    const char *why = kube_server_fault(server);
    if (why != NULL) {
        return refuse(r, yaml_get(cluster, "server"), why);
    }
    size_t len = strlen(server);
    while (server[len - 1] == '/') {
        len--;
    }
    r->access->server = mem_strndup(server, len);
    return 0;
}

static int read_cluster(const struct reading *r, const struct yaml_node *cluster)
{
    struct kube_access *access = r->access;
    const char *server_name;
    int rc = take_server(r, cluster);
    rc = rc == 0 ? text_of(r, cluster, "tls-server-name", &server_name) : rc;
    rc =
        rc == 0 ? flag_of(r, cluster, "insecure-skip-tls-verify", &access->insecure) : rc;
    if (rc != 0) {
        return rc;
    }
    access->server_name = mem_strdup(server_name);
    if (is_said(cluster, "proxy-url")) {
        return refuse(r, yaml_get(cluster, "proxy-url"),
                      "proxy-url is not obeyed: calls go to the server itself; take it "
                      "out, or name a server that is reached without");
    }
    if (access->insecure && (is_said(cluster, "certificate-authority") ||
                             is_said(cluster, "certificate-authority-data"))) {
        return refuse(r, cluster,
                      "insecure-skip-tls-verify and a certificate-authority exclude each "
                      "other; take one out");
    }
    return material_of(r, cluster, "certificate-authority", &access->ca);
}

/* Ways to be somebody that are not ours. */
static int refuse_strange(const struct reading *r, const struct yaml_node *user)
{
    static const struct {
        const char *key;
        const char *why;
    } strange[] = {
        {"exec", "exec runs a program for a credential, which is not done here; give a "
                 "`tokenFile` that something else keeps fresh, or a client certificate"},
        {"auth-provider", "auth-provider is not known here; give a `tokenFile` that "
                          "something else keeps fresh, or a client certificate"},
        {"as", "impersonation (as) is not done; give the user's own credential"},
        {"as-uid", "impersonation (as-uid) is not done; give the user's own credential"},
        {"as-groups",
         "impersonation (as-groups) is not done; give the user's own credential"},
        {"as-user-extra",
         "impersonation (as-user-extra) is not done; give the user's own credential"},
    };
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
        if (is_said(user, strange[i].key)) {
            return refuse(r, yaml_get(user, strange[i].key), strange[i].why);
        }
    }
    return 0;
}

/* tokenFile wins over token, which is what it was when the file was made. */
static int take_token(const struct reading *r, const struct yaml_node *user)
{
    struct kube_material *material = &r->access->token;
    const char *token;
    const char *path;
    int rc = text_of(r, user, "token", &token);
    rc = rc == 0 ? text_of(r, user, "tokenFile", &path) : rc;
    if (rc != 0) {
        return rc;
    }
    if (path != NULL) {
        material->file = beside(r->path, path);
        material->bytes = kube_token_read(material->file, r->err);
        return material->bytes != NULL
                   ? 0
                   : err_wrap(r->err, "%.120s: %s: tokenFile", r->path, r->what);
    }
    if (token == NULL) {
        return 0;
    }
    material->bytes = mem_strdup(token);
    if (strlen(token) > KUBE_TOKEN_MAX || !kube_token_trim(material->bytes)) {
        return refuse(r, yaml_get(user, "token"),
                      "token is too long, or has a space or a control character in it");
    }
    return 0;
}

static int take_basic(const struct reading *r, const struct yaml_node *user)
{
    const char *name;
    const char *password;
    int rc = text_of(r, user, "username", &name);
    rc = rc == 0 ? text_of(r, user, "password", &password) : rc;
    if (rc != 0 || (name == NULL && password == NULL)) {
        return rc;
    }
    if (name == NULL || password == NULL || strchr(name, ':') != NULL ||
        strlen(name) + strlen(password) > KUBE_TOKEN_MAX) {
        return refuse(r, user,
                      "username and password are wanted together, short, and no colon in "
                      "the name");
    }
    if (r->access->token.bytes != NULL) {
        return refuse(r, user, "token and username exclude each other; take one out");
    }
    struct str basic;
    str_init(&basic);
    str_addf(&basic, "%s:%s", name, password);
    r->access->basic = str_take(&basic);
    return 0;
}

/* Credentials on a plain connection are read by everybody on the way. */
static int check_plain(const struct reading *r, const struct yaml_node *at)
{
    const struct kube_access *access = r->access;
    bool any = access->token.bytes != NULL || access->basic != NULL;
    if (!any || strncasecmp(access->server, "http://", 7) != 0) {
        return 0;
    }
    const char *host = access->server + 7;
    size_t len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
    if (is_loopback(host, len)) {
        return 0;
    }
    return refuse(r, at,
                  "its credential would go over plain http; give the cluster an https:// "
                  "server");
}

static int read_user(const struct reading *r, const struct yaml_node *user)
{
    struct kube_access *access = r->access;
    int rc = refuse_strange(r, user);
    rc = rc == 0 ? take_token(r, user) : rc;
    rc = rc == 0 ? take_basic(r, user) : rc;
    rc = rc == 0 ? material_of(r, user, "client-certificate", &access->cert) : rc;
    rc = rc == 0 ? material_of(r, user, "client-key", &access->key) : rc;
    rc = rc == 0 ? check_plain(r, user) : rc;
    if (rc == 0 && (access->cert.bytes == NULL) != (access->key.bytes == NULL)) {
        return refuse(r, user, "client-certificate and client-key go together");
    }
    return rc;
}

/* --- the whole --- */

static int read_context(struct reading *r, const struct yaml_node *context)
{
    const char *cluster;
    const char *user;
    const char *ns;
    int rc = text_of(r, context, "cluster", &cluster);
    rc = rc == 0 ? text_of(r, context, "user", &user) : rc;
    rc = rc == 0 ? text_of(r, context, "namespace", &ns) : rc;
    if (rc != 0) {
        return rc;
    }
    if (cluster == NULL) {
        return refuse(r, context, "`cluster` is missing");
    }
    r->access->ns = mem_strdup(ns);
    const struct yaml_node *entry = find_entry(r, "clusters", "cluster", cluster);
    rc = entry != NULL ? read_cluster(r, entry) : r->err->code;
    if (rc != 0 || user == NULL) {
        return rc;
    }
    entry = find_entry(r, "users", "user", user);
    return entry != NULL ? read_user(r, entry) : r->err->code;
}

/* The names of the contexts, for who named none or a wrong one. */
static int no_context(const struct reading *r)
{
    const struct yaml_node *contexts = yaml_get(r->root, "contexts");
    struct str names;
    str_init(&names);
    for (size_t i = 0; contexts != NULL && contexts->kind == YAML_LIST &&
                       i < contexts->count && names.len < SHOWN_MAX;
         i++) {
        const struct yaml_node *name = yaml_get(contexts->items[i], "name");
        if (name != NULL && name->kind == YAML_SCALAR) {
            str_add(&names, names.len > 0 ? ", " : "");
            str_add_plain(&names, name->text);
        }
    }
    int rc = err_set(r->err, -EINVAL,
                     "%.200s: there is no current-context; name one (`context`) of: %.*s",
                     r->path, 2 * SHOWN_MAX, names.data);
    str_release(&names);
    return rc;
}

static int read_tree(struct reading *r, const char *context)
{
    snprintf(r->what, sizeof r->what, "the file");
    if (r->root->kind != YAML_MAP || yaml_get(r->root, "clusters") == NULL) {
        return err_set(r->err, -EBADMSG, "%.300s is no kubeconfig: it has no `clusters`",
                       r->path);
    }
    int rc = 0;
    if (context == NULL) {
        rc = text_of(r, r->root, "current-context", &context);
    }
    if (rc != 0 || context == NULL) {
        return rc != 0 ? rc : no_context(r);
    }
    const struct yaml_node *entry = find_entry(r, "contexts", "context", context);
    return entry != NULL ? read_context(r, entry) : r->err->code;
}

static int read_kubeconfig(const struct kube_access_options *options,
                           struct kube_access *access, struct err *err)
{
    char *bytes = kube_file_read(options->kubeconfig, KUBE_FILE_MAX, err);
    if (bytes == NULL) {
        return err->code;
    }
    int rc = 0;
    struct yaml_issues *issues = mem_zalloc(sizeof *issues);
    struct yaml_node *root = yaml_parse(bytes, strlen(bytes), issues);
    struct reading r = {.path = options->kubeconfig,
                        .root = root,
                        .access = access,
                        .err = err};
    if (root == NULL || issues->count > 0) {
        rc = err_set(err, -EBADMSG, "%.200s:%d:%d: %.200s", options->kubeconfig,
                     issues->items[0].line, issues->items[0].column,
                     issues->items[0].text);
    } else {
        rc = read_tree(&r, options->context);
    }
    access->file = mem_strdup(options->kubeconfig);
    yaml_node_free(root);
    free(issues);
    kube_wipe(bytes);
    return rc;
}

int kube_access_read(const struct kube_access_options *options,
                     struct kube_access *access, struct err *err)
{
    struct kube_access made = {.server = NULL};
    struct err why = ERR_INIT;
    int rc = options->kubeconfig != NULL ? read_kubeconfig(options, &made, &why)
                                         : kube_account_read(options, &made, &why);
    if (rc != 0) {
        kube_access_release(&made);
        return err_set(err, rc, "%s", why.text);
    }
    *access = made;
    return 0;
}

static void release_material(struct kube_material *material)
{
    kube_wipe(material->bytes);
    free(material->file);
}

void kube_access_release(struct kube_access *access)
{
    free(access->server);
    free(access->server_name);
    release_material(&access->ca);
    release_material(&access->cert);
    release_material(&access->key);
    release_material(&access->token);
    kube_wipe(access->basic);
    free(access->ns);
    free(access->file);
    *access = (struct kube_access){.server = NULL};
}
