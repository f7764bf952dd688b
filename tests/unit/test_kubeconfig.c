/* kube/kubeconfig: what is read, what is refused and where, and that nothing hostile
 * breaks it. Secrets stand in no sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "kube/kubeconfig.h"

static char folder[] = "/tmp/test_kubeconfig.XXXXXX";
static char path[96];

static int make_folder(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/config", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static void write_bytes(const char *name, const char *bytes, size_t len)
{
    char whole[128];
    snprintf(whole, sizeof whole, "%s/%s", folder, name);
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

static int read_as(const char *context, struct kube_access *access, struct err *err)
{
    struct kube_access_options options = {.kubeconfig = path, .context = context};
    return kube_access_read(&options, access, err);
}

/* A file with one context, its cluster and its user as given. */
static void write_config(const char *cluster, const char *user)
{
    struct str text;
    str_init(&text);
    str_addf(&text,
             "apiVersion: v1\nkind: Config\npreferences: {}\ncurrent-context: a\n"
             "contexts:\n- name: a\n  context: {cluster: c, user: u, namespace: shop}\n"
             "clusters:\n- name: c\n  cluster: {%s}\n"
             "users:\n- name: u\n  user: {%s}\n",
             cluster, user);
    write_text("config", text.data);
    str_release(&text);
}

#define SERVER "server: \"https://k8s:6443\""

static void kubeconfig__a_usual_one_is_read(void **state)
{
    (void)state;
    struct kube_access a;
    struct err err = ERR_INIT;
    write_config("server: \"https://10.0.0.1:6443/\", tls-server-name: kubernetes,"
                 " certificate-authority-data: Q0E=, extensions: [{name: x}]",
                 "client-certificate-data: Q0VSVA==, client-key-data: S0VZ,"
                 " token: \" s3cret \"");
    assert_int_equal(read_as(NULL, &a, &err), 0);
    assert_string_equal(a.server, "https://10.0.0.1:6443");
    assert_string_equal(a.server_name, "kubernetes");
    assert_string_equal(a.ca.bytes, "CA");
    assert_string_equal(a.cert.bytes, "CERT");
    assert_string_equal(a.key.bytes, "KEY");
    assert_string_equal(a.token.bytes, "s3cret");
    assert_string_equal(a.ns, "shop");
    assert_null(a.ca.file);
    assert_false(a.insecure);
    kube_access_release(&a);
}

