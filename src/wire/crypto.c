/* Design. Looking an algorithm up costs libcrypto more than hashing an event's id, so
 * SHA-256 is fetched once and each thread keeps one digest context, freed at its end. For
 * the same reason each thread draws random bytes in advance; what is used is wiped, and a
 * forked child does not use what its parent drew. */
#include "wire/crypto.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include "base/mem.h"

enum { DRAWN_BYTES = 512, PIECES_BYTES = 1024 };

/* What one thread keeps. */
struct own {
    EVP_MD_CTX *digest;
    unsigned char drawn[DRAWN_BYTES];
    size_t drawn_left; /* at its end */
    int forks;         /* when it was drawn */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;
static pthread_key_t own_key;
static atomic_int forks;

static void free_own(void *arg)
{
    struct own *own = arg;
    EVP_MD_CTX_free(own->digest);
    mem_wipe(own, sizeof *own);
    free(own);
}

static void count_fork(void)
{
    atomic_fetch_add(&forks, 1);
}

static void set_up(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    ASSERT(sha256 != NULL);
    MUST(pthread_key_create(&own_key, free_own));
    MUST(pthread_atfork(NULL, NULL, count_fork));
}

static struct own *get_own(void)
{
    MUST(pthread_once(&once, set_up));
    struct own *own = pthread_getspecific(own_key);
    if (own == NULL) {
        own = mem_zalloc(sizeof *own);
        own->digest = EVP_MD_CTX_new();
        ASSERT(own->digest != NULL);
        MUST(pthread_setspecific(own_key, own));
    }
    return own;
}

/* This thread's digest context, begun. */
static EVP_MD_CTX *digest_begin(void)
{
    EVP_MD_CTX *digest = get_own()->digest;
    ASSERT(EVP_DigestInit_ex2(digest, sha256, NULL) == 1);
    return digest;
}

static void digest_add(EVP_MD_CTX *digest, const void *data, size_t len)
{
    ASSERT(EVP_DigestUpdate(digest, data, len) == 1);
}

static void digest_end(EVP_MD_CTX *digest, unsigned char out[CRYPTO_SHA256_LEN])
{
    ASSERT(EVP_DigestFinal_ex(digest, out, NULL) == 1);
}

void crypto_sha256(const void *data, size_t len, unsigned char out[CRYPTO_SHA256_LEN])
{
    EVP_MD_CTX *digest = digest_begin();
    digest_add(digest, data, len);
    digest_end(digest, out);
}

static void write_hex(const unsigned char *bytes, size_t n, char *hex)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[2 * n] = 0;
}

/* Small pieces go to libcrypto together. */
struct gathered {
    EVP_MD_CTX *digest;
    size_t len;
    unsigned char bytes[PIECES_BYTES];
};

static void gather(struct gathered *g, const void *data, size_t len)
{
    if (len > sizeof g->bytes - g->len) {
        digest_add(g->digest, g->bytes, g->len);
        g->len = 0;
    }
    if (len > sizeof g->bytes) {
        digest_add(g->digest, data, len);
        return;
    }
    memcpy(g->bytes + g->len, data, len);
    g->len += len;
}

/* A piece behind its length; one that is absent has the largest. */
static void gather_piece(struct gathered *g, const char *data, size_t len)
{
    uint64_t framed = data == NULL ? UINT64_MAX : len;
    unsigned char frame[8];
    for (size_t byte = 0; byte < sizeof frame; byte++) {
        frame[byte] = (unsigned char)(framed >> (56 - 8 * byte));
    }
    gather(g, frame, sizeof frame);
    if (data != NULL) {
        gather(g, data, len);
    }
}

static void end_hash128(struct gathered *g, char hex[CRYPTO_HEX128_LEN])
{
    unsigned char full[CRYPTO_SHA256_LEN];
    digest_add(g->digest, g->bytes, g->len);
    digest_end(g->digest, full);
    write_hex(full, 16, hex);
}

void crypto_hash128(const struct crypto_piece *pieces, size_t n,
                    char hex[CRYPTO_HEX128_LEN])
{
    struct gathered g;
    g.digest = digest_begin();
    g.len = 0;
    for (size_t i = 0; i < n; i++) {
        gather_piece(&g, pieces[i].data, pieces[i].len);
    }
    end_hash128(&g, hex);
}

void crypto_hash128_texts(const char *const *texts, size_t n, char hex[CRYPTO_HEX128_LEN])
{
    struct gathered g;
    g.digest = digest_begin();
    g.len = 0;
    for (size_t i = 0; i < n; i++) {
        gather_piece(&g, texts[i], texts[i] != NULL ? strlen(texts[i]) : 0);
    }
    end_hash128(&g, hex);
}

void crypto_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                        unsigned char out[CRYPTO_SHA256_LEN])
{
    ASSERT(key_len <= INT_MAX);
    ASSERT(HMAC(EVP_sha256(), key, (int)key_len, data, len, out, NULL) != NULL);
}

void crypto_base64(const void *data, size_t len, char *out)
{
    ASSERT(len <= INT_MAX / 2);
    EVP_EncodeBlock((unsigned char *)out, data, (int)len);
}

