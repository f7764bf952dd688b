#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "target/standard-webhooks.h"
#include "wire/crypto.h"

/* The vector that the reference libraries of the specification share. */
static void standard_webhooks__signs_the_known_vector(void **state)
{
    (void)state;
    static const char body[] = "{\"test\": 2432232314}";
    char signature[STANDARD_WEBHOOKS_SIGNATURE_MAX];
    assert_int_equal(standard_webhooks_sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                                            "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
                                            body, strlen(body), signature, NULL),
                     0);
    assert_string_equal(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

static void standard_webhooks__refuses_bad_secrets_without_telling_them(void **state)
{
    (void)state;
    static const char *const secrets[] = {"",
                                          "MARKER",
                                          "whsec_",
                                          "whsec_MARKER!!",
                                          "whsec_TUFSS0VS",
                                          "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"};
    char signature[STANDARD_WEBHOOKS_SIGNATURE_MAX];
    for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
        struct err err = ERR_INIT;
        assert_int_equal(standard_webhooks_sign(secrets[i], "id", 1, "", 0, signature,
                                                &err),
                         -EINVAL);
        assert_true(err.text[0] != '\0');
        assert_null(strstr(err.text, "MARKER"));
        assert_null(strstr(err.text, "TUFS"));
    }
}

static void standard_webhooks__takes_keys_of_24_to_64_bytes(void **state)
{
    (void)state;
    static const unsigned char key[72] = {1};
    char signature[STANDARD_WEBHOOKS_SIGNATURE_MAX];
    for (size_t len = 20; len <= 72; len++) {
        char secret[128] = "whsec_";
        crypto_base64(key, len, secret + 6);
        int rc = standard_webhooks_sign(secret, "id", 1, "", 0, signature, NULL);
        assert_int_equal(rc, len >= 24 && len <= 64 ? 0 : -EINVAL);
    }
}

static void standard_webhooks__refuses_an_id_with_a_dot(void **state)
{
    (void)state;
    char signature[STANDARD_WEBHOOKS_SIGNATURE_MAX];
    assert_int_equal(standard_webhooks_sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                                            "a.b", 1, "", 0, signature, NULL),
                     -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
