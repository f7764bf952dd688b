/* wire/http over TLS: who is trusted, and that a request still goes out at most once. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <errno.h>

#include "base/now.h"
#include "tls_server.h"
#include "wire/http_probe.h"

static struct identity self;
static char ca_file[64];

/* A certificate that is its own authority, and a server with it. */
static void certificate_use(const char *names, long valid_s)
{
    identity_init(&self, "sluice test", names, NULL, valid_s);
    pem_to_file(self.cert_pem, ca_file);
    tls_server_use(&self, NULL);
}

static void certificate_drop(void)
{
    unlink(ca_file);
    tls_server_drop();
    identity_release(&self);
}

/* ---- calls ---- */

struct tls_stage {
    struct stage b;
    struct probe p;
};

/* A loop that trusts this file, and a call to a server with the certificate in use. */
static void tls_open(struct tls_stage *t, const char *trusted)
{
    struct http_options options = {.in_flight = 4, .ca_file = trusted};
    struct err err = ERR_INIT;
    t->b.script = script_start(script_answer_ok, tls_serve);
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
    certificate_use("IP:127.0.0.1", 3600);
    tls_server.close_on_second = true;
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
    struct script *script = script_start(script_answer_ok, tls_serve);
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
    tls_begin();
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
