#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "wire/crypto.h"

static void to_hex(const unsigned char *bytes, size_t n, char *hex)
{
    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    hex[2 * n] = 0;
}

static void crypto_sha256__gives_the_published_digests(void **state)
{
    (void)state;
    unsigned char digest[CRYPTO_SHA256_LEN];
    char hex[2 * CRYPTO_SHA256_LEN + 1];
    crypto_sha256("abc", 3, digest);
    to_hex(digest, sizeof digest, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223"
                             "b00361a396177a9cb410ff61f20015ad");
    crypto_sha256("", 0, digest);
    to_hex(digest, sizeof digest, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb924"
                             "27ae41e4649b934ca495991b7852b855");
}

static void crypto_hmac_sha256__gives_the_digests_of_rfc_4231(void **state)
{
    (void)state;
    unsigned char mac[CRYPTO_SHA256_LEN];
    char hex[2 * CRYPTO_SHA256_LEN + 1];
    const char *data = "what do ya want for nothing?";
    crypto_hmac_sha256("Jefe", 4, data, strlen(data), mac);
    to_hex(mac, sizeof mac, hex);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c7"
                             "5a003f089d2739839dec58b964ec3843");
    unsigned char key[131];
    memset(key, 0xAA, sizeof key);
    data = "Test Using Larger Than Block-Size Key - Hash Key First";
    crypto_hmac_sha256(key, sizeof key, data, strlen(data), mac);
    to_hex(mac, sizeof mac, hex);
    assert_string_equal(hex, "60e431591ee0b67f0d8a26aacbf5b77f"
                             "8e0bc6213728c5140546040f0ee37f54");
    crypto_hmac_sha256("", 0, "", 0, mac);
    to_hex(mac, sizeof mac, hex);
    assert_string_equal(hex, "b613679a0814d9ec772f95d778c35fc5"
                             "ff1697c493715653c6c712144292c5ad");
}

static void hash_two(const char *a, const char *b, char hex[CRYPTO_HEX128_LEN])
{
    struct crypto_piece pieces[] = {{a, a == NULL ? 0 : strlen(a)},
                                    {b, b == NULL ? 0 : strlen(b)}};
    crypto_hash128(pieces, 2, hex);
    char of_texts[CRYPTO_HEX128_LEN];
    crypto_hash128_texts((const char *const[]){a, b}, 2, of_texts);
    assert_string_equal(of_texts, hex);
}

static void crypto_hash128__tells_lists_apart(void **state)
{
    (void)state;
    static const char *const lists[][2] = {
        {"ab", "c"},   {"a", "bc"},  {"abc", ""}, {"", "abc"}, {"abc", NULL},
        {NULL, "abc"}, {NULL, NULL}, {"", ""},    {"", NULL},
    };
    enum { LISTS = sizeof lists / sizeof lists[0] };
    char hex[LISTS][CRYPTO_HEX128_LEN];
    for (size_t i = 0; i < LISTS; i++) {
        hash_two(lists[i][0], lists[i][1], hex[i]);
        assert_int_equal(strspn(hex[i], "0123456789abcdef"), 32);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(hex[i], hex[j]);
        }
    }
    char one[CRYPTO_HEX128_LEN];
    crypto_hash128(&(struct crypto_piece){"abc", 3}, 1, one);
    assert_string_not_equal(one, hex[2]); /* the number of pieces counts, too */
}

/* The ledger's keys are made of it: a change would let every event through again. */
static void crypto_hash128__stays_the_same_for_ever(void **state)
{
    (void)state;
    char hex[CRYPTO_HEX128_LEN];
    hash_two("devtron/ci", "evt-1", hex);
    assert_string_equal(hex, "81646cf951a4122e9cc6b908a0f08763");
    hash_two("devtron/ci", NULL, hex);
    assert_string_equal(hex, "46f0f66ecbff3a11e2a774387dfbcd5e");
}

static void crypto_base64__and_back(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xFB\xFF\xBF", "+/+/"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char text[16];
        unsigned char bytes[16];
        size_t len = strlen(pairs[i][0]);
        crypto_base64(pairs[i][0], len, text);
        assert_string_equal(text, pairs[i][1]);
        assert_int_equal(crypto_unbase64(text, bytes), len);
        assert_memory_equal(bytes, pairs[i][0], len);
    }
}

