/* wire/redis over TLS, against a real redis-server: who is trusted, and what is said when
 * somebody is not. The certificates are made here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "redis_server.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/mem.h"

enum { HOUR_S = 3600 };

/* ---- certificates ---- */

struct identity {
    EVP_PKEY *key;
    X509 *certificate;
    char cert_file[96];
    char key_file[96];
};

static void add_extension(X509 *x, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    ASSERT(extension != NULL);
    X509_add_ext(x, extension, -1);
    X509_EXTENSION_free(extension);
}

static void write_files(struct identity *id, const char *dir, const char *name,
                        const char *passphrase)
{
    snprintf(id->cert_file, sizeof id->cert_file, "%s/%s.crt", dir, name);
    snprintf(id->key_file, sizeof id->key_file, "%s/%s.key", dir, name);
    FILE *file = fopen(id->cert_file, "we");
    ASSERT(file != NULL && PEM_write_X509(file, id->certificate) == 1);
    fclose(file);
    file = fopen(id->key_file, "we");
    ASSERT(file != NULL &&
           PEM_write_PKCS8PrivateKey(file, id->key, passphrase ? EVP_aes_128_cbc() : NULL,
                                     passphrase, passphrase ? (int)strlen(passphrase) : 0,
                                     NULL, NULL) == 1);
    fclose(file);
}

/* issuer  NULL: an authority that signs itself. names: "DNS:localhost", for others. */
static void identity_make(struct identity *id, const char *dir, const char *name,
                          const struct identity *issuer, const char *names, long valid_s)
{
    id->key = EVP_EC_gen("P-256");
    id->certificate = X509_new();
    X509 *x = id->certificate;
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), (long)(now_us() % 1000000000));
    X509_gmtime_adj(X509_getm_notBefore(x), -2L * HOUR_S);
    X509_gmtime_adj(X509_getm_notAfter(x), valid_s);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer->certificate : x));
    X509_set_pubkey(x, id->key);
    add_extension(x, NID_basic_constraints, issuer ? "CA:FALSE" : "critical,CA:TRUE");
    if (names) {
        add_extension(x, NID_subject_alt_name, names);
    }
    ASSERT(X509_sign(x, issuer ? issuer->key : id->key, EVP_sha256()) > 0);
    write_files(id, dir, name, NULL);
}

static void identity_drop(struct identity *id)
{
    unlink(id->cert_file);
    unlink(id->key_file);
    X509_free(id->certificate);
    EVP_PKEY_free(id->key);
}

/* ---- a server and who it is ---- */

struct tls_stage {
    char dir[64];
    struct identity ca;
    struct identity stranger; /* another authority */
    struct identity server_id;
    struct redis_server server;
    const char *asks_clients; /* "yes": it wants a certificate signed by ca */
    char url[96];
    struct redis *redis;
    struct err err;
};

static void launch(struct tls_stage *t)
{
    char port[16];
    char log[96];
    snprintf(port, sizeof port, "%d", t->server.port);
    snprintf(log, sizeof log, "%s/log", t->server.dir);
    t->server.pid = fork();
    ASSERT(t->server.pid >= 0);
    if (t->server.pid > 0) {
        return;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)execlp("redis-server", "redis-server", "--port", "0", "--tls-port", port,
                 "--bind", "127.0.0.1", "--unixsocket", t->server.socket, "--save", "",
                 "--dir", t->server.dir, "--logfile", log, "--tls-cert-file",
                 t->server_id.cert_file, "--tls-key-file", t->server_id.key_file,
                 "--tls-ca-cert-file", t->ca.cert_file, "--tls-auth-clients",
                 t->asks_clients, NULL);
    _exit(127);
}

