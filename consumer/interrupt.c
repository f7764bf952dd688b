#include "interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/now.h"

enum { EXIT_SIGNAL = 128 };

struct interrupt {
    pthread_t thread;
    struct ctx *ctx;
};

static void fill(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGUSR1); /* our own: the command is over */
}

static void *watch(void *arg)
{
    struct interrupt *in = arg;
    sigset_t set;
    int number;
    fill(&set);
    for (int times = 1;; times++) {
        MUST(sigwait(&set, &number));
        if (number == SIGUSR1) {
            return NULL;
        }
        if (times > 1) {
            _exit(EXIT_SIGNAL + number);
        }
        ctx_cancel(in->ctx);
    }
}

struct interrupt *interrupt_start(void)
{
    struct interrupt *in = mem_zalloc(sizeof *in);
    sigset_t set;
    fill(&set);
    MUST(pthread_sigmask(SIG_BLOCK, &set, NULL));
    in->ctx = ctx_new(NULL, NOW_FOREVER);
    MUST(pthread_create(&in->thread, NULL, watch, in));
    return in;
}

struct ctx *interrupt_ctx(struct interrupt *in)
{
    return in->ctx;
}

void interrupt_stop(struct interrupt *in)
{
    MUST(pthread_kill(in->thread, SIGUSR1));
    MUST(pthread_join(in->thread, NULL));
    ctx_free(in->ctx);
    free(in);
}