static void crypto_unbase64__refuses_what_is_not_base64(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Zg",   "Zg=",    "Z===", "====",       "Zm9v=", "Zg==Zg==",
        " Zg=", "Zg==\n", "Zm-_", "Z\xC3\xA9v", "=Zg=",  "Zm9vZ",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        unsigned char bytes[16];
        if (crypto_unbase64(bad[i], bytes) != -EINVAL) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
}

static void crypto_random__differs_in_a_child(void **state)
{
    (void)state;
    int ends[2];
    uint64_t theirs = 0;
    (void)crypto_random_u64(); /* drawn in advance by now */
    MUST(pipe(ends));
    pid_t child = fork();
    if (child == 0) {
        uint64_t value = crypto_random_u64();
        _exit(write(ends[1], &value, sizeof value) == sizeof value ? 0 : 1);
    }
    uint64_t ours = crypto_random_u64();
    assert_int_equal(read(ends[0], &theirs, sizeof theirs), sizeof theirs);
    waitpid(child, NULL, 0);
    close(ends[0]);
    close(ends[1]);
    assert_true(ours != theirs);
}

/* More than is drawn at a time: no byte is given twice, none stays what it was. */
static void crypto_random__goes_on_when_what_was_drawn_is_used_up(void **state)
{
    enum { N = 500 };
    static uint64_t values[N];
    static unsigned char large[4096];
    (void)state;
    for (int i = 0; i < N; i++) {
        values[i] = crypto_random_u64();
        for (int j = 0; j < i; j++) {
            assert_true(values[i] != values[j]);
        }
    }
    crypto_random(large, sizeof large);
    size_t zeros = 0;
    for (size_t i = 0; i < sizeof large; i++) {
        zeros += large[i] == 0;
    }
    assert_true(zeros < 100);
}

static void crypto_random__differs(void **state)
{
    (void)state;
    unsigned char zeros[32] = {0};
    unsigned char a[32] = {0};
    unsigned char b[32] = {0};
    crypto_random(a, sizeof a);
    crypto_random(b, sizeof b);
    assert_memory_not_equal(a, zeros, sizeof a);
    assert_memory_not_equal(a, b, sizeof a);
    assert_true(crypto_random_u64() != crypto_random_u64());
    assert_memory_equal(crypto_library_version(), "OpenSSL ", 8);
}

static void *hash_often(void *arg)
{
    for (int i = 0; i < 2000; i++) {
        char hex[CRYPTO_HEX128_LEN];
        hash_two("devtron/ci", "evt-1", hex);
        ASSERT(strcmp(hex, arg) == 0);
    }
    return NULL;
}

/* What is gathered before it goes to libcrypto must not show, whatever the lengths. */
static void crypto_hash128__is_sha256_of_the_framed_pieces(void **state)
{
    static const size_t lens[] = {0, 1, 500, 1015, 1016, 1017, 1024, 1025, 5000};
    enum { N = sizeof lens / sizeof lens[0] };
    static unsigned char all[N * (5000 + 8)];
    static char piece[5000];
    (void)state;
    memset(piece, 'p', sizeof piece);
    for (size_t first = 0; first < N; first++) {
        struct crypto_piece pieces[N];
        size_t len = 0;
        for (size_t i = 0; i < N; i++) {
            size_t n = lens[(first + i) % N];
            pieces[i] = (struct crypto_piece){piece, n};
            for (int shift = 56; shift >= 0; shift -= 8) {
                all[len++] = (unsigned char)((uint64_t)n >> shift);
            }
            memcpy(all + len, piece, n);
            len += n;
        }
        unsigned char digest[CRYPTO_SHA256_LEN];
        char expected[2 * 16 + 1];
        char got[CRYPTO_HEX128_LEN];
        crypto_sha256(all, len, digest);
        to_hex(digest, 16, expected);
        crypto_hash128(pieces, N, got);
        assert_string_equal(got, expected);
    }
}

static void crypto_hash128__is_the_same_on_all_threads(void **state)
{
    (void)state;
    char hex[CRYPTO_HEX128_LEN];
    pthread_t threads[4];
    hash_two("devtron/ci", "evt-1", hex);
    for (int i = 0; i < 4; i++) {
        MUST(pthread_create(&threads[i], NULL, hash_often, hex));
    }
    for (int i = 0; i < 4; i++) {
        MUST(pthread_join(threads[i], NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
