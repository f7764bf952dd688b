/* The demo's parts: which programs, with which words, and the configuration they read. */
#include "demo.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "demo_calls.h"

extern char **environ;

enum { ENV_MAX = 4096, TEXT_MAX = 64 };

const char *const demo_tiers[] = {"1s", "3s", "10s"};

/* --- programs and places --- */

static bool find_on_path(const char *name, char path[PATH_MAX])
{
    const char *dir = getenv("PATH");
    dir = dir ? dir : "/usr/bin:/bin";
    while (*dir != '\0') {
        size_t len = strcspn(dir, ":");
        int n = snprintf(path, PATH_MAX, "%.*s/%s", (int)len, dir, name);
        if (len > 0 && n < PATH_MAX && access(path, X_OK) == 0) {
            return true;
        }
        dir += len;
        dir += *dir == ':';
    }
    return false;
}

static int find_producer(struct demo *d)
{
    ssize_t n = readlink("/proc/self/exe", d->self, sizeof d->self - 1);
    d->self[n > 0 ? n : 0] = '\0';
    const char *slash = strrchr(d->self, '/');
    int len = slash ? (int)(slash - d->self) : 0;
    n = snprintf(d->producer, sizeof d->producer, "%.*s/sluice-producer", len, d->self);
    if (n < (ssize_t)sizeof d->producer && access(d->producer, X_OK) == 0) {
        return 0;
    }
    fprintf(stderr,
            "%s: the demo needs sluice-producer beside it, there is none at %s; build "
            "both with: make\n",
            d->program, d->producer);
    return EXIT_UNAVAILABLE;
}

int demo_find_programs(struct demo *d)
{
    int code = find_producer(d);
    if (code) {
        return code;
    }
    if (find_on_path("redis-server", d->redis) ||
        find_on_path("valkey-server", d->redis)) {
        return 0;
    }
    fprintf(stderr,
            "%s: the demo needs a redis-server of its own and finds none on PATH; "
            "install it with: sudo apt-get install -y redis-server\n",
            d->program);
    return EXIT_UNAVAILABLE;
}

int demo_make_folder(struct demo *d)
{
    struct sockaddr_un address;
    const char *tmp = getenv("TMPDIR");
    bool fits = tmp && tmp[0] == '/' && strlen(tmp) < sizeof address.sun_path - 40;
    snprintf(d->folder, sizeof d->folder, "%s/sluice-demo-XXXXXX", fits ? tmp : "/tmp");
    if (!mkdtemp(d->folder)) {
        fprintf(stderr, "%s: no temporary folder %s: %s\n", d->program, d->folder,
                strerror(errno));
        d->folder[0] = '\0';
        return EXIT_CANT_CREATE;
    }
    snprintf(d->config_path, sizeof d->config_path, "%s/sluice.yaml", d->folder);
    snprintf(d->calls_path, sizeof d->calls_path, "%s/calls.jsonl", d->folder);
    snprintf(d->socket_path, sizeof d->socket_path, "%s/redis.sock", d->folder);
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind,
                      struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    (void)remove(path);
    return 0;
}

void demo_remove_folder(struct demo *d)
{
    if (d->folder[0] != '\0') {
        nftw(d->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    }
}

/* --- starting --- */

/* Our environment without settings of Sluice's that are meant for other workers, and with
 * `more`. Returns owned; the texts are borrowed. */
static char **make_env(char *const more[])
{
    char **env = mem_array(ENV_MAX, sizeof *env);
    size_t n = 0;
    for (char **e = environ; *e && n < ENV_MAX - 8; e++) {
        if (!text_starts(*e, "SLUICE_")) {
            env[n++] = *e;
        }
    }
    for (size_t i = 0; more && more[i]; i++) {
        env[n++] = more[i];
    }
    return env;
}

static struct child *start(struct demo *d, const char *name, const char *const argv[],
                           char *const more[])
{
    struct err err = ERR_INIT;
    char **env = make_env(more);
    struct child *child =
        children_start(&d->children, name, (char *const *)argv, env, &err);
    free(env);
    if (!child) {
        fprintf(stderr, "%s: %s\n", d->program, err.text);
    }
    return child;
}

static void add_topic(struct books *books, const char *name, int partitions, bool source)
{
    struct books_topic *topic = &books->topics[books->topic_count++];
    snprintf(topic->name, sizeof topic->name, "%s", name);
    topic->partitions = partitions;
    topic->source = source;
}

int demo_start_broker(struct demo *d)
{
    char words[DEMO_TIERS + 2][TEXT_MAX];
    char name[TEXT_MAX];
    const char *argv[DEMO_TIERS + 5] = {d->self, "demo-broker"};
    add_topic(&d->books, DEMO_TOPIC, DEMO_SOURCE_PARTITIONS, true);
    snprintf(words[0], TEXT_MAX, "%s:%d", DEMO_TOPIC, DEMO_SOURCE_PARTITIONS);
    snprintf(words[1], TEXT_MAX, "%s.%s.dlq:%d", DEMO_TOPIC, DEMO_GROUP,
             DEMO_SIDE_PARTITIONS);
    for (int i = 0; i < DEMO_TIERS; i++) {
        snprintf(name, sizeof name, "%s.%s.retry.%s", DEMO_TOPIC, DEMO_GROUP,
                 demo_tiers[i]);
        snprintf(words[i + 2], TEXT_MAX, "%.50s:%d", name, DEMO_SIDE_PARTITIONS);
        add_topic(&d->books, name, DEMO_SIDE_PARTITIONS, false);
    }
    for (int i = 0; i < DEMO_TIERS + 2; i++) {
        argv[i + 2] = words[i];
    }
    d->broker = start(d, "Kafka", argv, NULL);
    return d->broker ? 0 : EXIT_UNAVAILABLE;
}

int demo_start_redis(struct demo *d)
{
    const char *const argv[] = {d->redis,
                                "--port",
                                "0",
                                "--unixsocket",
                                d->socket_path,
                                "--unixsocketperm",
                                "700",
                                "--dir",
                                d->folder,
                                "--save",
                                "",
                                "--appendonly",
                                "no",
                                "--maxmemory-policy",
                                "noeviction",
                                "--daemonize",
                                "no",
                                NULL};
    d->redis_server = start(d, "Redis", argv, NULL);
    return d->redis_server ? 0 : EXIT_UNAVAILABLE;
}

bool demo_redis_answers(const struct demo *d)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%.*s", (int)sizeof to.sun_path - 1,
             d->socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    bool answers = connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
    close(fd);
    return answers;
}

