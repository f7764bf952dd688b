/* What is made of librdkafka's sentences on refusals: they are for people, and name the
 * next step. The sentences are librdkafka's own, as real brokers brought them about. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/kafka_lib.h"

static void expect(const char *sentence, bool distrust, const char *words)
{
    char text[KAFKA_ERROR_TEXT_MAX];
    kafka_refusal_text(sentence, text, sizeof text);
    assert_int_equal(kafka_distrusts(sentence), distrust);
    if (!strstr(text, words)) {
        fail_msg("'%s' is not in: %s", words, text);
    }
}

static void kafka_refusal_text__tells_whose_certificate_it_is(void **state)
{
    (void)state;
    expect("ssl://b:1/bootstrap: SSL handshake failed: error:0A000086:SSL "
           "routines::certificate verify failed: broker certificate could not be "
           "verified, verify that ssl.ca.location is correctly configured (after 15ms "
           "in state SSL_HANDSHAKE)",
           true, "the broker's certificate is not trusted");
    expect("ssl://b:1/bootstrap: Receive failed: error:0A000416:SSL routines::sslv3 "
           "alert certificate unknown: SSL alert number 46 (after 1ms in state "
           "APIVERSION_QUERY)",
           true, "see ssl.certificate.location");
    expect("ssl://b:1/bootstrap: Receive failed: error:0A00045C:SSL routines::tlsv13 "
           "alert certificate required: SSL alert number 116",
           true, "see ssl.certificate.location");
}

static void kafka_refusal_text__tells_what_an_old_library_cannot(void **state)
{
    static const char scram[] =
        "sasl_ssl://b:1/bootstrap: SASL authentication error: Authentication failed "
        "during authentication due to invalid credentials with SASL mechanism "
        "SCRAM-SHA-256";
    (void)state;
    expect(scram, false, "check sasl.username and sasl.password");
    if (rd_kafka_version() < 0x020601ff) {
        expect(scram, false, "cannot log in to Kafka 4 by SCRAM");
    }
}

static void kafka_refusal_text__names_the_list_of_rights(void **state)
{
    (void)state;
    expect("FindCoordinator response error: Group authorization failed.", false,
           "compose/secure/README.md");
    expect("topic t: Broker: Topic authorization failed", false, "topic t: ");
}

static void kafka_distrusts__not_what_passes(void **state)
{
    (void)state;
    assert_false(kafka_distrusts("ssl://b:1/bootstrap: SSL handshake failed: "
                                 "Disconnected (after 1ms in state SSL_HANDSHAKE)"));
    assert_false(kafka_distrusts("b:1/1: Connect to ipv4#127.0.0.1:1 failed: "
                                 "Connection refused"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
