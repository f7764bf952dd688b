/* wire/http: pools with TLS of their own: whom they trust, as whom they come, and that no
 * connection of theirs serves another pool. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <errno.h>

#include "tls_server.h"

/* A loop that trusts ca_file, and the server in use. */
static void open_stage(struct stage *b, const char *ca_file)
{
    struct http_options options = {.in_flight = 4, .ca_file = ca_file};
    struct err err = ERR_INIT;
    b->script = script_start(script_answer_ok, tls_serve);
    b->http = http_start(&options, &err);
    ASSERT(b->http != NULL);
    b->pool = NULL;
    b->calls = 0;
    gate_init(&b->done);
}

static void close_stage(struct stage *b)
{
    stage_close(b);
    tls_server_drop();
}

static struct http_pool *pool_with(struct stage *b, const struct http_tls *tls)
{
    struct err err = ERR_INIT;
    const struct http_pool_options options = {.name = "own",
                                              .max_running = 2,
                                              .tls = tls};
    struct http_pool *pool = http_pool_open(b->http, &options, &err);
    assert_string_equal(err.text, "");
    assert_non_null(pool);
    return pool;
}

static void call_to(struct stage *b, struct http_pool *pool, const char *host,
                    struct probe *p)
{
    b->pool = pool;
    stage_probe(b, p, "/");
    snprintf(p->url, sizeof(p->url), "https://%s:%d/x", host, b->script->port);
    stage_call(b, p);
    probe_release(p);
}

static void expect_answer(struct stage *b, struct http_pool *pool, const char *host)
{
    struct probe p;
    call_to(b, pool, host, &p);
    check_end(&p, HTTP_END_ANSWERED, 200, "");
}

/* Nothing was sent, and TLS is why. */
static void expect_distrust(struct stage *b, struct http_pool *pool, const char *host)
{
    struct probe p;
    int requests = gate_count(&b->script->requests);
    call_to(b, pool, host, &p);
    assert_int_equal(p.call.end, HTTP_END_NOT_SENT);
    assert_memory_equal(p.call.error, "tls: ", 5);
    assert_int_equal(gate_count(&b->script->requests), requests);
}

/* ---- whom it trusts ---- */

static void http_pool_tls__trusts_its_own_authority(void **state)
{
    struct stage b;
    (void)state;
    tls_server_use(&server, NULL);
    open_stage(&b, NULL);
    expect_distrust(&b, http_pool_new(b.http, "as the loop", 2, false), "127.0.0.1");
    expect_answer(&b, pool_with(&b, &(struct http_tls){.ca_pem = ours.cert_pem}),
                  "127.0.0.1");
    close_stage(&b);
}

static void http_pool_tls__trusts_nobody_beside_its_authority(void **state)
{
    struct stage b;
    char file[64];
    (void)state;
    tls_server_use(&server, NULL);
    pem_to_file(ours.cert_pem, file);
    open_stage(&b, file);
    expect_answer(&b, http_pool_new(b.http, "as the loop", 2, false), "127.0.0.1");
    expect_distrust(&b, pool_with(&b, &(struct http_tls){.ca_pem = theirs.cert_pem}),
                    "127.0.0.1");
    expect_answer(&b, pool_with(&b, &(struct http_tls){.ca_pem = NULL}), "127.0.0.1");
    close_stage(&b);
    unlink(file);
}

static void http_pool_tls__insecure_believes_anybody_for_itself_only(void **state)
{
    struct stage b;
    (void)state;
    tls_server_use(&server, NULL);
    open_stage(&b, NULL);
    struct http_pool *careless = pool_with(&b, &(struct http_tls){.insecure = true});
    struct http_pool *careful =
        pool_with(&b, &(struct http_tls){.ca_pem = theirs.cert_pem});
    for (int i = 0; i < 2; i++) {
        expect_answer(&b, careless, "localhost");
        expect_distrust(&b, careful, "localhost");
    }
    close_stage(&b);
}

/* ---- the name it looks for ---- */

