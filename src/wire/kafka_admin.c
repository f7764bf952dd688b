#include "wire/kafka_admin.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "wire/kafka_admin_client.h"

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    struct kafka_admin *a = opaque;
    if (a->refused) {
        return; /* what comes now is only its consequence */
    }
    if (kafka_refuses((rd_kafka_resp_err_t)code, reason) || kafka_distrusts(reason)) {
        a->refused = true;
        kafka_refusal_text(reason, a->reason, sizeof a->reason);
    } else if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || !a->reason[0]) {
        snprintf(a->reason, sizeof a->reason, "%s", reason);
    }
}

struct kafka_admin *kafka_admin_open(const char *brokers,
                                     const struct kafka_property *properties,
                                     size_t property_count, struct err *err)
{
    const struct kafka_property ours[] = {
        {"bootstrap.servers", brokers},    {"client.id", "sluice-admin"},
        {"socket.timeout.ms", "10000"},    {"reconnect.backoff.max.ms", "1000"},
        {"log.connection.close", "false"}, {NULL, NULL},
    };
    struct kafka_admin *a = mem_zalloc(sizeof *a);
    rd_kafka_conf_t *conf = kafka_conf(ours, properties, property_count, err);
    if (!conf) {
        free(a);
        return NULL;
    }
    rd_kafka_conf_set_opaque(conf, a);
    rd_kafka_conf_set_error_cb(conf, on_error);
    char why[KAFKA_ERROR_TEXT_MAX];
    a->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!a->rk) {
        rd_kafka_conf_destroy(conf);
        free(a);
        err_set(err, -EINVAL, "kafka: %s", why);
        return NULL;
    }
    a->queue = rd_kafka_queue_new(a->rk);
    return a;
}

void kafka_admin_close(struct kafka_admin *a)
{
    if (!a) {
        return;
    }
    rd_kafka_queue_destroy(a->queue);
    if (kafka_destroy(a->rk, 0)) {
        free(a);
    }
}

int kafka_admin_left_ms(int64_t until_ms, int most_ms)
{
    int64_t left = until_ms - now_ms();
    return left <= 1 ? 1 : left < most_ms ? (int)left : most_ms;
}

/* Ask for metadata until it comes. */
static int ask_metadata(struct kafka_admin *a, int64_t until_ms,
                        const struct rd_kafka_metadata **metadata, struct err *err)
{
    for (;;) {
        rd_kafka_resp_err_t code =
            rd_kafka_metadata(a->rk, 1, NULL, metadata,
                              kafka_admin_left_ms(until_ms, KAFKA_ADMIN_STEP_MS));
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            return 0;
        }
        rd_kafka_poll(a->rk, 0);
        if (a->refused || kafka_is_refusal(code)) {
            return err_set(err, -EACCES, "Kafka refuses us: %s", a->reason);
        }
        if (now_ms() >= until_ms) {
            return err_set(err, -ETIMEDOUT, "no Kafka broker answers: %s",
                           a->reason[0] ? a->reason : rd_kafka_err2str(code));
        }
    }
}

int kafka_topics_list(struct kafka_admin *a, int64_t until_ms,
                      struct kafka_topic **topics, size_t *count, struct err *err)
{
    const struct rd_kafka_metadata *md = NULL;
    int rc = ask_metadata(a, until_ms, &md, err);
    if (rc) {
        return rc;
    }
    *topics = mem_array((size_t)md->topic_cnt + 1, sizeof **topics);
    *count = 0;
    for (int i = 0; i < md->topic_cnt; i++) {
        const struct rd_kafka_metadata_topic *from = &md->topics[i];
        if (from->err) {
            continue;
        }
        struct kafka_topic *to = &(*topics)[(*count)++];
        snprintf(to->name, sizeof to->name, "%s", from->topic);
        to->partitions = from->partition_cnt;
        to->replication = from->partition_cnt ? from->partitions[0].replica_cnt : 0;
    }
    rd_kafka_metadata_destroy(md);
    return 0;
}

/* The mock cluster knows no CreateTopics, but makes a topic that is asked about. */
static int create_by_asking(struct kafka_admin *a, const char *name, int64_t until_ms,
                            struct err *err)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(a->rk, name, NULL);
    const struct rd_kafka_metadata *md = NULL;
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(a->rk, 0, topic, &md,
                          kafka_admin_left_ms(until_ms, KAFKA_ADMIN_REQUEST_MS_MAX));
    bool there =
        code == RD_KAFKA_RESP_ERR_NO_ERROR && md->topic_cnt == 1 && !md->topics[0].err;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_metadata_destroy(md);
    }
    rd_kafka_topic_destroy(topic);
    return there ? 0
                 : err_set(err, -EIO, "topic %s: the broker cannot create topics", name);
}

bool kafka_admin_has_controller(struct kafka_admin *a, int64_t until_ms)
{
    const struct rd_kafka_metadata *md = NULL;
    if (ask_metadata(a, until_ms, &md, NULL) != 0) {
        return true; /* CreateTopics will say what is wrong */
    }
    int32_t id =
        rd_kafka_controllerid(a->rk, kafka_admin_left_ms(until_ms, KAFKA_ADMIN_STEP_MS));
    bool found = false;
    for (int i = 0; i < md->broker_cnt; i++) {
        found = found || md->brokers[i].id == id;
    }
    rd_kafka_metadata_destroy(md);
    return found;
}

