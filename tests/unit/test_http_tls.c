/* wire/http over TLS: who is trusted, and that a request still goes out at most once.
 *
 * The server's side is OpenSSL's libssl, which libcurl has loaded; its functions are
 * found by name, so that nothing more has to be linked. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>

#include "base/now.h"
#include "http_script.h"
#include "wire/http_probe.h"

static struct {
    const SSL_METHOD *(*server_method)(void);
    SSL_CTX *(*ctx_new)(const SSL_METHOD *method);
    void (*ctx_free)(SSL_CTX *ctx);
    int (*use_certificate)(SSL_CTX *ctx, X509 *certificate);
    int (*use_key)(SSL_CTX *ctx, EVP_PKEY *key);
    SSL *(*open)(SSL_CTX *ctx);
    void (*close)(SSL *ssl);
    int (*set_fd)(SSL *ssl, int fd);
    int (*accept)(SSL *ssl);
    int (*read)(SSL *ssl, void *bytes, int n);
    int (*write)(SSL *ssl, const void *bytes, int n);
} tls;

static void find(void *function, const char *name)
{
    void *found = dlsym(RTLD_DEFAULT, name);
    ASSERT(found != NULL);
    memcpy(function, &found, sizeof(found));
}

static void find_all(void)
{
    find(&tls.server_method, "TLS_server_method");
    find(&tls.ctx_new, "SSL_CTX_new");
    find(&tls.ctx_free, "SSL_CTX_free");
    find(&tls.use_certificate, "SSL_CTX_use_certificate");
    find(&tls.use_key, "SSL_CTX_use_PrivateKey");
    find(&tls.open, "SSL_new");
    find(&tls.close, "SSL_free");
    find(&tls.set_fd, "SSL_set_fd");
    find(&tls.accept, "SSL_accept");
    find(&tls.read, "SSL_read");
    find(&tls.write, "SSL_write");
}

/* ---- a certificate of our own ---- */

static X509 *certificate_new(EVP_PKEY *key, const char *name, long valid_s)
{
    X509 *x = X509_new();
    X509_NAME *subject = X509_get_subject_name(x);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, name);
    ASSERT(subject != NULL && names != NULL);
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -7200);
    X509_gmtime_adj(X509_getm_notAfter(x), valid_s);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               (const unsigned char *)"sluice test", -1, -1, 0);
    X509_set_issuer_name(x, subject);
    X509_set_pubkey(x, key);
    X509_add_ext(x, names, -1);
    X509_EXTENSION_free(names);
    ASSERT(X509_sign(x, key, EVP_sha256()) > 0);
    return x;
}

static SSL_CTX *server_ctx; /* set before a server starts */
static char ca_file[64];

static void certificate_use(const char *name, long valid_s)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = certificate_new(key, name, valid_s);
    find_all();
    server_ctx = tls.ctx_new(tls.server_method());
    ASSERT(tls.use_certificate(server_ctx, x) == 1 && tls.use_key(server_ctx, key) == 1);
    snprintf(ca_file, sizeof(ca_file), "/tmp/sluice-test-ca-XXXXXX");
    FILE *file = fdopen(mkstemp(ca_file), "w");
    ASSERT(file != NULL && PEM_write_X509(file, x) == 1);
    fclose(file);
    X509_free(x);
    EVP_PKEY_free(key);
}

static void certificate_drop(void)
{
    unlink(ca_file);
    tls.ctx_free(server_ctx);
}

/* ---- the server ---- */

static bool close_on_second; /* set before a server starts */

/* Requests of this test end with their body, "{}", in one record. */
static bool serve_tls(struct script *s, int fd, int nth)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    char text[SCRIPT_TEXT_MAX];
    SSL *ssl = tls.open(server_ctx);
    ASSERT(tls.set_fd(ssl, fd) == 1);
    bool open = tls.accept(ssl) == 1;
    while (open) {
        int len = 0;
        int n = 1;
        while (n > 0 && (len < 2 || memcmp(text + len - 2, "{}", 2) != 0)) {
            n = tls.read(ssl, text + len, SCRIPT_TEXT_MAX - len);
            len += n > 0 ? n : 0;
        }
        if (n <= 0) {
            break;
        }
        gate_pass(&s->requests);
        nth++;
        open = !close_on_second || nth == 1;
        if (open) {
            tls.write(ssl, ok, (int)sizeof(ok) - 1);
        }
    }
    tls.close(ssl);
    return false;
}

struct tls_stage {
    struct stage b;
    struct probe p;
};

/* A loop that trusts this file, and a call to a server with the certificate in use. */
static void tls_open(struct tls_stage *t, const char *trusted)
{
    struct http_options options = {.in_flight = 4, .ca_file = trusted};
    struct err err = ERR_INIT;
    t->b.script = script_start(script_answer_ok, serve_tls);
    t->b.http = http_start(&options, &err);
    ASSERT(t->b.http != NULL);
    t->b.pool = http_pool_new(t->b.http, "tls", 4, false);
    t->b.calls = 0;
    gate_init(&t->b.done);
}

