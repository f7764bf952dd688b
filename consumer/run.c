#include "commands.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "admin.h"
#include "base/command.h"
#include "base/log.h"
#include "base/now.h"
#include "fleet/worker.h"
#include "notify.h"
#include "ops/heartbeat.h"
#include "ops/history.h"
#include "watchdog.h"

enum {
    TURN_MS = 200,
    BROKER_TRY_MS = 1000,
    GRACE_MARGIN_MS = 500, /* the process is gone that much before stop.grace */
};

/* The signals that end a worker: a terminal that hangs up is one. */
static sigset_t stop_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

/* Before any thread starts, so that every thread inherits it. The others would end the
 * worker without a drain. */
static void block_signals(void)
{
    sigset_t set = stop_signals();
    sigaddset(&set, SIGPIPE);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    MUST(pthread_sigmask(SIG_BLOCK, &set, NULL));
}

/* Wait at most ms for a signal to stop. Returns its number or 0. */
static int stop_signal(int64_t ms)
{
    sigset_t set = stop_signals();
    struct timespec wait = {.tv_sec = (time_t)(ms / 1000),
                            .tv_nsec = (long)(ms % 1000) * 1000000};
    int number = sigtimedwait(&set, NULL, &wait);
    return number > 0 ? number : 0;
}

/* Secrets are in memory: no core file, no ptrace by others. */
static void close_memory(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static int refused(const struct err *err, int code)
{
    LOG(LOG_ERROR, "cannot go on", LS("why", err->text), LI("exit_code", code), LEND);
    return code;
}

static int code_for(int rc)
{
    return rc == -EACCES                    ? EXIT_REFUSED
           : rc == -ENOENT || rc == -EINVAL ? EXIT_CONFIG
                                            : EXIT_UNAVAILABLE;
}

/* Ask for the topics until a broker answers. Returns 0, an exit code, or -1 after a
 * signal. */
static int wait_for_broker(const struct config *config, struct worker *worker)
{
    int code = 0;
    for (;;) {
        struct err err = ERR_INIT;
        int rc = worker_find_topics(worker, now_ms() + BROKER_TRY_MS, &err);
        if (rc == 0) {
            return 0;
        }
        if (rc != -ETIMEDOUT && rc != -EIO) {
            return refused(&err, code_for(rc));
        }
        LOG(LOG_WARN, "waiting for Kafka", LS("brokers", config->kafka.brokers),
            LS("why", err.text), LEND);
        code = worker_check(worker, &err);
        if (code) {
            return refused(&err, code);
        }
        if (stop_signal(TURN_MS)) {
            return -1;
        }
    }
}

static int check_memory(const struct worker *worker)
{
    uint64_t bound;
    uint64_t limit;
    worker_memory(worker, &bound, &limit);
    LOG(LOG_INFO, "memory bound", LI("at_most_mib", bound >> 20),
        LI("limit_mib", limit >> 20), LEND);
    if (limit && bound > limit) {
        struct err err = ERR_INIT;
        err_set(&err, -EINVAL,
                "this worker may need %llu MiB, its memory limit is %llu MiB: raise the "
                "limit, or lower "
                "kafka.prefetch, batch.size or in_flight",
                (unsigned long long)(bound >> 20), (unsigned long long)(limit >> 20));
        return refused(&err, EXIT_CONFIG);
    }
    return 0;
}

/* Returns 0 after a signal, else the exit code that was the reason to stop. */
static int look_after(struct worker *worker)
{
    for (;;) {
        struct err err = ERR_INIT;
        int code = worker_check(worker, &err);
        if (code) {
            return refused(&err, code);
        }
        int number = stop_signal(TURN_MS);
        if (number) {
            LOG(LOG_INFO, "stopping", LI("signal", number), LEND);
            return 0;
        }
    }
}

/* Join and work. Returns as look_after. */
static int work(const struct config *config, struct worker *worker, struct admin *admin)
{
    struct err err = ERR_INIT;
    int code = wait_for_broker(config, worker);
    if (code) {
        return code < 0 ? 0 : code;
    }
    code = check_memory(worker);
    if (code) {
        return code;
    }
    if (worker_join(worker, &err)) {
        return refused(&err, EXIT_CONFIG);
    }
    admin_watch(admin, worker, ADMIN_RUNNING);
    LOG(LOG_INFO, "running", LS("topic", config->kafka.topic),
        LS("group", config->kafka.group), LI("targets", config->target_count),
        LI("batch", config->batch.size), LEND);
    return look_after(worker);
}

/* It goes on while the worker drains. */
static void end_heartbeat(void *arg)
{
    heartbeat_stop(arg);
}

static int run(struct config *config, struct metrics *metrics, struct admin *admin,
               struct watchdog *dog, struct notify *notify)
{
    struct err err = ERR_INIT;
    struct worker *worker = worker_new(config, metrics, &err);
    if (!worker) {
        return refused(&err, EXIT_CONFIG);
    }
    struct history *history = history_new(config, worker_redis(worker), metrics);
    if (history) {
        worker_observe(worker, history_settled, history);
    }
    admin_watch(admin, worker, ADMIN_STARTING);
    watchdog_watch(dog, worker);
    notify_ready(notify);
    struct heartbeat *heartbeat =
        heartbeat_start(worker, config, SLUICE_VERSION, version_revision());
    worker_on_release(worker, end_heartbeat, heartbeat);
    int reason = work(config, worker, admin);
    admin_watch(admin, NULL, ADMIN_DRAINING);
    watchdog_watch(dog, NULL);
    watchdog_bound_stop(dog, now_ms() + config->stop_grace_ms - GRACE_MARGIN_MS);
    int code = worker_stop(worker, config->stop_drain_ms);
    history_free(history);
    return reason ? reason : code;
}

static int run_worker(struct config *config)
{
    struct err err = ERR_INIT;
    close_memory();
    struct metrics *metrics = metrics_new();
    struct admin *admin = admin_start(config, metrics, &err);
    if (!admin) {
        metrics_free(metrics);
        return refused(&err, EXIT_UNAVAILABLE);
    }
    struct notify *notify = notify_open();
    struct watchdog *dog = watchdog_start(config->progress_ms, notify);
    int code = run(config, metrics, admin, dog, notify);
    admin_stop(admin);
    LOG(LOG_INFO, "stopped", LI("exit_code", code), LEND);
    log_flush_suppressed(true);
    watchdog_stop(dog);
    notify_close(notify);
    metrics_free(metrics);
    return code;
}

static void log_warnings(struct config_report *warnings)
{
    for (size_t i = 0; i < warnings->count; i++) {
        const struct config_issue *issue = &warnings->items[i];
        LOG(LOG_WARN, "configuration", LS("code", issue->code), LS("where", issue->where),
            LS("why", issue->text), LEND);
    }
    config_report_release(warnings);
}

int run_run(const struct command_line *line)
{
    int code;
    struct err err = ERR_INIT;
    struct config_report warnings;
    struct config *config = command_load_or_say(line, &warnings, &code);
    if (!config) {
        return code;
    }
    if (config_load_secrets(config, environ, &err)) {
        fprintf(stderr, "sluice-consumer: %s\n", err.text);
        config_report_release(&warnings);
        config_free(config);
        return EXIT_CONFIG;
    }
    block_signals();
    log_setup(config->log_level, config->log_format, config->kafka.client_id);
    log_warnings(&warnings);
    code = run_worker(config);
    config_free(config);
    return code;
}
