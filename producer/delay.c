#include "delay.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/now.h"

struct item {
    int64_t due_us;
    void (*fn)(void *arg);
    void *arg;
};

struct delay {
    pthread_t thread;
    pthread_mutex_t mu;
    pthread_cond_t cond;
    /* guarded by mu */
    bool stopping;
    struct item *heap; /* the earliest first */
    size_t count;
    size_t cap;
};

static void swap(struct item *a, struct item *b)
{
    struct item t = *a;
    *a = *b;
    *b = t;
}

static void push_locked(struct delay *delay, struct item item)
{
    if (delay->count == delay->cap) {
        delay->cap = delay->cap ? 2 * delay->cap : 64;
        delay->heap = mem_resize(delay->heap, delay->cap * sizeof *delay->heap);
    }
    size_t i = delay->count++;
    struct item *heap = delay->heap;
    heap[i] = item;
    while (i > 0 && heap[i].due_us < heap[(i - 1) / 2].due_us) {
        swap(&heap[i], &heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
}

static struct item pop_locked(struct delay *delay)
{
    struct item *heap = delay->heap;
    struct item first = heap[0];
    heap[0] = heap[--delay->count];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2; child++) {
            if (child < delay->count && heap[child].due_us < heap[least].due_us) {
                least = child;
            }
        }
        if (least == i) {
            return first;
        }
        swap(&heap[i], &heap[least]);
        i = least;
    }
}

static void wait_locked(struct delay *delay)
{
    if (delay->count == 0) {
        MUST(pthread_cond_wait(&delay->cond, &delay->mu));
        return;
    }
    int64_t due_us = delay->heap[0].due_us;
    struct timespec until = {.tv_sec = due_us / 1000000,
                             .tv_nsec = due_us % 1000000 * 1000};
    (void)pthread_cond_timedwait(&delay->cond, &delay->mu, &until);
}

static void *run(void *arg)
{
    struct delay *delay = arg;
    MUST(pthread_mutex_lock(&delay->mu));
    while (!delay->stopping || delay->count > 0) {
        if (!delay->stopping && (delay->count == 0 || delay->heap[0].due_us > now_us())) {
            wait_locked(delay);
            continue;
        }
        struct item item = pop_locked(delay);
        MUST(pthread_mutex_unlock(&delay->mu));
        item.fn(item.arg);
        MUST(pthread_mutex_lock(&delay->mu));
    }
    MUST(pthread_mutex_unlock(&delay->mu));
    return NULL;
}

struct delay *delay_start(void)
{
    struct delay *delay = mem_zalloc(sizeof *delay);
    pthread_condattr_t attr;
    MUST(pthread_condattr_init(&attr));
    MUST(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
    MUST(pthread_cond_init(&delay->cond, &attr));
    MUST(pthread_condattr_destroy(&attr));
    MUST(pthread_mutex_init(&delay->mu, NULL));
    MUST(pthread_create(&delay->thread, NULL, run, delay));
    return delay;
}

void delay_stop(struct delay *delay)
{
    MUST(pthread_mutex_lock(&delay->mu));
    delay->stopping = true;
    MUST(pthread_cond_signal(&delay->cond));
    MUST(pthread_mutex_unlock(&delay->mu));
    MUST(pthread_join(delay->thread, NULL));
    MUST(pthread_cond_destroy(&delay->cond));
    MUST(pthread_mutex_destroy(&delay->mu));
    free(delay->heap);
    free(delay);
}

void delay_add(struct delay *delay, int64_t due_us, void (*fn)(void *arg), void *arg)
{
    MUST(pthread_mutex_lock(&delay->mu));
    bool first = delay->count == 0 || due_us < delay->heap[0].due_us;
    push_locked(delay, (struct item){due_us, fn, arg});
    if (first) {
        MUST(pthread_cond_signal(&delay->cond));
    }
    MUST(pthread_mutex_unlock(&delay->mu));
}
