/* sluice-producer simulate: a load of made-up events, on time. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/now.h"
#include "cluster.h"
#include "commands.h"
#include "dice.h"
#include "flags.h"
#include "generator.h"
#include "latency.h"
#include "wire/crypto.h"

const struct flag simulate_flags[] = {
    {"rate", 0, "N/s",
     "Events a second, or 600/m (20/s; with --count: as fast as it goes)"},
    {"apps", 0, "N", "How many apps they are of (40)"},
    {"for", 0, "TIME", "How long (until interrupted)"},
    {"count", 'n', "N", "How many events (no end)"},
    {"bad", 0, "SHARE", "Broken events of all kinds: 1% or 0.01"},
    {"burst", 0, NULL, "Send what is due in 5 s at once"},
    {"seed", 0, "N", "The same events again, with the same --run-id"},
    {"run-id", 0, "TEXT", "Part of each id (random)"},
    {"format", 0, "FORMAT", "sluice, cdevents, cloudevents or devtron (sluice)"},
    {"timeout", 0, "TIME", "How long to wait for an acknowledgement (30s)"},
    {"json", 0, NULL, "The summary as JSON"},
    {"quiet", 'q', NULL, "No progress"},
    CLUSTER_FLAGS,
    {.name = NULL},
};

enum {
    BURST_S = 5,
    PAUSE_MS = 20, /* when the producer's buffer is full */
    PROGRESS_TTY_MS = 250,
    PROGRESS_MS = 5000,
    LATE_MS = 1000,
};

struct simulation {
    const struct command_line *line;
    struct cluster cluster;
    struct generator generator;
    char run[16];
    double rate; /* a second; 0: as fast as it goes */
    double bad;
    int64_t count;  /* 0: no end */
    int64_t for_ms; /* 0: no end */
    bool quiet;
    bool burst;
    bool is_tty;
    sigset_t signals;

    struct kafka_producer *producer;
    int64_t start_ms;
    int64_t progress_ms; /* when the next one is due */
    uint64_t sent;
    uint64_t broken;
    atomic_ullong acked;
    atomic_ullong failed;
    struct latency latency;       /* producer's thread, read when all has ended */
    atomic_int first_rc;          /* of the first that failed */
    char first_why[ERR_TEXT_MAX]; /* written by whoever set first_rc, read when all has
                                     ended */
};

/* --- reading --- */

static int read_share(const struct command_line *line, const char *name, double *share)
{
    const char *text = flag_value(line, name);
    if (text && dice_read_share(text, share) != 0) {
        return command_misused(line, "--%s \"%.40s\": expected a share such as 1%%", name,
                               text);
    }
    return 0;
}

static int read_format(const struct command_line *line, enum format *format)
{
    const char *text = flag_value(line, "format");
    int found = format_find(text ? text : "sluice");
    if (found < 0) {
        return command_misused(
            line, "--format \"%.40s\": expected sluice, cdevents, cloudevents or devtron",
            text);
    }
    *format = (enum format)found;
    return 0;
}

static void read_run(struct simulation *sim, bool seeded, int64_t seed)
{
    const char *run = flag_value(sim->line, "run-id");
    sim->generator.seed = seeded ? (uint64_t)seed : crypto_random_u64() % 1000000;
    snprintf(sim->run, sizeof sim->run, "%06llx",
             (unsigned long long)(crypto_random_u64() & 0xffffff));
    sim->generator.run = run ? run : sim->run;
}

static int read_options(const struct command_line *line, struct simulation *sim)
{
    static const struct option rows[] = {
        {.key = "rate", .type = OPTION_RATE, .initial = "20/s"},
        {.key = "apps", .type = OPTION_INT, .initial = "40", .min = 1, .max = 1000000},
        {.key = "for", .type = OPTION_DURATION, .min = 1, .max = INT64_MAX},
        {.key = "count", .type = OPTION_INT, .min = 1, .max = 1000000000},
        {.key = "seed", .type = OPTION_INT, .min = 0, .max = INT64_MAX},
    };
    struct option_value values[5];
    sim->line = line;
    sim->quiet = flag_is_set(line, "quiet");
    sim->burst = flag_is_set(line, "burst");
    sim->is_tty = isatty(STDERR_FILENO) == 1;
    int rc = cluster_read(line, &sim->cluster);
    for (size_t i = 0; i < 5 && rc == 0; i++) {
        rc = flags_read(line, &rows[i], &values[i]);
    }
    rc = rc ? rc : read_share(line, "bad", &sim->generator.bad);
    rc = rc ? rc : read_format(line, &sim->generator.format);
    if (rc != 0) {
        return rc;
    }
    bool as_fast = flag_is_set(line, "count") && !flag_is_set(line, "rate");
    sim->rate = as_fast ? 0 : values[0].real;
    sim->generator.apps = (uint64_t)values[1].number;
    sim->for_ms = values[2].number;
    sim->count = values[3].number;
    read_run(sim, flag_is_set(line, "seed"), values[4].number);
    return 0;
}

