/* Hashes, MACs, randomness, certificates: the one door to libcrypto. Any thread. */
#ifndef WIRE_CRYPTO_H
#define WIRE_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { CRYPTO_SHA256_LEN = 32, CRYPTO_HEX128_LEN = 33 };

struct crypto_piece {
    const char *data; /* NULL counts as absent, which differs from empty */
    size_t len;
};

/* SHA-256 over the pieces, each framed by its length, so that no two lists of pieces
 * collide by shifting bytes. The first 128 bits as 32 lower-case hex digits and NUL. */
void crypto_hash128(const struct crypto_piece *pieces, size_t n,
                    char hex[CRYPTO_HEX128_LEN]);
/* The same of texts; NULL: absent. */
void crypto_hash128_texts(const char *const *texts, size_t n,
                          char hex[CRYPTO_HEX128_LEN]);

void crypto_sha256(const void *data, size_t len, unsigned char out[CRYPTO_SHA256_LEN]);
void crypto_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                        unsigned char out[CRYPTO_SHA256_LEN]);

/* Standard alphabet with padding. out must hold 4 * ((len + 2) / 3) + 1 bytes. */
void crypto_base64(const void *data, size_t len, char *out);
/* Returns the number of bytes written or -EINVAL. out must hold 3 * (strlen / 4) + 3
 * bytes. */
int crypto_unbase64(const char *text, unsigned char *out);

void crypto_random(void *out, size_t len);
uint64_t crypto_random_u64(void);

/* What a certificate's verification ended with (X509_V_ERR_...), in words: "certificate
 * has expired". */
const char *crypto_certificate_fault(long code);

/* Can a TLS client use these PEM texts? ca and cert: a certificate at least and no
 * damaged one (in cert ours comes first, its issuers follow; a key beside them does no
 * harm); key: without a passphrase, for nobody can be asked, and that of our certificate.
 * ca may be NULL, and both of the others. Whether a certificate is valid today is not
 * looked at. Returns 0, or -EINVAL with a sentence. */
int crypto_check_pem(const char *ca, const char *cert, const char *key, struct err *err)
    __attribute__((warn_unused_result));

const char *crypto_library_version(void);

#endif
