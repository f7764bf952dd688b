#include "target/standard-webhooks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "wire/crypto.h"

enum { KEY_MIN = 24, KEY_MAX = 64, KEY_TEXT_MAX = 4 * ((KEY_MAX + 2) / 3) };

static const char prefix[] = "whsec_";

/* Returns the key's length or -EINVAL. */
static int read_key(const char *secret, unsigned char key[3 * (KEY_TEXT_MAX / 4) + 3],
                    struct err *err)
{
    if (!text_starts(secret, prefix)) {
        return err_set(err, -EINVAL, "the signing secret does not begin with 'whsec_'");
    }
    const char *text = secret + strlen(prefix);
    int len = strlen(text) <= KEY_TEXT_MAX ? crypto_unbase64(text, key) : -EINVAL;
    if (len < KEY_MIN || len > KEY_MAX) {
        return err_set(err, -EINVAL,
                       "the signing secret is not 'whsec_' and base64 of %d to %d bytes",
                       KEY_MIN, KEY_MAX);
    }
    return len;
}

int standard_webhooks_sign(const char *secret, const char *id, int64_t wall_s,
                           const char *body, size_t body_len,
                           char signature[STANDARD_WEBHOOKS_SIGNATURE_MAX],
                           struct err *err)
{
    unsigned char key[3 * (KEY_TEXT_MAX / 4) + 3];
    unsigned char mac[CRYPTO_SHA256_LEN];
    struct str text;
    if (strchr(id, '.') != NULL) {
        return err_set(err, -EINVAL, "a webhook id may not hold a dot");
    }
    int len = read_key(secret, key, err);
    if (len < 0) {
        return len;
    }
    str_init(&text);
    str_addf(&text, "%s.%lld.", id, (long long)wall_s);
    str_put(&text, body, body_len);
    crypto_hmac_sha256(key, (size_t)len, text.data, text.len, mac);
    str_release(&text);
    mem_wipe(key, sizeof(key));
    char encoded[STANDARD_WEBHOOKS_SIGNATURE_MAX - 3];
    crypto_base64(mac, sizeof(mac), encoded);
    snprintf(signature, STANDARD_WEBHOOKS_SIGNATURE_MAX, "v1,%s", encoded);
    return 0;
}
