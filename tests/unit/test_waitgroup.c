#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/now.h"
#include "sync/waitgroup.h"

static void waitgroup_wait__times_out_while_something_is_open(void **state)
{
    (void)state;
    struct waitgroup wg;
    waitgroup_init(&wg);
    waitgroup_add(&wg, 2);
    waitgroup_done(&wg);
    assert_int_equal(waitgroup_wait(&wg, 0), -ETIMEDOUT);
    int64_t until = now_ms() + 20;
    assert_int_equal(waitgroup_wait(&wg, until), -ETIMEDOUT);
    assert_true(now_ms() >= until);
    assert_int_equal(waitgroup_open(&wg), 1);
    waitgroup_done(&wg);
    assert_int_equal(waitgroup_wait(&wg, 0), 0);
    waitgroup_release(&wg);
}

static void waitgroup_wait__returns_at_once_when_nothing_is_open(void **state)
{
    (void)state;
    struct waitgroup wg;
    waitgroup_init(&wg);
    assert_int_equal(waitgroup_wait(&wg, NOW_FOREVER), 0);
    waitgroup_add(&wg, 0);
    assert_int_equal(waitgroup_wait(&wg, NOW_FOREVER), 0);
    waitgroup_release(&wg);
}

static void waitgroup_nudge__is_told_once_and_never_instead_of_the_end(void **state)
{
    (void)state;
    struct waitgroup wg;
    waitgroup_init(&wg);
    waitgroup_add(&wg, 1);
    waitgroup_nudge(&wg);
    waitgroup_nudge(&wg);
    assert_int_equal(waitgroup_wait(&wg, NOW_FOREVER), -EAGAIN);
    assert_int_equal(waitgroup_wait(&wg, 0), -ETIMEDOUT);
    waitgroup_nudge(&wg);
    waitgroup_done(&wg);
    assert_int_equal(waitgroup_wait(&wg, NOW_FOREVER), 0);
    waitgroup_release(&wg);
}

static void waitgroup__a_done_too_many_is_a_bug(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct waitgroup wg;
        close(STDERR_FILENO);
        waitgroup_init(&wg);
        waitgroup_done(&wg);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_BUG);
}

enum { THREADS = 3, ROUNDS = 500 };

/* What a waiter hands to those it waits for; it goes when the wait is over. */
struct work {
    struct waitgroup wg;
    int written[THREADS];
};

struct worker {
    pthread_t thread;
    pthread_barrier_t *rounds;
    struct work *work;
    int index;
};

static void *write_and_leave(void *arg)
{
    struct worker *w = arg;
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(w->rounds);
        struct work *work = w->work;
        work->written[w->index] = round + 1;
        waitgroup_done(&work->wg); /* touches `work` for the last time */
        pthread_barrier_wait(w->rounds);
    }
    return NULL;
}

static void waitgroup__the_waiter_may_free_everything_after_the_wait(void **state)
{
    (void)state;
    pthread_barrier_t rounds;
    struct worker workers[THREADS];
    MUST(pthread_barrier_init(&rounds, NULL, THREADS + 1));
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.rounds = &rounds, .index = i};
        MUST(pthread_create(&workers[i].thread, NULL, write_and_leave, &workers[i]));
    }
    for (int round = 0; round < ROUNDS; round++) {
        struct work *work = mem_zalloc(sizeof *work);
        waitgroup_init(&work->wg);
        waitgroup_add(&work->wg, THREADS);
        for (int i = 0; i < THREADS; i++) {
            workers[i].work = work;
        }
        pthread_barrier_wait(&rounds);
        assert_int_equal(waitgroup_wait(&work->wg, NOW_FOREVER), 0);
        for (int i = 0; i < THREADS; i++) {
            assert_int_equal(work->written[i], round + 1); /* done comes before wait */
        }
        waitgroup_release(&work->wg);
        free(work);
        pthread_barrier_wait(&rounds);
    }
    for (int i = 0; i < THREADS; i++) {
        MUST(pthread_join(workers[i].thread, NULL));
    }
    MUST(pthread_barrier_destroy(&rounds));
}

static void *nudge_then_done(void *arg)
{
    struct waitgroup *wg = arg;
    for (int i = 0; i < 1000; i++) {
        waitgroup_nudge(wg);
    }
    waitgroup_done(wg);
    return NULL;
}

static void waitgroup_wait__goes_on_after_nudges_until_the_last_done(void **state)
{
    (void)state;
    struct waitgroup wg;
    pthread_t threads[THREADS];
    waitgroup_init(&wg);
    waitgroup_add(&wg, THREADS);
    for (int i = 0; i < THREADS; i++) {
        MUST(pthread_create(&threads[i], NULL, nudge_then_done, &wg));
    }
    int rc = -EAGAIN;
    while (rc == -EAGAIN) {
        rc = waitgroup_wait(&wg, NOW_FOREVER);
    }
    assert_int_equal(rc, 0);
    for (int i = 0; i < THREADS; i++) {
        MUST(pthread_join(threads[i], NULL));
    }
    waitgroup_release(&wg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
