#include "../commands.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../clusters/gates.h"
#include "admin.h"
#include "base/command.h"
#include "base/log.h"
#include "base/now.h"
#include "dump.h"
#include "fleet/worker.h"
#include "notify.h"
#include "ops/audit.h"
#include "ops/control.h"
#include "ops/faults.h"
#include "ops/heartbeat.h"
#include "ops/history.h"
#include "reload.h"
#include "watchdog.h"

enum {
    TURN_MS = 200,
    BROKER_TRY_MS = 1000,
    ORDERS_MS = 1000,
    ORDERS_TURN_MS = 20,
    GRACE_MARGIN_MS = 500, /* the process is gone that much before stop.grace */
};

enum phase { WORKING, ENDING, DRAINED }; /* the last two by an operator's order */

struct run {
    const struct command_line *line;
    struct config *config; /* of the start: for what no reload changes */
    struct metrics *metrics;
    struct admin *admin;
    struct watchdog *dog;
    struct notify *notify;
    struct worker *worker;
    struct heartbeat *heartbeat;
    struct gates *gates;
    struct reload reload;
    struct control *control;
    int64_t reloaded; /* the last request to reload that was obeyed */
    bool drain;       /* an operator wants it out of the group */
    enum phase phase;
    int64_t drain_until_ms;
};

/* --- signals --- */

static sigset_t our_signals(void)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        sigaddset(&set, numbers[i]);
    }
    return set;
}

/* Before any thread starts, so that every thread inherits it. The others would end the
 * worker without a drain. */
static void block_signals(void)
{
    sigset_t set = our_signals();
    sigaddset(&set, SIGPIPE);
    MUST(pthread_sigmask(SIG_BLOCK, &set, NULL));
}

static void note_reload(struct run *run, const char *who, const char *why,
                        const char *outcome)
{
    struct str text;
    struct ops_place place = {.config = run->config, .redis = worker_redis(run->worker)};
    snprintf(place.who, sizeof place.who, "%s", who);
    str_init(&text);
    str_addf(&text, "%s: %s", run->config->kafka.client_id, outcome);
    audit_write(&place, &(struct audit){.kind = "reload",
                                        .what = run->config->kafka.client_id,
                                        .why = why,
                                        .text = text.data});
    str_release(&text);
}

/* outcome  appended. Returns whether it was taken. */
static bool reload(struct run *run, const char *who, const char *why, struct str *outcome)
{
    notify_reloading(run->notify);
    bool taken = reload_now(&run->reload, run->worker, outcome);
    if (taken) {
        heartbeat_config(run->heartbeat, run->reload.config);
        gates_config(run->gates, run->reload.config);
        admin_set(run->admin, run->reload.config);
    }
    notify_ready(run->notify);
    note_reload(run, who, why, outcome->data);
    return taken;
}

static void obey_reload(struct run *run, const struct control_orders *orders)
{
    struct str outcome;
    if (orders->reload <= run->reloaded) {
        return;
    }
    str_init(&outcome);
    bool taken = reload(run, orders->who, orders->why, &outcome);
    run->reloaded = orders->reload;
    control_reloaded(run->control, orders->reload, taken, outcome.data);
    str_release(&outcome);
}

/* What operators want of the whole fleet. Returns whether that is known. */
static bool obey_orders(struct run *run)
{
    struct control_orders orders;
    control_look(run->control, now_ms(), &orders);
    worker_pause(run->worker, orders.paused, orders.paused_count);
    obey_reload(run, &orders);
    run->drain = orders.drain;
    control_obeyed(run->control, orders.number);
    return orders.known;
}

/* More and more, down to debug, then errors alone, and round again. */
static void turn_log_level(void)
{
    enum log_level next =
        log_get_level() == LOG_DEBUG ? LOG_ERROR : (enum log_level)(log_get_level() - 1);
    log_set_level(LOG_INFO); /* so that it is said */
    LOG(LOG_INFO, "log level", LS("level", log_level_word(next)), LEND);
    log_set_level(next);
}

/* Wait at most ms for a signal and obey it. Returns its number when it is one to stop,
 * else 0. */
static int obey_signal(struct run *run, int64_t ms)
{
    struct str outcome;
    sigset_t set = our_signals();
    struct timespec wait = {.tv_sec = (time_t)(ms / 1000),
                            .tv_nsec = (long)(ms % 1000) * 1000000};
    int number = sigtimedwait(&set, NULL, &wait);
    switch (number) {
    case SIGTERM:
    case SIGINT:
        LOG(LOG_INFO, "stopping", LI("signal", number), LEND);
        return number;
    case SIGHUP:
        str_init(&outcome);
        reload(run, "SIGHUP", NULL, &outcome);
        str_release(&outcome);
        return 0;
    case SIGUSR1:
        dump_worker(run->worker);
        return 0;
    case SIGUSR2:
        turn_log_level();
        return 0;
    default:
        return 0;
    }
}