/* --- telling --- */

static void say_progress(struct simulation *sim, bool last)
{
    int64_t now = now_ms();
    if (sim->quiet || (now < sim->progress_ms && !last)) {
        return;
    }
    double seconds = (double)(now - sim->start_ms) / 1000;
    sim->progress_ms = now + (sim->is_tty ? PROGRESS_TTY_MS : PROGRESS_MS);
    fprintf(stderr, "%s%llu published, %llu acknowledged, %llu failed, %.1f/s%s",
            sim->is_tty ? "\r" : "", (unsigned long long)sim->sent,
            (unsigned long long)atomic_load(&sim->acked),
            (unsigned long long)atomic_load(&sim->failed),
            seconds > 0 ? (double)sim->sent / seconds : 0.0,
            sim->is_tty && !last ? "   " : "\n");
}

static void say_summary(struct simulation *sim)
{
    double seconds = (double)(now_ms() - sim->start_ms) / 1000;
    unsigned long long acked = atomic_load(&sim->acked);
    unsigned long long failed = atomic_load(&sim->failed);
    double rate = seconds > 0 ? (double)sim->sent / seconds : 0;
    long long p50 = latency_quantile(&sim->latency, 0.5);
    long long p95 = latency_quantile(&sim->latency, 0.95);
    long long p99 = latency_quantile(&sim->latency, 0.99);
    if (flag_is_set(sim->line, "json")) {
        printf("{\"topic\":\"%s\",\"published\":%llu,\"acked\":%llu,\"failed\":%llu,"
               "\"bad\":%llu,\"seconds\":%.3f,\"rate\":%.3f,\"ack_p50_ms\":%lld,"
               "\"ack_p95_ms\":%lld,\"ack_p99_ms\":%lld,\"seed\":%llu,"
               "\"run_id\":\"%s\"}\n",
               sim->cluster.topic, (unsigned long long)sim->sent, acked, failed,
               (unsigned long long)sim->broken, seconds, rate, p50, p95, p99,
               (unsigned long long)sim->generator.seed, sim->generator.run);
        return;
    }
    printf("published %llu · acknowledged %llu · failed %llu · broken on purpose %llu · "
           "%.1f/s over %.1f s\n"
           "acknowledged after: p50 %lld ms · p95 %lld ms · p99 %lld ms\n"
           "the same again: --seed %llu --run-id %s\n",
           (unsigned long long)sim->sent, acked, failed, (unsigned long long)sim->broken,
           rate, seconds, p50, p95, p99, (unsigned long long)sim->generator.seed,
           sim->generator.run);
}

/* --- sending --- */

/* Wait until then or for a signal to stop. Returns false at the signal. */
static bool wait_until(struct simulation *sim, int64_t until_ms)
{
    int64_t left_ms = until_ms - now_ms();
    struct timespec left = {0};
    if (left_ms > 0) {
        left.tv_sec = left_ms / 1000;
        left.tv_nsec = left_ms % 1000 * 1000000;
    }
    return sigtimedwait(&sim->signals, NULL, &left) < 0;
}

/* A record on its way. */
struct ticket {
    struct simulation *sim;
    int64_t sent_ms;
};

static void note_failure(struct simulation *sim, int rc, const char *why)
{
    int none = 0;
    if (atomic_compare_exchange_strong(&sim->first_rc, &none, rc)) {
        snprintf(sim->first_why, sizeof sim->first_why, "%s", why);
    }
    atomic_fetch_add(&sim->failed, 1);
}

static void on_sent(void *arg, int rc, int partition, int64_t offset, const char *why)
{
    (void)partition;
    (void)offset;
    struct ticket *ticket = arg;
    struct simulation *sim = ticket->sim;
    if (rc == 0) {
        atomic_fetch_add(&sim->acked, 1);
        latency_add(&sim->latency, now_ms() - ticket->sent_ms);
    } else {
        note_failure(sim, rc, why);
    }
    free(ticket);
}

