/* Every setting there is. The order is the one of help, docs and `config show`. What is
 * hot a reload may change; the rest is built into connections, topics and threads. */
#include "fleet/config_private.h"

#include <string.h>

#define SECOND 1000LL
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define MIB    (1024LL * 1024)

/* clang-format off */
const struct option config_options[] = {
    {.key = "kafka.brokers", .type = OPTION_TEXT, .list = true, .initial = "[localhost:9092]",
     .help = "Where to find the Kafka cluster, host:port each"},
    {.key = "kafka.topic", .type = OPTION_TEXT, .initial = "ci.succeeded",
     .help = "The source topic of CI-success events"},
    {.key = "kafka.group", .type = OPTION_TEXT, .initial = "sluice",
     .help = "The consumer group; also part of the names of the retry and dead-letter topics"},
    {.key = "kafka.client_id", .type = OPTION_TEXT,
     .help = "How this process calls itself to Kafka; left out: sluice-<host>-<pid>"},
    {.key = "kafka.start", .type = OPTION_CHOICE, .choices = "latest|earliest", .initial = "latest",
     .help = "Where a group that is new begins to read"},
    {.key = "kafka.on_gap", .type = OPTION_CHOICE, .choices = "skip|hold", .initial = "skip",
     .help = "When retention overtook us: go on from the first event there is, or hold the partition"},
    {.key = "kafka.prefetch", .type = OPTION_BYTES, .initial = "32MiB", .min = 64 * 1024LL, .max = 4096 * MIB,
     .help = "What the whole process may hold of events not begun yet"},
    {.key = "kafka.properties", .type = OPTION_MAP,
     .help = "Any librdkafka property; a value may be ${secret.NAME}"},

    {.key = "batch.size", .hot = true, .type = OPTION_INT, .initial = "5", .min = 1, .max = 1000,
     .help = "How many events a batch holds at most"},
    {.key = "batch.age", .hot = true, .type = OPTION_DURATION, .initial = "200ms", .min = 1, .max = MINUTE,
     .help = "How long a batch waits for more events after its first"},
    {.key = "batch.window", .hot = true, .type = OPTION_INT, .initial = "2", .min = 1, .max = 64,
     .help = "How many worked batches a partition may have uncommitted"},
    {.key = "in_flight", .type = OPTION_INT, .initial = "64", .min = 1, .max = 4096,
     .help = "How many HTTP calls the process has open at a time"},

    {.key = "redis.url", .type = OPTION_TEXT, .initial = "redis://localhost:6379/0",
     .help = "Where ledger and limits live: redis://host:port/db, rediss:// for TLS, or unix:///path"},
    {.key = "redis.prefix", .type = OPTION_TEXT, .initial = "sluice",
     .help = "What every key in Redis begins with"},
    {.key = "redis.username", .type = OPTION_TEXT, .help = "The user to log in as"},
    {.key = "redis.password", .type = OPTION_TEXT, .secret = true,
     .help = "The password; better in a file"},
    {.key = "redis.password_file", .type = OPTION_TEXT,
     .help = "The file that holds the password"},
    {.key = "redis.ca_file", .type = OPTION_TEXT,
     .help = "The certificate authorities a rediss:// server is checked against, PEM; left out: the system's"},
    {.key = "redis.cert_file", .type = OPTION_TEXT,
     .help = "The client certificate for a rediss:// server that asks for one, PEM, with its chain; needs key_file"},
    {.key = "redis.key_file", .type = OPTION_TEXT,
     .help = "Its private key, PEM, without a passphrase"},
    {.key = "redis.timeout", .type = OPTION_DURATION, .initial = "2s", .min = 50, .max = 30 * SECOND,
     .help = "How long one round trip may take"},
    {.key = "redis.allow_eviction", .type = OPTION_BOOL, .initial = "false",
     .help = "Run also on a Redis that may evict keys, and so forget limits and triggers"},

    {.key = "ledger.done_ttl", .type = OPTION_DURATION, .initial = "7d", .min = MINUTE, .max = 365 * DAY,
     .help = "How long a trigger is remembered, so that the same event again is a duplicate"},
    {.key = "retry.delays", .type = OPTION_DURATION, .list = true, .initial = "[30s, 5m, 30m]",
     .min = SECOND, .max = DAY,
     .help = "The waits of the retry topics, in ascending order; the last one repeats"},
    {.key = "revoke.drain", .type = OPTION_DURATION, .initial = "5s", .min = 100, .max = 2 * MINUTE,
     .help = "How long open calls may end when the group takes a partition away"},
    {.key = "stop.drain", .hot = true, .type = OPTION_DURATION, .initial = "10s", .min = 100, .max = HOUR,
     .help = "How long open calls may end at a stop"},
    {.key = "stop.grace", .hot = true, .type = OPTION_DURATION, .initial = "25s", .min = SECOND, .max = 2 * HOUR,
     .help = "When the process is gone after SIGTERM, whatever happens"},
    {.key = "watchdog.progress", .type = OPTION_DURATION, .initial = "60s", .min = SECOND, .max = HOUR,
     .help = "How long nothing may move although everything answers, before the process ends with 70"},

    {.key = "limits.*.rate", .hot = true, .type = OPTION_RATE, .required = true,
     .help = "Calls the downstream takes, over the whole fleet"},
    {.key = "limits.*.burst", .hot = true, .type = OPTION_NUMBER, .min = 1, .max = 1000000,
     .help = "Calls at once after a silence; left out: one second of the rate, at least 1"},

    {.key = "targets.*.match", .hot = true, .type = OPTION_GLOBS,
     .help = "Which events: globs on app, repo, branch, pipeline, env, type, source or a JSON pointer;"
             " all must match"},
    {.key = "targets.*.kind", .hot = true, .type = OPTION_CHOICE, .initial = "http",
     .help = "What is called: its requests, where the idempotency key goes, what its answers mean;"
             " sluice-consumer config init --target KIND shows one",
     .choices =
#include "target/kind_choices.inc"
    },
    {.key = "targets.*.method", .hot = true, .type = OPTION_CHOICE, .choices = "POST|PUT|PATCH|GET|DELETE", .initial = "POST",
     .help = "The HTTP method"},
    {.key = "targets.*.url", .hot = true, .type = OPTION_TEXT, .required = true,
     .help = "Where to call; ${event.x}, ${trigger.key} and ${secret.x} in path and query only;"
             " without a path: the one of its kind"},
    {.key = "targets.*.token", .hot = true, .type = OPTION_TEXT,
     .help = "The name of the secret that its kind shows: as Authorization: Bearer, as user:token for Basic,"
             " or where that kind wants it"},
    {.key = "targets.*.headers", .hot = true, .type = OPTION_MAP,
     .help = "HTTP headers; values may hold ${event.x}, ${trigger.key} and ${secret.x}"},
    {.key = "targets.*.body", .hot = true, .type = OPTION_TREE,
     .help = "A tree that is sent as JSON, or as a form where its kind wants one, its texts filled in;"
             " left out: its kind's, or the event itself; none: no body"},
    {.key = "targets.*.limits", .hot = true, .type = OPTION_TEXT, .list = true,
     .help = "The limits each call takes from; left out: one of its own, as its kind takes it; []: none"},
    {.key = "targets.*.concurrency", .hot = true, .type = OPTION_INT, .min = 1, .max = 4096,
     .help = "Calls of one process open at a time; left out: as its kind takes it, at most half of in_flight"},
    {.key = "targets.*.timeout", .hot = true, .type = OPTION_DURATION, .initial = "5s", .min = 10, .max = 10 * MINUTE,
     .help = "How long one call may take"},
    {.key = "targets.*.connect_timeout", .hot = true, .type = OPTION_DURATION, .initial = "3s", .min = 10, .max = 10 * MINUTE,
     .help = "How much of it resolving, connecting and TLS may take"},
    {.key = "targets.*.retry.hold", .hot = true, .type = OPTION_DURATION, .initial = "10s", .min = 0, .max = 10 * MINUTE,
     .help = "How long retries may hold the batch; then the unit goes to the retry topics"},
    {.key = "targets.*.retry.backoff", .hot = true, .type = OPTION_SPAN, .initial = "200ms..5s", .min = 1, .max = HOUR,
     .help = "The wait before the first and, doubling, the longest one of retries within the hold"},
    {.key = "targets.*.retry.budget", .hot = true, .type = OPTION_DURATION, .initial = "2h", .min = SECOND, .max = 30 * DAY,
     .help = "How long a unit is retried over all; then it goes to the dead-letter topic"},
    {.key = "targets.*.retry.after_cap", .hot = true, .type = OPTION_DURATION, .initial = "10m", .min = SECOND, .max = DAY,
     .help = "The longest Retry-After that is believed"},
    {.key = "targets.*.on_uncertain", .hot = true, .type = OPTION_CHOICE, .choices = "retry|dead", .initial = "retry",
     .help = "When a call was sent and no answer came: call again, or dead-letter it"},
    {.key = "targets.*.order", .hot = true, .type = OPTION_CHOICE, .choices = "key|none", .initial = "key",
     .help = "Units with the same key one after the other, or all at once"},
    {.key = "targets.*.public_only", .hot = true, .type = OPTION_BOOL, .initial = "false",
     .help = "Refuse private and loopback addresses"},
    {.key = "targets.*.on_redis_loss", .hot = true, .type = OPTION_CHOICE, .choices = "hold|send", .initial = "hold",
     .help = "Without Redis: wait, or send without limit and ledger"},
    {.key = "targets.*.sign", .hot = true, .type = OPTION_CHOICE, .choices = "none|standard-webhooks|hmac-sha256",
     .help = "Sign each request; needs sign_secret; left out: as its kind does, mostly none"},
    {.key = "targets.*.sign_secret", .hot = true, .type = OPTION_TEXT,
     .help = "The name of the secret that signs: whsec_... for standard-webhooks, any text for hmac-sha256"},
    {.key = "targets.*.gate.hibernating", .hot = true, .type = OPTION_CHOICE, .choices = "send|hold|wake|skip", .initial = "send",
     .help = "When the application sleeps (its workloads hibernated in a cluster): call anyway, wait until it is awake, wake it first, or do not call; all but send ask the cluster before each trigger"},
    {.key = "targets.*.gate.cluster", .hot = true, .type = OPTION_TEXT,
     .help = "The cluster of `clusters` to ask; left out: the only one there is"},
    {.key = "targets.*.gate.namespace", .hot = true, .type = OPTION_TEXT,
     .help = "The application's namespace; may hold ${event.x}; needed unless hibernating is send"},
    {.key = "targets.*.gate.selector", .hot = true, .type = OPTION_TEXT, .initial = "app.kubernetes.io/instance=${event.app}",
     .help = "The labels its workloads have; may hold ${event.x}"},
    {.key = "targets.*.gate.kinds", .hot = true, .type = OPTION_TEXT, .list = true,
     .initial = "[apps/v1/Deployment, apps/v1/StatefulSet, apps/v1/ReplicaSet, argoproj.io/v1alpha1/Rollout]",
     .help = "The kinds of workloads that are looked at; one the cluster does not have is left out"},
    {.key = "targets.*.gate.unknown", .hot = true, .type = OPTION_CHOICE, .choices = "hold|send", .initial = "hold",
     .help = "When the cluster cannot say whether it sleeps: wait, or call"},

    {.key = "secrets.*.file", .hot = true, .type = OPTION_TEXT, .help = "The file that holds the secret"},
    {.key = "secrets.*.env", .hot = true, .type = OPTION_TEXT,
     .help = "The environment variable that holds the secret"},

    {.key = "clusters.*.kubeconfig", .hot = true, .type = OPTION_TEXT,
     .help = "The file that says how this Kubernetes cluster is reached; paths in it are relative to it"},
    {.key = "clusters.*.context", .hot = true, .type = OPTION_TEXT,
     .help = "The context of the kubeconfig to take; left out: its current-context"},
    {.key = "clusters.*.in_cluster", .hot = true, .type = OPTION_BOOL, .initial = "false",
     .help = "It is the cluster this runs in: use the pod's service account"},
    {.key = "clusters.*.virtual", .hot = true, .type = OPTION_BOOL, .initial = "false",
     .help = "It has no API server that could be reached: nobody dials it"},
    {.key = "clusters.*.rate", .hot = true, .type = OPTION_RATE, .initial = "50/s",
     .help = "Requests this process makes to its API server"},
    {.key = "clusters.*.burst", .hot = true, .type = OPTION_NUMBER, .initial = "100", .min = 1, .max = 1000000,
     .help = "Requests at once after a silence"},
    {.key = "clusters.*.concurrency", .hot = true, .type = OPTION_INT, .initial = "10", .min = 1, .max = 64,
     .help = "Requests under way at a time"},
    {.key = "cluster_check.every", .hot = true, .type = OPTION_DURATION, .initial = "1m", .min = SECOND, .max = DAY,
     .help = "How often a consumer looks whether its clusters answer"},
    {.key = "cluster_check.timeout", .hot = true, .type = OPTION_DURATION, .initial = "5s", .min = 10, .max = MINUTE,
     .help = "How long one cluster may take to answer"},
    {.key = "cluster_check.width", .hot = true, .type = OPTION_INT, .initial = "16", .min = 1, .max = 256,
     .help = "How many clusters are asked at a time"},

    {.key = "roles.*.allow", .hot = true, .type = OPTION_TEXT, .list = true, .required = true,
     .help = "What who has this role may do, ACTION RESOURCE each: \"read apps/payments-*\", \"pause targets/*\", \"* *\""},
    {.key = "tokens.*.secret", .hot = true, .type = OPTION_TEXT, .required = true,
     .help = "The name of the secret that holds the token's text; with any token, /api/v1/ answers only who sends one"},
    {.key = "tokens.*.roles", .hot = true, .type = OPTION_TEXT, .list = true, .required = true,
     .help = "The roles of `roles` it has"},
    {.key = "access.parts", .hot = true, .type = OPTION_INT, .initial = "4", .min = 1, .max = 64,
     .help = "In how many parts, side by side, a list is asked about what its reader may see"},

    {.key = "history.events", .type = OPTION_INT, .initial = "10000", .min = 0, .max = 1000000,
     .help = "How many events' stories are kept in Redis for `trace`; 0: none, and no live view"},
    {.key = "history.ttl", .type = OPTION_DURATION, .initial = "24h", .min = MINUTE, .max = 30 * DAY,
     .help = "How long a story is kept"},

    {.key = "workflow.timeout", .type = OPTION_DURATION, .initial = "5s", .min = 50, .max = 8 * SECOND,
     .help = "How long a workflow's status may take to put together; what has not come by then is a timeout"},
    {.key = "workflow.ci.url", .type = OPTION_TEXT,
     .help = "Where the CI system is asked how a run stands (GET); ${event.x} and ${secret.x} in path and query"
             " only; left out: it is not asked"},
    {.key = "workflow.ci.headers", .type = OPTION_MAP,
     .help = "HTTP headers of that query; values may hold ${event.x} and ${secret.x}"},
    {.key = "workflow.ci.status", .type = OPTION_TEXT,
     .help = "Where in its answer the status stands: a JSON pointer such as /status; left out: only whether it answers"},

    {.key = "http.listen", .type = OPTION_TEXT, .initial = "127.0.0.1:9464",
     .help = "Where health and metrics are served; off: nowhere"},
    {.key = "http.ca_file", .type = OPTION_TEXT,
     .help = "The certificate authorities targets are checked against; left out: the system's"},
    {.key = "console.listen", .type = OPTION_TEXT, .initial = "127.0.0.1:8080",
     .help = "Where `sluice-consumer console` serves its page"},
    {.key = "console.read_only", .type = OPTION_BOOL, .initial = "true",
     .help = "The console only shows; false: it also acts, for who has the token"},
    {.key = "console.token_file", .type = OPTION_TEXT,
     .help = "The file that holds the token which actions on the console need"},
    {.key = "log.level", .hot = true, .type = OPTION_CHOICE, .choices = "debug|info|warn|error", .initial = "info",
     .help = "What is logged"},
    {.key = "log.format", .type = OPTION_CHOICE, .choices = "auto|text|json|logfmt|ecs", .initial = "auto",
     .help = "How; auto: text on a terminal, else JSON lines; ecs: JSON for the Elastic Common Schema"},
};
/* clang-format on */
const size_t config_option_count = sizeof config_options / sizeof config_options[0];

const struct option *config_option(const char *pattern)
{
    for (size_t i = 0; i < config_option_count; i++) {
        if (strcmp(config_options[i].key, pattern) == 0) {
            return &config_options[i];
        }
    }
    err_bug(__FILE__, __LINE__, pattern);
}

size_t config_help(const char *prefix, struct str *out)
{
    size_t n = 0;
    for (size_t i = 0; i < config_option_count; i++) {
        if (text_starts(config_options[i].key, prefix)) {
            str_add(out, n > 0 ? "\n" : "");
            option_help(&config_options[i], out);
            n++;
        }
    }
    return n;
}
