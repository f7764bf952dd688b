#include "ops/faults.h"

#include <string.h>
#include <strings.h>

/* clang-format off */
static const struct {
    const char *code;
    const char *title;
    const char *text;
} faults[] = {
    {FAULT_SECRET, "a secret cannot be read",
     "The file or variable of an entry of `secrets` is not there, or this user may not read it. Compose mounts\n"
     "file secrets as they are on the host, whatever uid and mode the compose file says: make the file\n"
     "readable for uid 10001. `sluice-consumer check --require-secrets` reads them all."},
    {FAULT_NO_BROKER, "no Kafka broker answers",
     "None of kafka.brokers could be connected to. Inside compose the name is kafka:19092, from the host\n"
     "localhost:9092: a broker answers with the address it advertises for the listener one came by, and the\n"
     "client goes on there. A worker waits for the broker and goes on by itself."},
    {FAULT_KAFKA_REFUSES, "Kafka refuses us",
     "Wrong credentials (kafka.properties: security.protocol, sasl.mechanism, sasl.username, sasl.password,\n"
     "ssl.*), or a right is missing: compose/secure has the least list. librdkafka before 2.6.1 cannot\n"
     "log in to Kafka 4 by SCRAM: use PLAIN over TLS or client certificates there."},
    {FAULT_NO_TOPIC, "the source topic does not exist",
     "The topic of CI-success events belongs to whoever publishes, so a worker never makes it: a typing error\n"
     "would read an empty topic for ever. `sluice-producer topics ensure` makes it and the fleet's own\n"
     "topics. Kafka also says so when the user may not describe the topic."},
    {FAULT_SIDE_TOPICS, "a retry or dead-letter topic is missing",
     "<topic>.<group>.retry.<delay> and <topic>.<group>.dlq are made by the first worker that starts, when it\n"
     "may create topics, or by `sluice-producer topics ensure`."},
    {FAULT_GROUP, "the consumer group cannot be asked",
     "Kafka does not say where kafka.group stands. The user needs Read on the group and Describe on the topic."},
    {FAULT_FENCED, "put out by the group",
     "Another member has the same group.instance.id, or the broker fenced this one. Give each worker an id of\n"
     "its own, or none: leave group.instance.id out."},
    {FAULT_NO_REDIS, "Redis does not answer",
     "The ledger and the limits live there, so nothing is triggered without it (except for targets with\n"
     "on_redis_loss: send). A worker waits for it and goes on by itself within seconds of its return."},
    {FAULT_REDIS_REFUSES, "Redis refuses us",
     "Wrong user or password (redis.username, redis.password_file), or the ACL lacks a command or a key:\n"
     "compose/secure has the least list. All keys begin with redis.prefix."},
    {FAULT_EVICTION, "Redis may evict",
     "An evicted mark is a second deploy, an evicted bucket a full burst. Set maxmemory-policy noeviction:\n"
     "then a full Redis refuses writes, and the fleet waits. redis.allow_eviction: true accepts the risk."},
    {FAULT_CLOCK, "two clocks differ",
     "Retry topics compare the broker's time with this host's, and what operators read compares Redis' time.\n"
     "Limits and the ledger use Redis' clock alone and do not suffer. Run an NTP client on each host."},
    {FAULT_TARGET, "a target cannot be reached",
     "Its name does not resolve, nothing listens there, or the address is one that calls may never go to\n"
     "(link-local, cloud metadata; private ones when the target says public_only). Its units wait in the\n"
     "retry topics until targets.*.retry.budget."},
    {FAULT_CERTIFICATE, "a target's certificate",
     "It is not signed by an authority this host knows (http.ca_file adds one), is for another name, has\n"
     "expired or soon will. Verification cannot be turned off: the request carries the credentials."},
    {FAULT_CLUSTER, "a cluster does not answer",
     "Its API server cannot be connected to, does not answer GET /livez in time, or answers something else\n"
     "than \"ok\". Units of targets whose gate asks it wait (gate.unknown: send lets them through), and nothing\n"
     "else suffers. It is looked at every cluster_check.every; `sluice-consumer kube clusters` looks now."},
    {FAULT_CLUSTER_REFUSES, "a cluster refuses us",
     "401: the token or client certificate is wrong or has expired. 403: it is known and may not read /livez\n"
     "(the role system:public-info-viewer may). A gate needs list on the kinds of targets.*.gate.kinds in the\n"
     "application's namespace, and patch on them to wake."},
    {FAULT_CLUSTER_TLS, "a cluster's certificate",
     "The API server's certificate is not signed by the authority of the kubeconfig, is for another name\n"
     "(tls-server-name sets it) or has expired, or the server does not take our client certificate."},
    {FAULT_CLUSTER_ACCESS, "a cluster's credentials cannot be used",
     "The kubeconfig is missing, unreadable for this user, lacks a part, or wants what is refused here: a\n"
     "program that gets credentials (exec), an auth-provider, a proxy. A service account's token does."},
};
/* clang-format on */

const char *fault_explain(const char *code)
{
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        if (strcasecmp(faults[i].code, code) == 0) {
            return faults[i].text;
        }
    }
    return NULL;
}

bool fault_at(size_t i, const char **code, const char **title)
{
    if (i >= sizeof faults / sizeof faults[0]) {
        return false;
    }
    *code = faults[i].code;
    *title = faults[i].title;
    return true;
}