/* Returns false when it is time to stop. */
static bool send_one(struct simulation *sim)
{
    struct record record;
    enum generator_bad kind;
    record_init(&record);
    sim->broken +=
        generator_make(&sim->generator, sim->sent, now_wall_ms(), &record, &kind);
    const struct kafka_message message = record_message(&record, sim->cluster.topic);
    struct err err = ERR_INIT;
    struct ticket *ticket = mem_alloc(sizeof *ticket);
    *ticket = (struct ticket){sim, now_ms()};
    int rc = kafka_send(sim->producer, &message, on_sent, ticket, &err);
    bool go_on = true;
    while (rc == -EAGAIN && go_on) {
        go_on = wait_until(sim, now_ms() + PAUSE_MS);
        ticket->sent_ms = now_ms();
        rc = kafka_send(sim->producer, &message, on_sent, ticket, &err);
    }
    sim->sent++;
    if (rc != 0) {
        note_failure(sim, rc, err.text);
        free(ticket);
    }
    record_release(&record);
    return go_on;
}

/* When the n-th event is due. */
static int64_t due_ms(const struct simulation *sim, uint64_t n)
{
    if (sim->rate <= 0) {
        return sim->start_ms;
    }
    double seconds = (double)n / sim->rate;
    if (sim->burst) {
        seconds = (double)(int64_t)(seconds / BURST_S) * BURST_S;
    }
    return sim->start_ms + (int64_t)(seconds * 1000);
}

/* Nothing arrives and nothing did: going on would only fill the buffer. */
static bool is_hopeless(struct simulation *sim)
{
    return atomic_load(&sim->failed) > 0 && atomic_load(&sim->acked) == 0;
}

/* With a rate the last event due ends it, so that the count is exact; but a producer that
 * cannot keep up does not go on for ever. */
static bool is_over(const struct simulation *sim)
{
    int64_t late_ms = sim->rate > 0 ? LATE_MS : 0;
    return sim->for_ms > 0 && now_ms() - sim->start_ms >= sim->for_ms + late_ms;
}

static void run(struct simulation *sim)
{
    bool go_on = true;
    while (go_on && (sim->count == 0 || sim->sent < (uint64_t)sim->count) &&
           !is_hopeless(sim)) {
        int64_t due = due_ms(sim, sim->sent);
        if (sim->for_ms > 0 && due - sim->start_ms >= sim->for_ms) {
            break;
        }
        while (go_on && now_ms() < due) {
            say_progress(sim, false);
            int64_t until = due < sim->progress_ms || sim->quiet ? due : sim->progress_ms;
            go_on = wait_until(sim, until);
        }
        if (go_on) {
            go_on = send_one(sim);
        }
        say_progress(sim, false);
        go_on = go_on && !is_over(sim) &&
                wait_until(sim, 0); /* a signal that came meanwhile */
    }
}

static int start(struct simulation *sim)
{
    struct err err = ERR_INIT;
    sigemptyset(&sim->signals);
    sigaddset(&sim->signals, SIGINT);
    sigaddset(&sim->signals, SIGTERM);
    MUST(pthread_sigmask(SIG_BLOCK, &sim->signals, NULL)); /* before the first thread */
    sim->producer = cluster_producer(&sim->cluster, &err);
    return sim->producer ? 0 : command_misused(sim->line, "%s", err.text);
}

int simulate_run(const struct command_line *line)
{
    struct simulation sim = {0};
    int rc = read_options(line, &sim);
    rc = rc ? rc : start(&sim);
    if (rc != 0) {
        cluster_release(&sim.cluster);
        return rc;
    }
    sim.start_ms = now_ms();
    sim.progress_ms = sim.start_ms + (sim.is_tty ? PROGRESS_TTY_MS : PROGRESS_MS);
    run(&sim);
    /* the records' own timeout comes first */
    kafka_producer_stop(sim.producer, now_ms() + sim.cluster.timeout_ms + 1000);
    say_progress(&sim, true);
    say_summary(&sim);
    int first = atomic_load(&sim.first_rc);
    if (first != 0) {
        char why[ERR_TEXT_MAX + 64];
        snprintf(why, sizeof why, "%llu of %llu events were not acknowledged: %s",
                 (unsigned long long)atomic_load(&sim.failed),
                 (unsigned long long)sim.sent, sim.first_why);
        rc = cluster_complain(&sim.cluster, first, why);
    }
    cluster_release(&sim.cluster);
    return rc;
}