/* host  of the URL; names, valid_s: of the server's certificate. */
static void tls_open(struct tls_stage *t, const char *host, const char *names,
                     long valid_s)
{
    memset(t, 0, sizeof *t);
    t->asks_clients = "no";
    strncpy(t->dir, "/tmp/sluice-tls-XXXXXX", sizeof t->dir - 1);
    ASSERT(mkdtemp(t->dir));
    identity_make(&t->ca, t->dir, "ca", NULL, NULL, HOUR_S);
    identity_make(&t->stranger, t->dir, "stranger", NULL, NULL, HOUR_S);
    identity_make(&t->server_id, t->dir, "server", &t->ca, names, valid_s);
    redis_server_start(&t->server, true, NULL); /* for a directory and a free port */
    redis_server_kill(&t->server);
    snprintf(t->url, sizeof t->url, "rediss://%s:%d/0", host, t->server.port);
}

static void tls_close(struct tls_stage *t)
{
    if (t->redis) {
        redis_stop(t->redis, now_ms() + PATIENCE_MS);
    }
    redis_server_stop(&t->server);
    identity_drop(&t->ca);
    identity_drop(&t->stranger);
    identity_drop(&t->server_id);
    rmdir(t->dir);
}

static struct redis *connect_as(struct tls_stage *t, const struct identity *trusted,
                                const struct identity *shown)
{
    struct redis_options options = {.url = t->url,
                                    .connect_timeout_ms = PATIENCE_MS,
                                    .ca_file = trusted ? trusted->cert_file : NULL,
                                    .cert_file = shown ? shown->cert_file : NULL,
                                    .key_file = shown ? shown->key_file : NULL};
    t->redis = redis_start(&options, &t->err);
    return t->redis;
}

/* It is refused, and every word is in the sentence. */
static void expect_refused(struct tls_stage *t, const char *const *words)
{
    char text[ERR_TEXT_MAX] = "";
    int64_t until = now_ms() + PATIENCE_MS;
    ASSERT(t->redis != NULL);
    while (!redis_is_refused(t->redis) && now_ms() < until) {
        assert_int_equal(ask_until(t->redis, "PING", now_ms() + 20).rc, -ETIMEDOUT);
    }
    redis_last_error(t->redis, text, sizeof text);
    assert_true(redis_is_refused(t->redis));
    for (; *words; words++) {
        if (!strstr(text, *words)) {
            fail_msg("'%s' is not in: %s", *words, text);
        }
    }
}

/* ---- trust ---- */

static void redis_tls__a_trusted_server_answers(void **state)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1"};
    static const char *const names[] = {"DNS:localhost", "IP:127.0.0.1"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct tls_stage t;
        tls_open(&t, hosts[i], names[i], HOUR_S);
        launch(&t);
        ASSERT(connect_as(&t, &t.ca, NULL));
        assert_string_equal(ask(t.redis, "ECHO encrypted").text, "encrypted");
        tls_close(&t);
    }
}

static void redis_tls__an_unknown_issuer_is_refused(void **state)
{
    static const char *const words[] = {"not trusted", "redis.ca_file", NULL};
    struct tls_stage t;
    (void)state;
    tls_open(&t, "localhost", "DNS:localhost", HOUR_S);
    launch(&t);
    connect_as(&t, &t.stranger, NULL);
    expect_refused(&t, words);
    tls_close(&t);
}

static void redis_tls__without_ca_file_only_the_systems_authorities_count(void **state)
{
    static const char *const words[] = {"not trusted", "redis.ca_file", NULL};
    struct tls_stage t;
    (void)state;
    tls_open(&t, "localhost", "DNS:localhost", HOUR_S);
    launch(&t);
    connect_as(&t, NULL, NULL);
    expect_refused(&t, words);
    tls_close(&t);
}

static void redis_tls__a_certificate_for_another_name_is_refused(void **state)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1"};
    static const char *const names[] = {"DNS:redis.example", "DNS:localhost"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const char *words[] = {"not for '", hosts[i], "redis.url", NULL};
        struct tls_stage t;
        tls_open(&t, hosts[i], names[i], HOUR_S);
        launch(&t);
        connect_as(&t, &t.ca, NULL);
        expect_refused(&t, words);
        tls_close(&t);
    }
}

static void redis_tls__an_expired_certificate_is_refused(void **state)
{
    static const char *const words[] = {"the server's certificate has expired", NULL};
    struct tls_stage t;
    (void)state;
    tls_open(&t, "localhost", "DNS:localhost", -HOUR_S);
    launch(&t);
    connect_as(&t, &t.ca, NULL);
    expect_refused(&t, words);
    tls_close(&t);
}

