#include "wire/kafka_lib.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"

static void on_log(const rd_kafka_t *rk, int level, const char *facility,
                   const char *text)
{
    (void)rk;
    /* One set of properties serves consumer, producer and admin client; each names those
     * of the others. */
    bool of_another = strcmp(facility, "CONFWARN") == 0;
    if (level <= 4 && !of_another) {
        LOG(LOG_WARN, "kafka client", LS("facility", facility), LS("text", text), LEND);
    } else {
        LOG(LOG_DEBUG, "kafka client", LS("facility", facility), LS("text", text), LEND);
    }
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

const char *kafka_library_version(void)
{
    return rd_kafka_version_str();
}
