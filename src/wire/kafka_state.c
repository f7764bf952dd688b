/* What a consumer says of itself, and how its poll thread is woken. Any thread. */
#include <stdio.h>
#include <unistd.h>

#include "base/now.h"
#include "wire/kafka_consumer.h"

void kafka_consumer_wake(struct kafka_consumer *c)
{
    uint64_t one = 1;
    ssize_t n = write(c->wake_fd, &one, sizeof one);
    (void)n; /* a full counter wakes as well */
}

void kafka_consumer_note(struct kafka_consumer *c, enum kafka_state state,
                         const char *reason)
{
    int old = atomic_load(&c->state);
    if (old == KAFKA_FENCED || old == KAFKA_REFUSED || old == KAFKA_NO_TOPIC) {
        return; /* the first reason to give up stands */
    }
    MUST(pthread_mutex_lock(&c->mu));
    if (state == KAFKA_REFUSED) {
        kafka_refusal_text(reason, c->reason, sizeof c->reason);
    } else {
        snprintf(c->reason, sizeof c->reason, "%s", reason);
    }
    MUST(pthread_mutex_unlock(&c->mu));
    atomic_store(&c->state, (int)state);
}

enum kafka_state kafka_consumer_state(struct kafka_consumer *c)
{
    return (enum kafka_state)atomic_load(&c->state);
}

void kafka_consumer_reason(struct kafka_consumer *c, char *text, size_t text_len)
{
    MUST(pthread_mutex_lock(&c->mu));
    snprintf(text, text_len, "%s", c->reason);
    MUST(pthread_mutex_unlock(&c->mu));
}

int64_t kafka_consumer_poll_age_ms(struct kafka_consumer *c)
{
    return now_ms() - atomic_load(&c->turned_ms);
}

int kafka_consumer_assigned(struct kafka_consumer *c)
{
    return atomic_load(&c->assigned);
}

int64_t kafka_consumer_lag(struct kafka_consumer *c)
{
    return atomic_load(&c->lag);
}