static int read_created(rd_kafka_event_t *event, const char *name, bool *created,
                        struct err *err)
{
    size_t n = 0;
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event),
                                            &n);
    if (n != 1) {
        return err_set(err, -EIO, "topic %s: the broker gave no result", name);
    }
    rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[0]);
    *created = code == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (*created || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
        return 0;
    }
    const char *why = rd_kafka_topic_result_error_string(results[0]);
    bool wrong = code == RD_KAFKA_RESP_ERR_INVALID_PARTITIONS ||
                 code == RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR ||
                 code == RD_KAFKA_RESP_ERR_INVALID_CONFIG ||
                 code == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION;
    return err_set(err, wrong ? -EINVAL : kafka_errno(code), "topic %s: %s", name,
                   why ? why : rd_kafka_err2str(code));
}

rd_kafka_AdminOptions_t *kafka_admin_options(struct kafka_admin *a,
                                             rd_kafka_admin_op_t op, int ms)
{
    char why[KAFKA_ERROR_TEXT_MAX];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(a->rk, op);
    rd_kafka_AdminOptions_set_request_timeout(options, ms, why, sizeof why);
    return options;
}

int kafka_topic_create(struct kafka_admin *a, const char *name, int partitions,
                       int replication, const char *const *config, int64_t until_ms,
                       bool *created, struct err *err)
{
    char why[KAFKA_ERROR_TEXT_MAX];
    *created = false;
    if (!kafka_admin_has_controller(a, until_ms)) {
        int rc = create_by_asking(a, name, until_ms, err);
        *created = rc == 0;
        return rc;
    }
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(name, partitions, replication, why, sizeof why);
    if (!topic) {
        return err_set(err, -EINVAL, "topic %s: %s", name, why);
    }
    for (size_t i = 0; config && config[i]; i += 2) {
        rd_kafka_NewTopic_set_config(topic, config[i], config[i + 1]);
    }
    int ms = kafka_admin_left_ms(until_ms, KAFKA_ADMIN_REQUEST_MS_MAX);
    rd_kafka_AdminOptions_t *options =
        kafka_admin_options(a, RD_KAFKA_ADMIN_OP_CREATETOPICS, ms);
    rd_kafka_CreateTopics(a->rk, &topic, 1, options, a->queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(a->queue, ms + KAFKA_ADMIN_STEP_MS);
    int rc;
    if (!event) {
        rc = err_set(err, -ETIMEDOUT, "topic %s: the broker did not answer", name);
    } else if (rd_kafka_event_error(event)) {
        rc = err_set(err, kafka_errno(rd_kafka_event_error(event)), "topic %s: %s", name,
                     rd_kafka_event_error_string(event));
    } else {
        rc = read_created(event, name, created, err);
    }
    if (event) {
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewTopic_destroy(topic);
    return rc;
}

static int read_config(rd_kafka_event_t *event, const char *topic, const char *name,
                       char *value, size_t value_len, struct err *err)
{
    size_t n = 0;
    const rd_kafka_ConfigResource_t **found =
        rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(
                                                      event),
                                                  &n);
    size_t entries = 0;
    rd_kafka_resp_err_t code = n ? rd_kafka_ConfigResource_error(found[0]) : 0;
    if (code) {
        return err_set(err, kafka_errno(code), "topic %s: %s", topic,
                       rd_kafka_err2str(code));
    }
    const rd_kafka_ConfigEntry_t **entry =
        n ? rd_kafka_ConfigResource_configs(found[0], &entries) : NULL;
    for (size_t i = 0; i < entries; i++) {
        const char *text = rd_kafka_ConfigEntry_value(entry[i]);
        if (text && strcmp(rd_kafka_ConfigEntry_name(entry[i]), name) == 0) {
            snprintf(value, value_len, "%s", text);
            return 0;
        }
    }
    return err_set(err, -ENOENT, "topic %s has no setting %s", topic, name);
}

int kafka_topic_config(struct kafka_admin *a, const char *topic, const char *name,
                       int64_t until_ms, char *value, size_t value_len, struct err *err)
{
    if (!kafka_admin_has_controller(a, until_ms)) {
        return err_set(err, -EIO, "topic %s: this broker shows no settings", topic);
    }
    rd_kafka_ConfigResource_t *resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    int ms = kafka_admin_left_ms(until_ms, KAFKA_ADMIN_REQUEST_MS_MAX);
    rd_kafka_AdminOptions_t *options =
        kafka_admin_options(a, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, ms);
    rd_kafka_DescribeConfigs(a->rk, &resource, 1, options, a->queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(a->queue, ms + KAFKA_ADMIN_STEP_MS);
    int rc;
    if (!event) {
        rc = err_set(err, -ETIMEDOUT, "topic %s: the broker did not answer", topic);
    } else if (rd_kafka_event_error(event)) {
        rc = err_set(err, kafka_errno(rd_kafka_event_error(event)), "topic %s: %s", topic,
                     rd_kafka_event_error_string(event));
    } else {
        rc = read_config(event, topic, name, value, value_len, err);
    }
    if (event) {
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ConfigResource_destroy(resource);
    return rc;
}

int kafka_topic_range(struct kafka_admin *a, const char *topic, int partition,
                      int64_t until_ms, int64_t *first, int64_t *end, struct err *err)
{
    rd_kafka_resp_err_t code =
        rd_kafka_query_watermark_offsets(a->rk, topic, partition, first, end,
                                         kafka_admin_left_ms(until_ms,
                                                             KAFKA_ADMIN_REQUEST_MS_MAX));
    rd_kafka_poll(a->rk, 0);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? 0
               : err_set(err, kafka_errno(code), "topic %s [%d]: %s", topic, partition,
                         rd_kafka_err2str(code));
}
