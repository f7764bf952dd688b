#include "outbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

struct slot {
    struct outbox *outbox;
    struct outbox_result result;
    bool ended; /* guarded by mu */
};

struct outbox {
    struct kafka_producer *producer;
    void (*report)(void *arg, const struct outbox_result *result);
    void *arg;
    /* owned by the putting thread; a slot is the producer's thread's until it ended */
    struct slot *slots;
    size_t first;
    size_t count;

    pthread_mutex_t mu;
    pthread_cond_t cond;
};

struct outbox *outbox_new(struct kafka_producer *producer,
                          void (*report)(void *arg, const struct outbox_result *result),
                          void *arg)
{
    struct outbox *outbox = mem_zalloc(sizeof *outbox);
    outbox->producer = producer;
    outbox->report = report;
    outbox->arg = arg;
    outbox->slots = mem_array(OUTBOX_MAX, sizeof *outbox->slots);
    MUST(pthread_mutex_init(&outbox->mu, NULL));
    MUST(pthread_cond_init(&outbox->cond, NULL));
    return outbox;
}

void outbox_free(struct outbox *outbox)
{
    ASSERT(outbox->count == 0);
    MUST(pthread_cond_destroy(&outbox->cond));
    MUST(pthread_mutex_destroy(&outbox->mu));
    free(outbox->slots);
    free(outbox);
}

static void on_sent(void *arg, int rc, int partition, int64_t offset, const char *why)
{
    struct slot *slot = arg;
    struct outbox *outbox = slot->outbox;
    slot->result.rc = rc;
    slot->result.partition = partition;
    slot->result.offset = offset;
    snprintf(slot->result.why, sizeof slot->result.why, "%s", why);
    MUST(pthread_mutex_lock(&outbox->mu));
    slot->ended = true;
    MUST(pthread_cond_signal(&outbox->cond));
    MUST(pthread_mutex_unlock(&outbox->mu));
}

/* Report the first one. Returns false when it has not ended and is not waited for. */
static bool take_first(struct outbox *outbox, bool wait)
{
    struct slot *slot = &outbox->slots[outbox->first];
    MUST(pthread_mutex_lock(&outbox->mu));
    while (wait && !slot->ended) { /* the producer ends it at its message timeout */
        MUST(pthread_cond_wait(&outbox->cond, &outbox->mu));
    }
    bool ended = slot->ended;
    MUST(pthread_mutex_unlock(&outbox->mu));
    if (ended) {
        outbox->report(outbox->arg, &slot->result);
        free(slot->result.what);
        outbox->first = (outbox->first + 1) % OUTBOX_MAX;
        outbox->count--;
    }
    return ended;
}

void outbox_take(struct outbox *outbox, bool wait)
{
    while (outbox->count > 0 && take_first(outbox, wait)) {
    }
}

int outbox_put(struct outbox *outbox, const struct kafka_message *message, long number,
               char *what, struct err *err)
{
    if (outbox->count == OUTBOX_MAX) {
        take_first(outbox, true);
    }
    struct slot *slot = &outbox->slots[(outbox->first + outbox->count) % OUTBOX_MAX];
    *slot = (struct slot){.outbox = outbox, .result = {.number = number, .what = what}};
    int rc;
    while ((rc = kafka_send(outbox->producer, message, on_sent, slot, err)) == -EAGAIN) {
        if (outbox->count == 0) { /* more than the whole buffer: it never fits */
            return err_set(err, -EINVAL, "larger than the producer's buffer");
        }
        take_first(outbox, true);
    }
    outbox->count += rc == 0;
    return rc;
}
