#include "wire/kafka_lib.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "wire/crypto.h"

enum { SCRAM_WORKS_SINCE = 0x020601ff };

/* Lines that say what an error callback says too, or that are of no use to anybody: one
 * set of properties serves consumer, producer and admin client, and each names those of
 * the others. */
static bool is_said_elsewhere(const char *facility)
{
    static const char *const facilities[] = {"CONFWARN", "FAIL", "ERROR", "CERTVERIFY"};
    for (size_t i = 0; i < sizeof facilities / sizeof *facilities; i++) {
        if (strcmp(facility, facilities[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility,
                   const char *text)
{
    (void)rk;
    if (level <= 4 && !is_said_elsewhere(facility)) {
        LOG(LOG_WARN, "kafka client", LS("facility", facility), LS("text", text), LEND);
    } else {
        LOG(LOG_DEBUG, "kafka client", LS("facility", facility), LS("text", text), LEND);
    }
}

/* The client's own sentence does not tell an expired certificate from an unknown one, so
 * the last fault is kept here; it is only for people. */
static atomic_int certificate_fault;

static int on_certificate(rd_kafka_t *rk, const char *broker, int32_t broker_id,
                          int *x509_error, int depth, const char *bytes, size_t len,
                          char *why, size_t why_len, void *opaque)
{
    (void)rk;
    (void)broker;
    (void)broker_id;
    (void)depth;
    (void)bytes;
    (void)len;
    (void)opaque;
    if (*x509_error == 0) {
        return 1;
    }
    atomic_store(&certificate_fault, *x509_error);
    snprintf(why, why_len, "%s", crypto_certificate_fault(*x509_error));
    return 0;
}

/* Properties a user may not set, for a promise would fall. */
static const char *reserved(const char *name, const char *value)
{
    static const char *const names[] = {
        "enable.auto.commit",    "enable.auto.offset.store",
        "auto.offset.reset",     "group.id",
        "bootstrap.servers",     "metadata.broker.list",
        "enable.idempotence",    "acks",
        "request.required.acks", "transactional.id",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return "is decided by Sluice, its promises rest on it";
        }
    }
    if (strcmp(name, "partition.assignment.strategy") == 0 &&
        strstr(value, "cooperative")) {
        return "may be range or roundrobin: the cooperative assignor loses its "
               "assignment before "
               "librdkafka 2.10";
    }
    return NULL;
}

static int set_all(rd_kafka_conf_t *conf, const struct kafka_property *ours,
                   const struct kafka_property *properties, size_t property_count,
                   struct err *err)
{
    char why[KAFKA_ERROR_TEXT_MAX];
    for (size_t i = 0; ours[i].name; i++) {
        if (rd_kafka_conf_set(conf, ours[i].name, ours[i].value, why, sizeof why)) {
            return err_set(err, -EINVAL, "kafka: %s", why);
        }
    }
    for (size_t i = 0; i < property_count; i++) {
        const char *name = properties[i].name;
        const char *no = reserved(name, properties[i].value);
        if (no) {
            return err_set(err, -EINVAL, "kafka.properties: %s %s", name, no);
        }
        if (rd_kafka_conf_set(conf, name, properties[i].value, why, sizeof why)) {
            return err_set(err, -EINVAL, "kafka.properties: %s", why);
        }
    }
    return 0;
}

rd_kafka_conf_t *kafka_conf(const struct kafka_property *ours,
                            const struct kafka_property *properties,
                            size_t property_count, struct err *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_ssl_cert_verify_cb(conf, on_certificate);
    if (set_all(conf, ours, properties, property_count, err)) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    return conf;
}

bool kafka_is_refusal(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
           code == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM;
}

bool kafka_refuses(rd_kafka_resp_err_t code, const char *sentence)
{
    bool broken = code == RD_KAFKA_RESP_ERR__AUTHENTICATION && strstr(sentence, "Local:");
    return kafka_is_refusal(code) && !broken;
}

static const char verify_failed[] = "certificate verify failed";

bool kafka_distrusts(const char *sentence)
{
    static const char *const words[] = {verify_failed, "alert certificate",
                                        "alert bad certificate", "alert unknown ca",
                                        "certificate required"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strstr(sentence, words[i])) {
            return true;
        }
    }
    return false;
}

void kafka_refusal_text(const char *sentence, char *text, size_t text_len)
{
    if (strstr(sentence, verify_failed)) {
        snprintf(text, text_len,
                 "the broker's certificate is not trusted: %s (its authority must be in "
                 "ssl.ca.location, the name in kafka.brokers must be in it, and it must "
                 "not be over)",
                 crypto_certificate_fault(atomic_load(&certificate_fault)));
    } else if (kafka_distrusts(sentence)) {
        snprintf(text, text_len,
                 "the broker does not take our certificate: %.250s (see "
                 "ssl.certificate.location: who signed it, and is it over?)",
                 sentence);
    } else if (strstr(sentence, "SCRAM") && rd_kafka_version() < SCRAM_WORKS_SINCE) {
        snprintf(text, text_len,
                 "%.250s (check sasl.username and sasl.password; librdkafka %s cannot "
                 "log in to Kafka 4 by SCRAM: use PLAIN over TLS or a certificate there)",
                 sentence, rd_kafka_version_str());
    } else if (strstr(sentence, "uthenticat")) {
        snprintf(text, text_len,
                 "%.350s (check sasl.username and sasl.password in kafka.properties)",
                 sentence);
    } else {
        snprintf(text, text_len,
                 "%.350s (the ACLs a worker needs: compose/secure/README.md)", sentence);
    }
}

int kafka_errno(rd_kafka_resp_err_t code)
{
    if (kafka_is_refusal(code)) {
        return -EACCES;
    }
    switch (code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return 0;
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
        return -ETIMEDOUT;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
        return -EINVAL;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        return -ENOENT;
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
    case RD_KAFKA_RESP_ERR__FATAL: /* a producer's serving thread is about to replace the
                                      client */
        return -EAGAIN;
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
    case RD_KAFKA_RESP_ERR__DESTROY:
        return -ECANCELED;
    default:
        return -EIO;
    }
}

struct destroyer {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    rd_kafka_t *rk; /* read-only */
    int flags;      /* read-only */
    /* guarded by mu */
    bool done;
    bool alone; /* nobody waits any more: the thread frees this */
};

static void destroyer_free(struct destroyer *d)
{
    MUST(pthread_cond_destroy(&d->cond));
    MUST(pthread_mutex_destroy(&d->mu));
    free(d);
}

static void *destroyer_main(void *arg)
{
    struct destroyer *d = arg;
    rd_kafka_destroy_flags(d->rk, d->flags);
    MUST(pthread_mutex_lock(&d->mu));
    d->done = true;
    bool alone = d->alone;
    MUST(pthread_cond_signal(&d->cond));
    MUST(pthread_mutex_unlock(&d->mu));
    if (alone) {
        destroyer_free(d);
    }
    return NULL;
}

static bool destroyer_wait(struct destroyer *d)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += KAFKA_DESTROY_MS / 1000;
    until.tv_nsec += (KAFKA_DESTROY_MS % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    MUST(pthread_mutex_lock(&d->mu));
    int rc = 0;
    while (!d->done && rc == 0) {
        rc = pthread_cond_timedwait(&d->cond, &d->mu, &until);
    }
    bool done = d->done;
    d->alone = !done;
    MUST(pthread_mutex_unlock(&d->mu));
    return done;
}

bool kafka_destroy(rd_kafka_t *rk, int flags)
{
    struct destroyer *d = mem_zalloc(sizeof *d);
    pthread_condattr_t attr;
    MUST(pthread_condattr_init(&attr));
    MUST(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
    MUST(pthread_cond_init(&d->cond, &attr));
    MUST(pthread_condattr_destroy(&attr));
    MUST(pthread_mutex_init(&d->mu, NULL));
    d->rk = rk;
    d->flags = flags;
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, destroyer_main, d));
    bool done = destroyer_wait(d);
    if (done) {
        MUST(pthread_join(thread, NULL));
        destroyer_free(d);
    } else {
        MUST(pthread_detach(thread));
    }
    return done;
}

void kafka_library_features(char *text, size_t text_len)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (rd_kafka_conf_get(conf, "builtin.features", text, &text_len) !=
        RD_KAFKA_CONF_OK) {
        text[0] = '\0';
    }
    rd_kafka_conf_destroy(conf);
}

const char *kafka_library_version(void)
{
    return rd_kafka_version_str();
}