static void tls_call(struct tls_stage *t)
{
    stage_probe(&t->b, &t->p, "/");
    snprintf(t->p.url, sizeof(t->p.url), "https://127.0.0.1:%d/", t->b.script->port);
    stage_call(&t->b, &t->p);
    probe_release(&t->p);
}

static void expect_distrust(const char *name, long valid_s, bool known_issuer)
{
    struct tls_stage t;
    certificate_use(name, valid_s);
    tls_open(&t, known_issuer ? ca_file : NULL);
    tls_call(&t);
    assert_int_equal(t.p.call.end, HTTP_END_NOT_SENT);
    assert_memory_equal(t.p.call.error, "tls: ", 5);
    assert_int_equal(gate_count(&t.b.script->requests), 0);
    stage_close(&t.b);
    certificate_drop();
}

static void http_tls__an_unknown_issuer_gets_nothing(void **state)
{
    (void)state;
    expect_distrust("IP:127.0.0.1", 3600, false);
}

static void http_tls__another_name_gets_nothing(void **state)
{
    (void)state;
    expect_distrust("DNS:other.test", 3600, true);
}

static void http_tls__an_expired_certificate_gets_nothing(void **state)
{
    (void)state;
    expect_distrust("IP:127.0.0.1", -3600, true);
}

static void http_tls__a_trusted_server_answers_and_is_reused(void **state)
{
    struct tls_stage t;
    (void)state;
    close_on_second = false;
    certificate_use("IP:127.0.0.1", 3600);
    tls_open(&t, ca_file);
    for (int i = 0; i < 3; i++) {
        tls_call(&t);
        assert_string_equal(t.p.call.error, "");
        assert_int_equal(t.p.call.end, HTTP_END_ANSWERED);
    }
    assert_int_equal(gate_count(&t.b.script->connections), 1);
    assert_int_equal(gate_count(&t.b.script->requests), 3);
    stage_close(&t.b);
    certificate_drop();
}

static void http_tls__a_reused_connection_that_closes_is_not_sent_twice(void **state)
{
    struct tls_stage t;
    (void)state;
    close_on_second = true;
    certificate_use("IP:127.0.0.1", 3600);
    tls_open(&t, ca_file);
    tls_call(&t);
    assert_int_equal(t.p.call.end, HTTP_END_ANSWERED);
    tls_call(&t);
    assert_int_equal(t.p.call.end, HTTP_END_UNCERTAIN);
    http_stop(t.b.http);
    assert_int_equal(gate_count(&t.b.script->requests), 2);
    script_stop(t.b.script);
    gate_release(&t.b.done);
    certificate_drop();
}

/* ---- probing: a handshake, no request ---- */

static int probe_it(const char *name, long valid_s, bool known_issuer,
                    struct http_probe *probe, struct err *err)
{
    char url[64];
    certificate_use(name, valid_s);
    struct script *script = script_start(script_answer_ok, serve_tls);
    snprintf(url, sizeof(url), "https://127.0.0.1:%d", script->port);
    int rc = http_probe(url, known_issuer ? ca_file : NULL, false, 20000, probe, err);
    assert_int_equal(gate_count(&script->requests), 0);
    script_stop(script);
    certificate_drop();
    return rc;
}

static void http_tls__a_probe_reads_when_the_certificate_ends(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct http_probe probe;
    assert_int_equal(probe_it("IP:127.0.0.1", 3600, true, &probe, &err), 0);
    assert_true(probe.tls);
    int64_t left_ms = probe.expires_wall_ms - now_wall_ms();
    assert_true(left_ms > 0 && left_ms <= 3600 * 1000);
}

static void http_tls__a_probe_says_what_is_wrong_with_it(void **state)
{
    (void)state;
    struct http_probe probe;
    struct err err = ERR_INIT;
    assert_int_equal(probe_it("IP:127.0.0.1", 3600, false, &probe, &err), -EACCES);
    assert_memory_equal(err.text, "TLS: ", 5);
    assert_int_equal(probe_it("DNS:other.test", 3600, true, &probe, &err), -EACCES);
    assert_int_equal(probe_it("IP:127.0.0.1", -3600, true, &probe, &err), -EACCES);
    assert_non_null(strstr(err.text, "expired"));
}

static void http_tls__a_probe_goes_where_calls_may_go_only(void **state)
{
    (void)state;
    struct http_probe probe;
    struct err err = ERR_INIT;
    assert_int_equal(http_probe("http://169.254.169.254:80", NULL, false, 20000, &probe,
                                &err),
                     -EACCES);
    assert_int_equal(http_probe("http://127.0.0.1:9", NULL, true, 20000, &probe, &err),
                     -EACCES);
    assert_int_equal(http_probe("http://127.0.0.1:1", NULL, false, 20000, &probe, &err),
                     -EIO);
}

int main(void)
{
    /* for the server's side: libssl writes without MSG_NOSIGNAL. The loop blocks it. */
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    MUST(sigaction(SIGPIPE, &ignore, NULL));
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
