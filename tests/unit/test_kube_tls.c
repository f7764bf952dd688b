/* kube/client over TLS: whom a kubeconfig trusts and as whom it comes, also when its
 * files change. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <errno.h>

#include "tls_server.h"

#include "base/log.h"
#include "base/str.h"
#include "kube/client.h"
#include "wire/crypto.h"

static struct {
    struct script *script;
    struct http *http;
    struct kube *kube;
    char folder[64];
} at;

/* --- a kubeconfig --- */

static void write_file(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", at.folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void add_data(struct str *out, const char *key, const char *pem)
{
    char *encoded = mem_zalloc(4 * ((strlen(pem) + 2) / 3) + 1);
    crypto_base64(pem, strlen(pem), encoded);
    str_addf(out, "%s-data: %s, ", key, encoded);
    free(encoded);
}

/* Start the server and open the cluster: `clients` are demanded from whoever comes. */
static void begin(const struct identity *clients)
{
    struct err err = ERR_INIT;
    tls_server_use(&server, clients);
    at.script = script_start(script_answer_ok, tls_serve);
    at.http = http_start(&(struct http_options){.in_flight = 4}, &err);
    assert_non_null(at.http);
    at.kube = NULL;
    snprintf(at.folder, sizeof at.folder, "/tmp/test_kube_tls.XXXXXX");
    assert_non_null(mkdtemp(at.folder));
}

/* cluster, user  the insides of the two entries. */
static void open_kube(const char *cluster, const char *user)
{
    struct err err = ERR_INIT;
    struct str text;
    char path[128];
    str_init(&text);
    str_addf(&text,
             "current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]\n"
             "clusters: [{name: c, cluster: {%s server: \"https://127.0.0.1:%d\"}}]\n"
             "users: [{name: u, user: {%s}}]\n",
             cluster, at.script->port, user);
    write_file("config", text.data);
    str_release(&text);
    snprintf(path, sizeof path, "%s/config", at.folder);
    at.kube = kube_open(at.http,
                        &(struct kube_options){.name = "c",
                                               .kubeconfig = path,
                                               .rate_per_s = 1000,
                                               .burst = 1000,
                                               .concurrency = 2},
                        &err);
    assert_string_equal(err.text, "");
    assert_non_null(at.kube);
}

static void end(void)
{
    char command[128];
    kube_close(at.kube);
    http_stop(at.http);
    script_stop(at.script);
    tls_server_drop();
    snprintf(command, sizeof command, "rm -r %s", at.folder);
    assert_int_equal(system(command), 0);
}

/* The server answers a request whose body is {}. */
static enum kube_end post(void)
{
    struct ctx *ctx = ctx_new(NULL, now_ms() + 20000);
    struct kube_call call = {.method = "POST",
                             .path = "/x",
                             .body = "{}",
                             .body_len = 2,
                             .plain = true,
                             .ctx = ctx};
    int rc = kube_do(at.kube, &call);
    assert_int_equal(rc, call.end == KUBE_ANSWERED ? 0 : -EIO);
    kube_call_release(&call);
    ctx_free(ctx);
    return call.end;
}

static char *trusting(const struct identity *authority)
{
    struct str text;
    str_init(&text);
    add_data(&text, "certificate-authority", authority->cert_pem);
    return str_take(&text);
}

/* --- */

static void kube_tls__a_client_certificate_in_the_kubeconfig_is_shown(void **state)
{
    (void)state;
    struct str user;
    char *cluster = trusting(&ours);
    str_init(&user);
    add_data(&user, "client-certificate", alice.cert_pem);
    add_data(&user, "client-key", alice.key_pem);
    begin(&ours);
    open_kube(cluster, user.data);
    assert_int_equal(post(), KUBE_ANSWERED);
    assert_string_equal(tls_server.client[0], "alice");
    end();
    str_release(&user);
    free(cluster);
}

static void kube_tls__who_shows_none_is_refused_by_tls(void **state)
{
    (void)state;
    char *cluster = trusting(&ours);
    begin(&ours);
    /* with 1.3 it is told behind the request, and a reset may be quicker */
    SSL_CTX_set_max_proto_version(tls_server.ctx, TLS1_2_VERSION);
    open_kube(cluster, "token: t");
    assert_int_equal(post(), KUBE_TLS);
    end();
    free(cluster);
}

static void kube_tls__another_authority_is_not_believed(void **state)
{
    (void)state;
    char *cluster = trusting(&theirs);
    begin(NULL);
    open_kube(cluster, "token: t");
    assert_int_equal(post(), KUBE_TLS);
    assert_int_equal(tls_server.seen, 0);
    end();
    free(cluster);
}

static void kube_tls__insecure_believes_anybody(void **state)
{
    (void)state;
    begin(NULL);
    open_kube("insecure-skip-tls-verify: true,", "token: t");
    assert_int_equal(post(), KUBE_ANSWERED);
    end();
}

static void kube_tls__the_certificates_name_may_be_another(void **state)
{
    (void)state;
    struct str cluster;
    char *front = trusting(&ours);
    static const char *const names[] = {"api.test", "other.test"};
    for (size_t i = 0; i < 2; i++) {
        str_init(&cluster);
        str_addf(&cluster, "%s tls-server-name: %s,", front, names[i]);
        begin(NULL);
        open_kube(cluster.data, "token: t");
        assert_int_equal(post(), i == 0 ? KUBE_ANSWERED : KUBE_TLS);
        end();
        str_release(&cluster);
    }
    free(front);
}

/* The files change between opening and the first call: as the new one it comes. A
 * certificate without its key is not taken over. */
static void kube_tls__certificates_in_files_may_rotate(void **state)
{
    (void)state;
    char *cluster = trusting(&ours);
    for (size_t i = 0; i < 2; i++) {
        begin(&ours);
        write_file("me.crt", alice.cert_pem);
        write_file("me.key", alice.key_pem);
        open_kube(cluster, "client-certificate: me.crt, client-key: me.key");
        write_file("me.crt", bob.cert_pem);
        if (i == 0) {
            write_file("me.key", bob.key_pem);
        }
        assert_int_equal(post(), KUBE_ANSWERED);
        assert_string_equal(tls_server.client[0], i == 0 ? "bob" : "alice");
        end();
    }
    free(cluster);
}

static const struct CMUnitTest tests[] = {
#include UNIT_TESTS
};

int main(void)
{
    tls_begin();
    log_setup(LOG_ERROR, LOG_TEXT, NULL);
    return cmocka_run_group_tests(tests, identities_make, identities_drop);
}