int demo_start_target(struct demo *d)
{
    const char *const argv[] = {d->producer,      "mock-cd",
                                "--json",         "--latency",
                                d->flags.latency, "--fail",
                                d->flags.fail,    "--log",
                                d->calls_path,    "--log-header",
                                DEMO_TIME_HEADER, d->flags.seed ? "--seed" : NULL,
                                d->flags.seed,    NULL};
    d->target = start(d, "mock-cd", argv, NULL);
    return d->target ? 0 : EXIT_UNAVAILABLE;
}

/* --- the consumers and their configuration --- */

/* On the mock cluster a rebalance waits for the session timeout less one second, and new
 * records do not wake a fetch that waits: both are short here. */
static void write_config(const struct demo *d, struct str *out)
{
    double rate = ceil(2 * d->flags.rate_per_s);
    rate = rate < 50 ? 50 : rate;
    double batch = d->flags.rate_per_s / DEMO_SOURCE_PARTITIONS;
    batch = batch < 10 ? 10 : batch > 200 ? 200 : batch; /* one second's events */
    str_addf(out,
             "# Written by sluice-consumer demo, gone when it ends.\n"
             "kafka:\n"
             "  brokers: [\"%s\"]\n"
             "  topic: " DEMO_TOPIC "\n"
             "  group: " DEMO_GROUP "\n"
             "  start: earliest\n"
             "  properties:\n"
             "    session.timeout.ms: \"3000\"\n"
             "    heartbeat.interval.ms: \"500\"\n"
             "    fetch.wait.max.ms: \"20\"\n"
             "batch: {size: %.0f, age: 300ms}\n"
             "redis: {url: \"unix://%s\"}\n"
             "retry: {delays: [%s, %s, %s]}\n"
             "stop: {drain: 5s, grace: 20s}\n"
             "limits:\n"
             "  deploys: {rate: %.0f/s, burst: %.0f}\n"
             "targets:\n"
             "  " DEMO_TARGET ":\n"
             "    url: http://127.0.0.1:%d/apps/${event.app}/deploy\n"
             "    headers: {" DEMO_TIME_HEADER ": \"${event.time}\"}\n"
             "    limits: [deploys]\n"
             "    timeout: 3s\n"
             "    retry: {hold: 100ms, backoff: 200ms..1s, budget: 30s}\n",
             d->bootstrap, batch, d->socket_path, demo_tiers[0], demo_tiers[1],
             demo_tiers[2], rate, rate, d->target_port);
}

static int store_config(const struct demo *d)
{
    struct str text;
    str_init(&text);
    write_config(d, &text);
    FILE *file = fopen(d->config_path, "we");
    bool good = file && fwrite(text.data, 1, text.len, file) == text.len;
    good = file && fclose(file) == 0 && good;
    if (!good) {
        fprintf(stderr, "%s: %s: %s\n", d->program, d->config_path, strerror(errno));
    }
    str_release(&text);
    return good ? 0 : EXIT_CANT_CREATE;
}

int demo_start_consumers(struct demo *d)
{
    const char *const argv[] = {d->self, "run", "-c", d->config_path, NULL};
    int code = store_config(d);
    for (int i = 0; i < d->flags.consumers && code == 0; i++) {
        struct books_worker *worker = &d->books.workers[d->books.worker_count++];
        char client[TEXT_MAX];
        char listen[] = "SLUICE_HTTP_LISTEN=127.0.0.1:0";
        snprintf(worker->name, sizeof worker->name, "c-%d", i + 1);
        snprintf(client, sizeof client, "SLUICE_KAFKA_CLIENT_ID=%s", worker->name);
        char *const more[] = {client, listen, NULL};
        d->consumers[i].child = start(d, worker->name, argv, more);
        code = d->consumers[i].child ? 0 : EXIT_UNAVAILABLE;
    }
    return code;
}

int demo_start_console(struct demo *d)
{
    const char *const argv[] = {d->self, "console", "-c", d->config_path, NULL};
    d->console = start(d, "console", argv, NULL);
    return d->console ? 0 : EXIT_UNAVAILABLE;
}

/* --- the load --- */

int demo_start_load(struct demo *d)
{
    char apps[TEXT_MAX];
    snprintf(apps, sizeof apps, "%d", d->flags.apps);
    const char *argv[20] = {d->producer, "simulate", "--brokers", d->bootstrap,
                            "--topic",   DEMO_TOPIC, "--rate",    d->flags.rate,
                            "--apps",    apps,       "--json",    "--quiet"};
    size_t n = 12;
    if (d->flags.span) {
        argv[n++] = "--for";
        argv[n++] = d->flags.span;
    }
    if (d->flags.seed) {
        argv[n++] = "--seed";
        argv[n++] = d->flags.seed;
    }
    d->load = start(d, "simulate", argv, NULL);
    return d->load ? 0 : EXIT_UNAVAILABLE;
}