static void http_pool_tls__another_name_than_the_hosts_is_looked_for(void **state)
{
    struct stage b;
    char host[64];
    (void)state;
    tls_server_use(&server, NULL);
    open_stage(&b, NULL);
    struct http_tls tls = {.ca_pem = ours.cert_pem, .server_name = "api.test"};
    expect_distrust(&b, pool_with(&b, &(struct http_tls){.ca_pem = ours.cert_pem}),
                    "localhost");
    expect_answer(&b, pool_with(&b, &tls), "localhost");
    assert_string_equal(tls_server.asked_for, "api.test");
    snprintf(host, sizeof(host), "\r\nHost: localhost:%d\r\n", b.script->port);
    assert_non_null(strstr(tls_server.last, host));
    assert_memory_equal(tls_server.last, "POST /x HTTP/1.1\r\n", 18);
    tls.server_name = "127.0.0.1";
    expect_answer(&b, pool_with(&b, &tls), "localhost");
    assert_string_equal(tls_server.asked_for, "");
    tls.server_name = "other.test";
    expect_distrust(&b, pool_with(&b, &tls), "localhost");
    close_stage(&b);
}

/* ---- as whom it comes ---- */

static struct http_tls as(const struct identity *who)
{
    return (struct http_tls){.ca_pem = ours.cert_pem,
                             .cert_pem = who->cert_pem,
                             .key_pem = who->key_pem};
}

static void http_pool_tls__who_shows_no_certificate_gets_nothing(void **state)
{
    struct stage b;
    (void)state;
    tls_server_use(&server, &ours);
    SSL_CTX_set_max_proto_version(tls_server.ctx, TLS1_2_VERSION);
    open_stage(&b, NULL);
    expect_distrust(&b, pool_with(&b, &(struct http_tls){.ca_pem = ours.cert_pem}),
                    "127.0.0.1");
    close_stage(&b);
}

/* In TLS 1.3 the request leaves before the server has looked at the certificate. */
static void http_pool_tls__with_tls13_that_is_known_only_after_sending(void **state)
{
    struct stage b;
    struct probe p;
    (void)state;
    tls_server_use(&server, &ours);
    open_stage(&b, NULL);
    call_to(&b, pool_with(&b, &(struct http_tls){.ca_pem = ours.cert_pem}), "127.0.0.1",
            &p);
    assert_int_equal(p.call.end, HTTP_END_UNCERTAIN);
    assert_memory_equal(p.call.error, "answer: ", 8);
    assert_int_equal(gate_count(&b.script->requests), 0);
    close_stage(&b);
}

static void http_pool_tls__no_connection_serves_two_pools(void **state)
{
    struct stage b;
    (void)state;
    tls_server_use(&server, &ours);
    open_stage(&b, NULL);
    struct http_tls tls[2] = {as(&alice), as(&bob)};
    struct http_pool *pools[2] = {pool_with(&b, &tls[0]), pool_with(&b, &tls[1])};
    for (int i = 0; i < 6; i++) {
        expect_answer(&b, pools[i % 2], "127.0.0.1");
    }
    for (int i = 0; i < 6; i++) {
        assert_string_equal(tls_server.client[i], i % 2 == 0 ? "alice" : "bob");
    }
    assert_int_equal(gate_count(&b.script->connections), 2);
    close_stage(&b);
}

static void http_pool_tls__a_renewed_certificate_is_the_next_calls(void **state)
{
    struct stage b;
    struct err err = ERR_INIT;
    (void)state;
    tls_server_use(&server, &ours);
    open_stage(&b, NULL);
    struct http_tls tls = as(&alice);
    struct http_tls next = as(&bob);
    struct http_pool *pool = pool_with(&b, &tls);
    expect_answer(&b, pool, "127.0.0.1");
    next.key_pem = alice.key_pem; /* the new key is not there yet */
    assert_int_equal(http_pool_renew(pool, &next, &err), -EINVAL);
    expect_answer(&b, pool, "127.0.0.1");
    next.key_pem = bob.key_pem;
    assert_int_equal(http_pool_renew(pool, &next, &err), 0);
    expect_answer(&b, pool, "127.0.0.1");
    assert_string_equal(tls_server.client[1], "alice");
    assert_string_equal(tls_server.client[2], "bob");
    gate_wait(&b.script->closed, 1); /* alice's connection is no more */
    assert_int_equal(gate_count(&b.script->connections), 2);
    close_stage(&b);
}