static void redis_tls__a_server_may_ask_who_we_are(void **state)
{
    static const char *const missing[] = {"client certificate", "redis.cert_file", NULL};
    static const char *const unknown[] = {"does not take our certificate",
                                          "redis.cert_file", NULL};
    struct tls_stage t;
    struct identity ours;
    (void)state;
    tls_open(&t, "localhost", "DNS:localhost", HOUR_S);
    identity_make(&ours, t.dir, "client", &t.ca, NULL, HOUR_S);
    t.asks_clients = "yes";
    launch(&t);
    connect_as(&t, &t.ca, NULL);
    expect_refused(&t, missing);
    redis_stop(t.redis, now_ms());
    connect_as(&t, &t.ca, &t.stranger);
    expect_refused(&t, unknown);
    redis_stop(t.redis, now_ms());
    connect_as(&t, &t.ca, &ours);
    assert_string_equal(ask(t.redis, "ECHO welcome").text, "welcome");
    identity_drop(&ours);
    tls_close(&t);
}

static void redis_tls__an_expired_client_certificate_is_told(void **state)
{
    static const char *const words[] = {"does not take our certificate", "expired", NULL};
    struct tls_stage t;
    struct identity ours;
    (void)state;
    tls_open(&t, "localhost", "DNS:localhost", HOUR_S);
    identity_make(&ours, t.dir, "client", &t.ca, NULL, -HOUR_S);
    t.asks_clients = "yes";
    launch(&t);
    connect_as(&t, &t.ca, &ours);
    expect_refused(&t, words);
    identity_drop(&ours);
    tls_close(&t);
}

/* ---- files ---- */

static void expect_unusable(struct tls_stage *t, const struct identity *trusted,
                            const struct identity *shown, const char *key)
{
    memset(&t->err, 0, sizeof t->err);
    assert_null(connect_as(t, trusted, shown));
    assert_int_equal(t->err.code, -EINVAL);
    if (!strstr(t->err.text, key)) {
        fail_msg("'%s' is not in: %s", key, t->err.text);
    }
}

static void redis_start__refuses_files_that_cannot_be_used(void **state)
{
    struct tls_stage t;
    struct identity absent = {.cert_file = "/nonexistent.crt"};
    struct identity locked;
    struct identity mixed;
    (void)state;
    tls_open(&t, "localhost", "DNS:localhost", HOUR_S);
    identity_make(&locked, t.dir, "locked", &t.ca, NULL, HOUR_S);
    write_files(&locked, t.dir, "locked", "passphrase");
    mixed = t.ca;
    snprintf(mixed.key_file, sizeof mixed.key_file, "%s", t.stranger.key_file);
    expect_unusable(&t, &absent, NULL, "redis.ca_file: /nonexistent.crt");
    assert_non_null(strstr(t.err.text, "No such file"));
    expect_unusable(&t, &t.ca, &absent, "redis.cert_file: /nonexistent.crt");
    expect_unusable(&t, &t.ca, &locked, "redis.key_file: ");
    expect_unusable(&t, &t.ca, &mixed, "redis.key_file: ");
    identity_drop(&locked);
    tls_close(&t);
}

/* ---- the connection ---- */