/* --- start --- */

/* Secrets are in memory: no core file, no ptrace by others. */
static void close_memory(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* fault  what `help` knows it by, or NULL. */
static int refused_for(const struct err *err, int code, const char *fault)
{
    if (!fault) {
        LOG(LOG_ERROR, "cannot go on", LS("why", err->text), LI("exit_code", code), LEND);
        return code;
    }
    char more[64];
    snprintf(more, sizeof more, "sluice-consumer help %s", fault);
    LOG(LOG_ERROR, "cannot go on", LS("why", err->text), LI("exit_code", code),
        LS("more", more), LEND);
    return code;
}

static int refused(const struct err *err, int code)
{
    return refused_for(err, code, NULL);
}

/* Of what worker_find_topics and worker_check say. */
static const char *fault_of(int rc)
{
    return rc == -ENOENT ? FAULT_NO_TOPIC : rc == -EPIPE ? FAULT_FENCED : NULL;
}

static int code_for(int rc)
{
    return rc == -EACCES                    ? EXIT_REFUSED
           : rc == -ENOENT || rc == -EINVAL ? EXIT_CONFIG
                                            : EXIT_UNAVAILABLE;
}

/* Ask for the topics until a broker answers. Returns 0, an exit code, or -1 after a
 * signal. */
static int wait_for_broker(struct run *run)
{
    int code = 0;
    for (;;) {
        struct err err = ERR_INIT;
        int rc = worker_find_topics(run->worker, now_ms() + BROKER_TRY_MS, &err);
        if (rc == 0) {
            return 0;
        }
        if (rc != -ETIMEDOUT && rc != -EIO) {
            return refused_for(&err, code_for(rc), fault_of(rc));
        }
        LOG(LOG_WARN, "waiting for Kafka", LS("brokers", run->config->kafka.brokers),
            LS("why", err.text), LEND);
        code = worker_check(run->worker, &err);
        if (code) {
            return refused_for(&err, code, fault_of(err.code));
        }
        obey_orders(run);
        if (obey_signal(run, TURN_MS)) {
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

/* --- drained by an operator --- */

static void show(struct run *run, enum admin_state state, const char *name)
{
    admin_watch(run->admin, run->worker, state);
    heartbeat_state(run->heartbeat, name);
}

static void begin_drain(struct run *run)
{
    LOG(LOG_INFO, "draining, for an operator wants it", LEND);
    show(run, ADMIN_DRAINING, "draining");
    worker_drain(run->worker);
    run->drain_until_ms = now_ms() + run->reload.config->stop_drain_ms;
    run->phase = ENDING;
}

static void end_drain(struct run *run)
{
    if (!worker_rests(run->worker) && now_ms() < run->drain_until_ms) {
        return;
    }
    admin_watch(run->admin, NULL, ADMIN_DRAINING);
    watchdog_watch(run->dog, NULL);
    int code = worker_leave(run->worker, run->reload.config->stop_drain_ms);
    watchdog_watch(run->dog, run->worker);
    show(run, ADMIN_DRAINED, "drained");
    LOG(LOG_INFO, "drained, up until a signal or the order is taken back",
        LS("given_back", code ? "yes" : "no"), LEND);
    run->phase = DRAINED;
}

/* Returns 0 or an exit code. */
static int come_back(struct run *run)
{
    struct err err = ERR_INIT;
    LOG(LOG_INFO, "working again, the order to drain is taken back", LEND);
    if (worker_join(run->worker, &err)) {
        return refused(&err, EXIT_CONFIG);
    }
    show(run, ADMIN_RUNNING, NULL);
    run->phase = WORKING;
    return 0;
}

/* One step on the way into or out of a drain. Returns 0 or an exit code. */
static int step_drain(struct run *run)
{
    switch (run->phase) {
    case WORKING:
        if (run->drain) {
            begin_drain(run);
        }
        return 0;
    case ENDING:
        end_drain(run);
        return 0;
    case DRAINED:
        return run->drain ? 0 : come_back(run);
    }
    return 0;
}

/* Returns 0 after a signal, else the exit code that was the reason to stop. */
static int look_after(struct run *run)
{
    for (;;) {
        struct err err = ERR_INIT;
        int code = worker_check(run->worker, &err);
        if (code) {
            return refused_for(&err, code, fault_of(err.code));
        }
        obey_orders(run);
        code = step_drain(run);
        if (code) {
            return code;
        }
        if (obey_signal(run, TURN_MS)) {
            return 0;
        }
    }
}

/* A target that is paused is not called by who has just come. Without Redis nothing is
 * called either, so that is not waited for long. Returns -1 after a signal, else 0. */
static int learn_orders(struct run *run)
{
    int64_t until_ms = now_ms() + ORDERS_MS;
    while (!obey_orders(run) && now_ms() < until_ms) {
        if (obey_signal(run, ORDERS_TURN_MS)) {
            return -1;
        }
    }
    return 0;
}

/* Join and work. Returns as look_after. */
static int work(struct run *run)
{
    struct err err = ERR_INIT;
    const struct config *config = run->config;
    int code = wait_for_broker(run);
    if (code) {
        return code < 0 ? 0 : code;
    }
    code = check_memory(run->worker);
    if (code || learn_orders(run)) {
        return code;
    }
    if (worker_join(run->worker, &err)) {
        return refused(&err, EXIT_CONFIG);
    }
    admin_watch(run->admin, run->worker, ADMIN_RUNNING);
    LOG(LOG_INFO, "running", LS("topic", config->kafka.topic),
        LS("group", config->kafka.group), LI("targets", config->target_count),
        LI("batch", config->batch.size), LEND);
    return look_after(run);
}

/* The heartbeat goes on while the worker drains. */
static void say_goodbye(void *arg)
{
    struct run *run = arg;
    gates_stop(run->gates);
    control_stop(run->control);
    heartbeat_stop(run->heartbeat);
}

static int stop(struct run *run)
{
    const struct config *config = run->reload.config;
    admin_watch(run->admin, NULL, ADMIN_DRAINING);
    watchdog_watch(run->dog, NULL);
    watchdog_bound_stop(run->dog, now_ms() + config->stop_grace_ms - GRACE_MARGIN_MS);
    return worker_stop(run->worker, config->stop_drain_ms);
}

static int run_from_start_to_stop(struct run *run)
{
    struct err err = ERR_INIT;
    struct config *config = run->config;
    run->worker = worker_new(config, run->metrics, &err);
    if (!run->worker) {
        return refused(&err, EXIT_CONFIG);
    }
    struct history *history =
        history_new(config, worker_redis(run->worker), run->metrics);
    if (history) {
        worker_observe(run->worker, history_settled, history);
    }
    run->gates = gates_start(run->worker, config, run->metrics);
    admin_watch(run->admin, run->worker, ADMIN_STARTING);
    watchdog_watch(run->dog, run->worker);
    notify_ready(run->notify);
    run->heartbeat =
        heartbeat_start(run->worker, config, SLUICE_VERSION, version_revision());
    heartbeat_add(run->heartbeat, "clusters", gates_beat, run->gates);
    run->control =
        control_start(worker_redis(run->worker), config, heartbeat_boot(run->heartbeat));
    worker_on_release(run->worker, say_goodbye, run);
    reload_init(&run->reload, run->line, config, run->metrics);
    int reason = work(run);
    int code = stop(run);
    gates_free(run->gates);
    history_free(history);
    control_free(run->control);
    reload_release(&run->reload);
    return reason ? reason : code;
}

static int run_worker(const struct command_line *line, struct config *config)
{
    struct err err = ERR_INIT;
    struct run run = {.line = line, .config = config, .metrics = metrics_new()};
    close_memory();
    run.admin = admin_start(config, run.metrics, &err);
    if (!run.admin) {
        metrics_free(run.metrics);
        return refused(&err, EXIT_UNAVAILABLE);
    }
    run.notify = notify_open();
    run.dog = watchdog_start(config->progress_ms, run.notify);
    int code = run_from_start_to_stop(&run);
    admin_stop(run.admin);
    LOG(LOG_INFO, "stopped", LI("exit_code", code), LEND);
    log_flush_suppressed(true);
    watchdog_stop(run.dog);
    notify_close(run.notify);
    metrics_free(run.metrics);
    return code;
}

static void log_warnings(struct config_report *warnings)
{
    for (size_t i = 0; i < warnings->count; i++) {
        const struct config_issue *issue = &warnings->items[i];
        LOG(issue->severity == CONFIG_NOTE ? LOG_INFO : LOG_WARN, "configuration",
            LS("code", issue->code), LS("where", issue->where), LS("why", issue->text),
            LEND);
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
    code = run_worker(line, config);
    config_free(config);
    return code;
}
