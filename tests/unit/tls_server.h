/* The TLS side of tests: certificates made on the spot, and a server over http_script.h
 * that remembers who came and whom they asked for.
 *
 * Include after cmocka.h and call tls_begin first. */
#ifndef TLS_SERVER_H
#define TLS_SERVER_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>

#include "http_script.h"

/* ---- certificates ---- */

struct identity {
    EVP_PKEY *key;
    X509 *x;
    char *cert_pem;
    char *key_pem;
};

static inline void identity_release(struct identity *i)
{
    X509_free(i->x);
    EVP_PKEY_free(i->key);
    free(i->cert_pem);
    free(i->key_pem);
}

static inline char *pem_of(BIO *bio)
{
    char *text = NULL;
    long len = BIO_get_mem_data(bio, &text);
    char *pem = mem_strndup(text, (size_t)len);
    BIO_free(bio);
    return pem;
}

static inline void add_extension(X509 *x, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    ASSERT(extension != NULL);
    X509_add_ext(x, extension, -1);
    X509_EXTENSION_free(extension);
}

/* cn      who it is.  names  "DNS:a.test,IP:127.0.0.1", or NULL for an authority.
 * issuer  NULL: itself. */
static inline void identity_init(struct identity *i, const char *cn, const char *names,
                                 const struct identity *issuer, long valid_s)
{
    i->key = EVP_EC_gen("P-256");
    i->x = X509_new();
    X509_NAME *subject = X509_get_subject_name(i->x);
    ASSERT(i->key != NULL && subject != NULL);
    X509_set_version(i->x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(i->x), 1);
    X509_gmtime_adj(X509_getm_notBefore(i->x), -7200);
    X509_gmtime_adj(X509_getm_notAfter(i->x), valid_s);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1,
                               -1, 0);
    X509_set_issuer_name(i->x, issuer ? X509_get_subject_name(issuer->x) : subject);
    X509_set_pubkey(i->x, i->key);
    add_extension(i->x, names ? NID_subject_alt_name : NID_basic_constraints,
                  names ? names : "critical,CA:TRUE");
    ASSERT(X509_sign(i->x, issuer ? issuer->key : i->key, EVP_sha256()) > 0);
    BIO *cert = BIO_new(BIO_s_mem());
    BIO *key = BIO_new(BIO_s_mem());
    ASSERT(PEM_write_bio_X509(cert, i->x) == 1);
    ASSERT(PEM_write_bio_PrivateKey(key, i->key, NULL, NULL, 0, NULL, NULL) == 1);
    i->cert_pem = pem_of(cert);
    i->key_pem = pem_of(key);
}

static inline void pem_to_file(const char *pem, char path[64])
{
    snprintf(path, 64, "/tmp/sluice-test-ca-XXXXXX");
    FILE *file = fdopen(mkstemp(path), "w");
    ASSERT(file != NULL && fputs(pem, file) >= 0);
    fclose(file);
}

/* ---- the server ---- */

enum { TLS_SEEN_MAX = 64 };

static struct {
    SSL_CTX *ctx;         /* set before the server starts */
    bool close_on_second; /* of a connection's requests, without an answer */
    pthread_mutex_t mu;
    /* guarded by mu */
    int seen;                      /* requests */
    char client[TLS_SEEN_MAX][64]; /* CN of the certificate shown; "" for none */
    char asked_for[64];            /* the last one's SNI; "" for none */
    char last[SCRIPT_TEXT_MAX];
} tls_server = {.mu = PTHREAD_MUTEX_INITIALIZER};

/* libssl writes without MSG_NOSIGNAL. The loop blocks the signal itself. */
static inline void tls_begin(void)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    MUST(sigaction(SIGPIPE, &ignore, NULL));
}

/* clients  whose certificates are demanded; NULL: none is asked for. */
static inline void tls_server_use(const struct identity *server,
                                  const struct identity *clients)
{
    tls_server.ctx = SSL_CTX_new(TLS_server_method());
    tls_server.seen = 0;
    tls_server.close_on_second = false;
    ASSERT(SSL_CTX_use_certificate(tls_server.ctx, server->x) == 1);
    ASSERT(SSL_CTX_use_PrivateKey(tls_server.ctx, server->key) == 1);
    if (clients != NULL) {
        X509_STORE *store = SSL_CTX_get_cert_store(tls_server.ctx);
        ASSERT(X509_STORE_add_cert(store, clients->x) == 1);
        SSL_CTX_set_verify(tls_server.ctx,
                           SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        SSL_CTX_set_session_id_context(tls_server.ctx, (const unsigned char *)"t", 1);
    }
}

static inline void tls_server_drop(void)
{
    SSL_CTX_free(tls_server.ctx);
}

static inline void tls_remember(SSL *ssl, const char *text)
{
    X509 *x = SSL_get0_peer_certificate(ssl);
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    MUST(pthread_mutex_lock(&tls_server.mu));
    ASSERT(tls_server.seen < TLS_SEEN_MAX);
    char *client = tls_server.client[tls_server.seen++];
    client[0] = '\0';
    if (x != NULL) {
        X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, client, 64);
    }
    snprintf(tls_server.asked_for, sizeof(tls_server.asked_for), "%s", name ? name : "");
    snprintf(tls_server.last, sizeof(tls_server.last), "%s", text);
    MUST(pthread_mutex_unlock(&tls_server.mu));
}

/* For script_start's `accepted`. Requests end with their body, "{}", in one record. */
static inline bool tls_serve(struct script *s, int fd, int nth)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    char *text = mem_alloc(SCRIPT_TEXT_MAX);
    SSL *ssl = SSL_new(tls_server.ctx);
    ASSERT(SSL_set_fd(ssl, fd) == 1);
    bool open = SSL_accept(ssl) == 1;
    while (open) {
        int len = 0;
        int n = 1;
        while (n > 0 && (len < 2 || memcmp(text + len - 2, "{}", 2) != 0)) {
            n = SSL_read(ssl, text + len, SCRIPT_TEXT_MAX - 1 - len);
            len += n > 0 ? n : 0;
        }
        if (n <= 0) {
            break;
        }
        text[len] = '\0';
        tls_remember(ssl, text);
        gate_pass(&s->requests);
        nth++;
        open = !tls_server.close_on_second || nth == 1;
        if (open) {
            SSL_write(ssl, ok, (int)sizeof(ok) - 1);
        }
    }
    SSL_free(ssl);
    free(text);
    return false;
}

/* --- who is who: for a group's set-up and tear-down --- */

enum { DAY_S = 24 * 3600 };

/* Two authorities; a server of the first; two clients of the first. */
static struct identity ours, theirs, server, alice, bob;

static inline int identities_make(void **state)
{
    (void)state;
    identity_init(&ours, "our authority", NULL, NULL, DAY_S);
    identity_init(&theirs, "their authority", NULL, NULL, DAY_S);
    identity_init(&server, "server", "DNS:api.test,IP:127.0.0.1", &ours, DAY_S);
    identity_init(&alice, "alice", "DNS:alice.test", &ours, DAY_S);
    identity_init(&bob, "bob", "DNS:bob.test", &ours, DAY_S);
    return 0;
}

static inline int identities_drop(void **state)
{
    (void)state;
    identity_release(&ours);
    identity_release(&theirs);
    identity_release(&server);
    identity_release(&alice);
    identity_release(&bob);
    return 0;
}

#endif