int crypto_unbase64(const char *text, unsigned char *out)
{
    /* libcrypto forgives blanks and stray padding: be stricter first. */
    size_t len = strlen(text);
    size_t digits = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                 "0123456789+/");
    size_t padding = strspn(text + digits, "=");
    if (len % 4 != 0 || digits + padding != len || padding > 2 || len > INT_MAX) {
        return -EINVAL;
    }
    int written = EVP_DecodeBlock(out, (const unsigned char *)text, (int)len);
    return written < 0 ? -EINVAL : written - (int)padding;
}

void crypto_random(void *out, size_t len)
{
    struct own *own = get_own();
    ASSERT(len <= INT_MAX);
    if (len > DRAWN_BYTES) {
        ASSERT(RAND_bytes(out, (int)len) == 1);
        return;
    }
    if (len > own->drawn_left || own->forks != atomic_load(&forks)) {
        own->forks = atomic_load(&forks);
        ASSERT(RAND_bytes(own->drawn, DRAWN_BYTES) == 1);
        own->drawn_left = DRAWN_BYTES;
    }
    unsigned char *drawn = own->drawn + DRAWN_BYTES - own->drawn_left;
    memcpy(out, drawn, len);
    mem_wipe(drawn, len);
    own->drawn_left -= len;
}

uint64_t crypto_random_u64(void)
{
    uint64_t value;
    crypto_random(&value, sizeof value);
    return value;
}

const char *crypto_certificate_fault(long code)
{
    return X509_verify_cert_error_string(code);
}

/* A key with a passphrase must not make the process ask on a terminal. */
static int no_passphrase(char *text, int size, int writing, void *arg)
{
    bool *asked = arg;
    (void)text;
    (void)size;
    (void)writing;
    *asked = true;
    return -1;
}

static BIO *reader_of(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    ASSERT(bio != NULL);
    return bio;
}

static bool is_certificate(const char *name)
{
    return strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0 ||
           strcmp(name, PEM_STRING_X509_TRUSTED) == 0;
}

static bool reads_as_certificate(const unsigned char *data, long len)
{
    X509 *x = d2i_X509(NULL, &data, len); /* of a trusted one, the certificate alone */
    X509_free(x);
    return x != NULL;
}

struct pem_count {
    int blocks; /* read before the end or the first that is damaged */
    int certificates;
};

static struct pem_count count_pem(const char *pem)
{
    struct pem_count n = {0};
    BIO *bio = reader_of(pem);
    char *name = NULL;
    char *header = NULL;
    unsigned char *data = NULL;
    long len = 0;
    bool good = true;
    while (good && PEM_read_bio(bio, &name, &header, &data, &len) == 1) {
        bool certificate = is_certificate(name);
        good = !certificate || reads_as_certificate(data, len);
        n.blocks += good ? 1 : 0;
        n.certificates += good && certificate ? 1 : 0;
        mem_wipe(data, (size_t)len);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(data);
    }
    BIO_free(bio);
    return n;
}

static int count_begins(const char *pem)
{
    static const char begin[] = "-----BEGIN ";
    int n = 0;
    for (const char *p = strstr(pem, begin); p != NULL; p = strstr(p + 1, begin)) {
        n++;
    }
    return n;
}

static int check_certificates(const char *what, const char *pem, struct err *err)
{
    int begun = count_begins(pem);
    struct pem_count read = count_pem(pem);
    if (read.blocks < begun) {
        return err_set(err, -EINVAL,
                       "the %s cannot be read: PEM block %d of %d is damaged", what,
                       read.blocks + 1, begun);
    }
    if (read.certificates == 0) {
        return err_set(
            err, -EINVAL,
            "the %s holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)",
            what);
    }
    return 0;
}

static int check_key(const char *cert, const char *key, struct err *err)
{
    bool asked = false;
    BIO *bio = reader_of(key);
    EVP_PKEY *private = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked);
    BIO_free(bio);
    if (private == NULL) {
        return err_set(err, -EINVAL,
                       asked
                           ? "the client key has a passphrase, which nobody can be asked "
                             "for: store it without one (openssl pkey -in KEY -out PLAIN)"
                           : "the client key cannot be read: it is no private key in PEM "
                             "form or is damaged");
    }
    bio = reader_of(cert);
    X509 *x = PEM_read_bio_X509(bio, NULL, no_passphrase, &asked);
    ASSERT(x != NULL); /* it was read before */
    bool fits = X509_check_private_key(x, private) == 1;
    X509_free(x);
    BIO_free(bio);
    EVP_PKEY_free(private);
    return fits ? 0
                : err_set(err, -EINVAL,
                          "the client key is not that of the client certificate: one of "
                          "the two was renewed without the other");
}

/* What libcrypto notes of the failures stays in the thread's error queue: whoever reads
 * that queue in this process clears it before. */
int crypto_check_pem(const char *ca, const char *cert, const char *key, struct err *err)
{
    int rc = ca != NULL ? check_certificates("CA data", ca, err) : 0;
    if (rc == 0 && (cert == NULL) != (key == NULL)) {
        return err_set(err, -EINVAL, "there is a client %s without its %s",
                       cert != NULL ? "certificate" : "key",
                       cert != NULL ? "key" : "certificate");
    }
    if (rc == 0 && cert != NULL) {
        rc = check_certificates("client certificate", cert, err);
    }
    return rc == 0 && key != NULL ? check_key(cert, key, err) : rc;
}

const char *crypto_library_version(void)
{
    return OpenSSL_version(OPENSSL_VERSION);
}
