#include "watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/command.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"

enum { TURN_MS = 200 };

struct watchdog {
    pthread_t thread;
    int64_t progress_ms;
    struct notify *notify;
    atomic_bool stop;
    atomic_llong stop_by_ms; /* NOW_FOREVER: not stopping */
    /* its thread */
    int64_t looked_ms;
    int64_t awake_ms; /* since when it has looked without a gap */
    pthread_mutex_t mu;
    /* guarded by mu */
    struct worker *worker;
};

static _Noreturn void give_up(const char *why, int64_t ms, int code)
{
    LOG(LOG_ERROR, "ending at once", LS("why", why), LI("ms", ms), LI("exit_code", code),
        LEND);
    log_flush_suppressed(true);
    _exit(code);
}

static void look(struct watchdog *dog)
{
    struct worker_status status = {.poll_age_ms = -1};
    MUST(pthread_mutex_lock(&dog->mu));
    bool there = dog->worker != NULL;
    if (there) {
        worker_status(dog->worker, &status);
    }
    MUST(pthread_mutex_unlock(&dog->mu));
    /* What stood still while the whole process did (SIGSTOP, a paused machine, no
     * processor) is not stuck: time counts from when we were there to see it. */
    int64_t now = now_ms();
    notify_worker(dog->notify, there ? &status : NULL, now);
    if (now - dog->looked_ms > TURN_MS + dog->progress_ms / 4) {
        dog->awake_ms = now;
    }
    dog->looked_ms = now;
    int64_t awake_for_ms = now - dog->awake_ms;
    int64_t stuck_ms = status.stuck_ms < awake_for_ms ? status.stuck_ms : awake_for_ms;
    if (status.stuck && stuck_ms > dog->progress_ms) {
        give_up(status.stuck, stuck_ms, EXIT_BUG);
    }
}

/* A second signal, once the stop has begun (both are blocked in every thread). */
static void take_second_signal(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    struct timespec wait = {.tv_nsec = TURN_MS * 1000000L};
    int number = sigtimedwait(&set, NULL, &wait);
    if (number > 0) {
        give_up("second signal", 0, 128 + number);
    }
}

static void *watch_main(void *arg)
{
    struct watchdog *dog = arg;
    struct timespec turn = {.tv_nsec = TURN_MS * 1000000L};
    while (!atomic_load(&dog->stop)) {
        int64_t stop_by_ms = atomic_load(&dog->stop_by_ms);
        if (stop_by_ms == NOW_FOREVER) {
            clock_nanosleep(CLOCK_MONOTONIC, 0, &turn, NULL);
            look(dog);
        } else if (now_ms() >= stop_by_ms) {
            give_up("stop.grace is over", 0, EXIT_AGAIN);
        } else {
            notify_draining(dog->notify, now_ms());
            take_second_signal();
        }
        log_flush_suppressed(false);
    }
    return NULL;
}

struct watchdog *watchdog_start(int64_t progress_ms, struct notify *notify)
{
    struct watchdog *dog = mem_zalloc(sizeof *dog);
    dog->progress_ms = progress_ms;
    dog->notify = notify;
    atomic_init(&dog->stop_by_ms, NOW_FOREVER);
    MUST(pthread_mutex_init(&dog->mu, NULL));
    MUST(pthread_create(&dog->thread, NULL, watch_main, dog));
    return dog;
}

void watchdog_watch(struct watchdog *dog, struct worker *worker)
{
    MUST(pthread_mutex_lock(&dog->mu));
    dog->worker = worker;
    MUST(pthread_mutex_unlock(&dog->mu));
}

void watchdog_bound_stop(struct watchdog *dog, int64_t until_ms)
{
    atomic_store(&dog->stop_by_ms, until_ms);
}

void watchdog_stop(struct watchdog *dog)
{
    atomic_store(&dog->stop, true);
    MUST(pthread_join(dog->thread, NULL));
    MUST(pthread_mutex_destroy(&dog->mu));
    free(dog);
}
