#include "wire/kafka_mock.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "wire/kafka_lib.h"

struct kafka_mock {
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *cluster;
};

struct kafka_mock *kafka_mock_open(int brokers, struct err *err)
{
    char why[KAFKA_ERROR_TEXT_MAX];
    const struct kafka_property ours[] = {
        {"client.id", "sluice-mock"},
        {NULL, NULL},
    };
    rd_kafka_conf_t *conf = kafka_conf(ours, NULL, 0, err);
    if (!conf) {
        return NULL;
    }
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    ASSERT(rk != NULL);
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(rk, brokers);
    if (!cluster) {
        err_set(err, -EIO, "the mock Kafka cluster did not start");
        rd_kafka_destroy(rk);
        return NULL;
    }
    struct kafka_mock *mock = mem_zalloc(sizeof *mock);
    mock->rk = rk;
    mock->cluster = cluster;
    return mock;
}

void kafka_mock_topic(struct kafka_mock *mock, const char *name, int partitions)
{
    rd_kafka_mock_topic_create(mock->cluster, name, partitions, 1);
}

const char *kafka_mock_bootstrap(const struct kafka_mock *mock)
{
    return rd_kafka_mock_cluster_bootstraps(mock->cluster);
}

void kafka_mock_broker(struct kafka_mock *mock, int broker, bool up)
{
    if (up) {
        rd_kafka_mock_broker_set_up(mock->cluster, broker);
    } else {
        rd_kafka_mock_broker_set_down(mock->cluster, broker);
    }
}

void kafka_mock_close(struct kafka_mock *mock)
{
    rd_kafka_mock_cluster_destroy(mock->cluster);
    rd_kafka_destroy(mock->rk);
    free(mock);
}