static void kubeconfig__json_is_read_too(void **state)
{
    (void)state;
    struct kube_access a;
    struct err err = ERR_INIT;
    write_text("config",
               "{\"current-context\": \"a\",\n\t\"contexts\": [{\"name\": \"a\", "
               "\"context\": {\"cluster\": \"c\"}}],\n\t\"users\": null,\n"
               "\t\"clusters\": [{\"name\": \"c\", \"cluster\": {\"server\": "
               "\"https:\\/\\/k8s\"}}]}");
    int rc = read_as(NULL, &a, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(rc, 0);
    assert_string_equal(a.server, "https://k8s");
    assert_null(a.token.bytes);
    assert_null(a.ns);
    kube_access_release(&a);
}

static void kubeconfig__files_are_beside_it(void **state)
{
    (void)state;
    struct kube_access a;
    struct err err = ERR_INIT;
    char expected[128];
    char whole[256];
    write_text("ca.crt", "CA");
    write_text("tok", "s3cret\n\n");
    snprintf(whole, sizeof whole, SERVER ", certificate-authority: \"%s/ca.crt\"",
             folder);
    write_config(whole, "tokenFile: tok, token: old");
    assert_int_equal(read_as("a", &a, &err), 0);
    snprintf(expected, sizeof expected, "%s/tok", folder);
    assert_string_equal(a.token.file, expected);
    assert_string_equal(a.token.bytes, "s3cret");
    assert_string_equal(a.ca.bytes, "CA");
    kube_access_release(&a);
}

static const struct {
    const char *cluster;
    const char *user;
    int rc;
    const char *words;
} bad[] = {
    {"a: b", "", -EINVAL, "cluster \"c\": `server` is missing"},
    {"server: k8s", "", -EINVAL, "server is no https:// address"},
    {"server: ftp://k8s", "", -EINVAL, "server is no https:// address"},
    {"server: \"https://\"", "", -EINVAL, "server names no host"},
    {"server: \"https:///x\"", "", -EINVAL, "server names no host"},
    {"server: \"https://me:s3cret@k8s\"", "", -EINVAL, "more than scheme"},
    {"server: \"https://k8s/?a=b\"", "", -EINVAL, "more than scheme"},
    {"server: \"https://k8s\\r\\nx: y\"", "", -EINVAL, "more than scheme"},
    {"server: [a]", "", -EINVAL, "server is no text"},
    {SERVER ", proxy-url: \"http://p\"", "", -EINVAL, "proxy-url is not obeyed"},
    {SERVER ", insecure-skip-tls-verify: yes", "", -EINVAL, "neither true nor false"},
    {SERVER ", insecure-skip-tls-verify: true, certificate-authority-data: Q0E=", "",
     -EINVAL, "exclude each other"},
    {SERVER ", certificate-authority-data: \"?\"", "", -EINVAL,
     "certificate-authority-data is no base64"},
    {SERVER ", certificate-authority-data: AAAA", "", -EINVAL, "is no base64 of a text"},
    {SERVER ", certificate-authority: gone.crt", "", -ENOENT,
     "cluster \"c\": certificate-authority: "},
    {SERVER, "exec: {command: aws}", -EINVAL, "user \"u\": exec runs a program"},
    {SERVER, "auth-provider: {name: gcp}", -EINVAL, "auth-provider is not known here"},
    {SERVER, "as: admin, token: s3cret", -EINVAL, "impersonation (as) is not done"},
    {SERVER, "as-groups: [a]", -EINVAL, "impersonation (as-groups)"},
    {SERVER, "username: s3cret", -EINVAL, "wanted together"},
    {SERVER, "username: a, password: s3cret, token: s3cret", -EINVAL,
     "token and username exclude each other"},
    {SERVER, "token: \"s3cret\\nx-evil: 1\"", -EINVAL, "token is too long, or has"},
    {SERVER, "token: {a: s3cret}", -EINVAL, "token is no text"},
    {SERVER, "tokenFile: gone", -ENOENT, "user \"u\": tokenFile: "},
    {SERVER, "tokenFile: empty", -EBADMSG, "holds no token"},
    {SERVER, "tokenFile: .", -EIO, "is no regular file"},
    {SERVER, "tokenFile: pipe", -EIO, "is no regular file"},
    {SERVER, "client-certificate-data: Q0VSVA==", -EINVAL, "go together"},
    {SERVER, "client-key-data: Q0VSVA==", -EINVAL, "go together"},
    {"server: \"http://k8s.example\"", "token: s3cret", -EINVAL, "over plain http"},
    {"server: \"http://127.0.0.1.example\"", "token: s3cret", -EINVAL, "over plain http"},
};

static void kubeconfig__what_is_wrong_is_refused_with_its_entry(void **state)
{
    (void)state;
    char pipe_path[128];
    size_t wrong = 0;
    write_text("empty", " \n");
    snprintf(pipe_path, sizeof pipe_path, "%s/pipe", folder);
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct kube_access a;
        struct err err = ERR_INIT;
        write_config(bad[i].cluster, bad[i].user);
        int rc = read_as(NULL, &a, &err);
        if (rc != bad[i].rc || !strstr(err.text, bad[i].words) ||
            !strstr(err.text, path) || strstr(err.text, "s3cret")) {
            print_message("{%s} {%s}: %d \"%s\", expected %d \"%s\"\n", bad[i].cluster,
                          bad[i].user, rc, err.text, bad[i].rc, bad[i].words);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static const struct {
    const char *server;
    bool sends;
} plain[] = {
    {"http://127.0.0.1:1", true},  {"http://127.8.9.1", true},
    {"http://localhost/x", true},  {"http://[::1]:80", true},
    {"http://localhost.x", false}, {"http://128.0.0.1", false},
    {"http://[::2]:80", false},
};

static void kubeconfig__plain_http_keeps_credentials_on_this_host(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        struct kube_access a;
        struct err err = ERR_INIT;
        char cluster[128];
        snprintf(cluster, sizeof cluster, "server: \"%s\"", plain[i].server);
        write_config(cluster, "token: t");
        assert_int_equal(read_as(NULL, &a, &err), plain[i].sends ? 0 : -EINVAL);
        if (plain[i].sends) {
            kube_access_release(&a);
        }
        write_config(cluster, "");
        assert_int_equal(read_as(NULL, &a, &err), 0);
        kube_access_release(&a);
    }
}

static const struct {
    const char *text;
    const char *context;
    int rc;
    const char *words;
} files[] = {
    {"", NULL, -EBADMSG, "is no kubeconfig"},
    {"[]", NULL, -EBADMSG, "is no kubeconfig"},
    {"a: 1\nb: [", NULL, -EBADMSG, ":3:"},
    {"clusters: &a []\nusers: *a\n", NULL, -EBADMSG, ":1:"},
    {"clusters: []\nclusters: []\n", NULL, -EBADMSG, "is here already"},
    {"clusters: []\ncontexts: [{name: x\x1b[2J}, {name: y}]\n", NULL, -EBADMSG, ""},
    {"clusters: []\ncontexts: [{name: x}, {name: y}]\n", NULL, -EINVAL, "of: x, y"},
    {"clusters: []\ncontexts: 7\n", "z", -EINVAL, "no context \"z\""},
    {"clusters: []\ncontexts: [7, [], {name: {}}, {name: z, context: 5}]\n", "z", -EINVAL,
     "says nothing"},
    {"clusters: []\ncontexts: [{name: z, context: {}}]\n", "z", -EINVAL,
     "`cluster` is missing"},
    {"clusters: {}\ncontexts: [{name: z, context: {cluster: c}}]\n", "z", -EINVAL,
     "no cluster \"c\""},
    {"clusters: [{name: c, cluster: {server: \"https://a\"}}]\n"
     "contexts: [{name: z, context: {cluster: c, user: u}}]\n",
     "z", -EINVAL, "no user \"u\""},
};

static void kubeconfig__what_is_none_is_refused(void **state)
{
    (void)state;
    size_t wrong = 0;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct kube_access a;
        struct err err = ERR_INIT;
        write_text("config", files[i].text);
        int rc = read_as(files[i].context, &a, &err);
        if (rc != files[i].rc || !strstr(err.text, files[i].words)) {
            print_message("%s: %d \"%s\"; expected %d \"%s\"\n", files[i].text, rc,
                          err.text, files[i].rc, files[i].words);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void kubeconfig__a_file_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct kube_access a;
    struct err err = ERR_INIT;
    struct kube_access_options options = {.kubeconfig = "/nowhere/config"};
    assert_int_equal(kube_access_read(&options, &a, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nowhere/config cannot be read"));
}

/* Every cut and many a flipped byte of a good file: read or refused, no more. */
static void kubeconfig__nothing_hostile_breaks_it(void **state)
{
    (void)state;
    static const char good[] =
        "current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]\n"
        "clusters: [{name: c, cluster: {server: \"https://h/\", "
        "certificate-authority-data: Q0E=}}]\n"
        "users: [{name: u, user: {token: \"t\", client-key-data: |-\n  S0VZ\n}}]\n";
    static const unsigned char bytes[] = {0, 10, 34, 38, 42, 45, 58, 91, 123, 125, 255};
    size_t len = sizeof good - 1;
    size_t read = 0;
    for (size_t i = 0; i <= len; i++) {
        for (size_t k = 0; k <= sizeof bytes; k++) {
            char text[sizeof good];
            struct kube_access a;
            struct err err = ERR_INIT;
            memcpy(text, good, len);
            if (k < sizeof bytes && i < len) {
                text[i] = (char)bytes[k];
            }
            write_bytes("config", text, k < sizeof bytes ? len : i);
            if (read_as(NULL, &a, &err) == 0) {
                assert_true(strncasecmp(a.server, "http", 4) == 0);
                kube_access_release(&a);
                read++;
            } else {
                assert_true(err.text[0] != '\0');
            }
        }
    }
    assert_true(read > 0);
}

/* --- in the cluster --- */

static void write_account(const char *token)
{
    char command[256];
    snprintf(command, sizeof command,
             "mkdir -p %s/var/run/secrets/kubernetes.io/serviceaccount", folder);
    assert_int_equal(system(command), 0);
    write_text("var/run/secrets/kubernetes.io/serviceaccount/token", token);
    write_text("var/run/secrets/kubernetes.io/serviceaccount/ca.crt", "CA");
    write_text("var/run/secrets/kubernetes.io/serviceaccount/namespace", "shop");
}

static int read_account(const char *host, const char *port, struct kube_access *a,
                        struct err *err)
{
    char *environment[] = {(char *)host, (char *)port, NULL};
    struct kube_access_options options = {.in_cluster = true,
                                          .root = folder,
                                          .environment = environment};
    return kube_access_read(&options, a, err);
}

static void kubeconfig__a_pod_is_its_service_account(void **state)
{
    (void)state;
    struct kube_access a;
    struct err err = ERR_INIT;
    write_account("s3cret");
    assert_int_equal(read_account("KUBERNETES_SERVICE_HOST=10.96.0.1",
                                  "KUBERNETES_SERVICE_PORT=443", &a, &err),
                     0);
    assert_string_equal(a.server, "https://10.96.0.1:443");
    assert_string_equal(a.token.bytes, "s3cret");
    assert_string_equal(a.ca.bytes, "CA");
    assert_string_equal(a.ns, "shop");
    kube_access_release(&a);
    assert_int_equal(read_account("KUBERNETES_SERVICE_HOST=fd00::1",
                                  "KUBERNETES_SERVICE_PORT=443", &a, &err),
                     0);
    assert_string_equal(a.server, "https://[fd00::1]:443");
    kube_access_release(&a);
}

static void kubeconfig__who_is_no_pod_is_told(void **state)
{
    (void)state;
    struct kube_access a;
    struct err err = ERR_INIT;
    write_account("s3cret");
    assert_int_equal(read_account("A=B", "C=D", &a, &err), -EINVAL);
    assert_non_null(strstr(err.text, "this process is in no cluster"));
    assert_int_equal(read_account("KUBERNETES_SERVICE_HOST=a/b?c",
                                  "KUBERNETES_SERVICE_PORT=443", &a, &err),
                     -EINVAL);
    write_account("");
    assert_int_equal(read_account("KUBERNETES_SERVICE_HOST=a",
                                  "KUBERNETES_SERVICE_PORT=443", &a, &err),
                     -EBADMSG);
    assert_non_null(strstr(err.text, "the pod's service account: "));
}

static const struct CMUnitTest tests[] = {
#include UNIT_TESTS
};

int main(void)
{
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