static void http_pool_tls__a_freed_pool_closes_its_connections(void **state)
{
    struct stage b;
    (void)state;
    tls_server_use(&server, NULL);
    open_stage(&b, NULL);
    for (int i = 1; i <= 3; i++) {
        struct http_pool *pool =
            pool_with(&b, &(struct http_tls){.ca_pem = ours.cert_pem});
        expect_answer(&b, pool, "127.0.0.1");
        http_pool_free(pool);
        gate_wait(&b.script->closed, i);
    }
    close_stage(&b);
}

/* ---- what cannot be used ---- */

static char *encrypted(const struct identity *who)
{
    BIO *bio = BIO_new(BIO_s_mem());
    ASSERT(PEM_write_bio_PrivateKey(bio, who->key, EVP_aes_256_cbc(),
                                    (const unsigned char *)"secret", 6, NULL, NULL) == 1);
    return pem_of(bio);
}

static void expect_sentence(struct http *http, const struct http_tls *tls,
                            const char *part)
{
    struct err err = ERR_INIT;
    const struct http_pool_options options = {.name = "own",
                                              .max_running = 1,
                                              .tls = tls};
    assert_null(http_pool_open(http, &options, &err));
    assert_int_equal(err.code, -EINVAL);
    if (strstr(err.text, part) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", part, err.text);
    }
}

static void http_pool_tls__what_cannot_be_read_is_said_before_any_call(void **state)
{
    struct stage b;
    (void)state;
    char *locked = encrypted(&alice);
    char *damaged = mem_strdup(ours.cert_pem);
    memset(damaged + 60, '*', 8);
    tls_server_use(&server, NULL);
    open_stage(&b, NULL);
    const struct {
        struct http_tls tls;
        const char *part;
    } rows[] = {
        {{.ca_pem = ""}, "CA data holds no certificate"},
        {{.ca_pem = "MIIB"}, "CA data holds no certificate"},
        {{.ca_pem = alice.key_pem}, "CA data holds no certificate"},
        {{.ca_pem = damaged}, "PEM block 1 of 1 is damaged"},
        {{.cert_pem = alice.cert_pem}, "client certificate without its key"},
        {{.key_pem = alice.key_pem}, "client key without its certificate"},
        {{.cert_pem = "", .key_pem = alice.key_pem}, "client certificate holds no"},
        {{.cert_pem = alice.cert_pem, .key_pem = "nothing"}, "client key cannot be read"},
        {{.cert_pem = alice.cert_pem, .key_pem = bob.key_pem}, "not that of the client"},
        {{.cert_pem = alice.cert_pem, .key_pem = locked}, "has a passphrase"},
        {{.server_name = "a/b"}, "\"a/b\" is not a name"},
        {{.server_name = ""}, "is not a name"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_sentence(b.http, &rows[i].tls, rows[i].part);
    }
    free(locked);
    free(damaged);
    close_stage(&b);
}

/* As kubelets keep it: certificate and key in one file, which stands for both. */
static void http_pool_tls__certificate_and_key_may_be_in_one_text(void **state)
{
    struct stage b;
    struct str both;
    (void)state;
    str_init(&both);
    str_add(&both, alice.key_pem);
    str_add(&both, alice.cert_pem);
    tls_server_use(&server, &ours);
    open_stage(&b, NULL);
    struct http_tls tls = {.ca_pem = ours.cert_pem,
                           .cert_pem = both.data,
                           .key_pem = both.data};
    expect_answer(&b, pool_with(&b, &tls), "127.0.0.1");
    assert_string_equal(tls_server.client[0], "alice");
    str_release(&both);
    close_stage(&b);
}

int main(void)
{
    tls_begin();
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, identities_make, identities_drop);
}