static void redis_tls__carries_what_fills_the_kernel(void **state)
{
    enum { MANY = 40, BYTES = 300000 };
    struct tls_stage t;
    char *big = mem_alloc(BYTES);
    struct answer answers[2 * MANY];
    struct redis_command commands[2 * MANY];
    (void)state;
    memset(answers, 0, sizeof answers);
    memset(big, 'x', BYTES);
    tls_open(&t, "localhost", "DNS:localhost", HOUR_S);
    launch(&t);
    ASSERT(connect_as(&t, &t.ca, NULL));
    int64_t until = now_ms() + PATIENCE_MS;
    for (size_t i = 0; i < MANY; i++) {
        commands[2 * i] = (struct redis_command){.args = {"SET", "k", big},
                                                 .lens = {3, 1, BYTES - i},
                                                 .arg_count = 3,
                                                 .deadline_ms = until,
                                                 .done = answer_done,
                                                 .arg = &answers[2 * i]};
        commands[2 * i + 1] = (struct redis_command){.args = {"GETRANGE", "k", "0", "-1"},
                                                     .lens = {8, 1, 1, 2},
                                                     .arg_count = 4,
                                                     .deadline_ms = until,
                                                     .done = answer_done,
                                                     .arg = &answers[2 * i + 1]};
    }
    assert_int_equal(redis_call(t.redis, commands, (size_t)2 * MANY), 0);
    assert_int_equal(ask(t.redis, "STRLEN k").integer, BYTES - MANY + 1);
    for (size_t i = 0; i < (size_t)2 * MANY; i++) {
        assert_int_equal(answers[i].calls, 1);
        assert_int_equal(answers[i].kind, i % 2 ? REDIS_STRING : REDIS_STATUS);
    }
    free(big);
    tls_close(&t);
}

static void redis_tls__comes_back_with_a_renewed_certificate(void **state)
{
    static const char *const words[] = {"has expired", NULL};
    struct tls_stage t;
    (void)state;
    tls_open(&t, "localhost", "DNS:localhost", HOUR_S);
    launch(&t);
    ASSERT(connect_as(&t, &t.ca, NULL));
    assert_int_equal(ask(t.redis, "PING").rc, 0);
    redis_server_kill(&t.server);
    identity_drop(&t.server_id);
    identity_make(&t.server_id, t.dir, "server", &t.ca, "DNS:localhost", -HOUR_S);
    launch(&t);
    expect_refused(&t, words);
    redis_server_kill(&t.server);
    identity_drop(&t.server_id);
    /* another authority: it is read anew for each connection */
    identity_drop(&t.ca);
    identity_make(&t.ca, t.dir, "ca", NULL, NULL, HOUR_S);
    identity_make(&t.server_id, t.dir, "server", &t.ca, "DNS:localhost", HOUR_S);
    launch(&t);
    assert_int_equal(ask(t.redis, "PING").rc, 0);
    assert_false(redis_is_refused(t.redis));
    tls_close(&t);
}

static void expect_words(struct tls_stage *t, const char *words)
{
    char text[ERR_TEXT_MAX] = "";
    int64_t until = now_ms() + PATIENCE_MS;
    while (!strstr(text, words) && now_ms() < until) {
        assert_int_equal(ask_until(t->redis, "PING", now_ms() + 20).rc, -ETIMEDOUT);
        redis_last_error(t->redis, text, sizeof text);
    }
    if (!strstr(text, words)) {
        fail_msg("'%s' is not in: %s", words, text);
    }
    assert_false(redis_is_refused(t->redis));
}

static void redis_tls__a_silent_server_is_given_up(void **state)
{
    struct tls_stage t;
    (void)state;
    tls_open(&t, "localhost", "DNS:localhost", HOUR_S);
    launch(&t);
    ASSERT(connect_as(&t, &t.ca, NULL));
    assert_int_equal(ask(t.redis, "PING").rc, 0);
    redis_stop(t.redis, now_ms());
    redis_server_freeze(&t.server);
    struct redis_options options = {.url = t.url,
                                    .connect_timeout_ms = 50,
                                    .ca_file = t.ca.cert_file};
    t.redis = redis_start(&options, &t.err);
    expect_words(&t, "no answer to the handshake of TLS");
    redis_server_thaw(&t.server);
    assert_int_equal(ask(t.redis, "PING").rc, 0);
    tls_close(&t);
}

static void redis_tls__a_port_of_the_other_kind_is_told(void **state)
{
    struct tls_stage t;
    char plain[96];
    (void)state;
    tls_open(&t, "localhost", "DNS:localhost", HOUR_S);
    launch(&t);
    snprintf(plain, sizeof plain, "redis://localhost:%d", t.server.port);
    struct redis_options options = {.url = plain, .connect_timeout_ms = 1000};
    t.redis = redis_start(&options, &t.err);
    expect_words(&t, "rediss://");
    tls_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
