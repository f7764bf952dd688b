#include "fleet/breaker.h"

#include "base/err.h"

void breaker_init(struct breaker *b)
{
    *b = (struct breaker){.open_ms = BREAKER_OPEN_MS};
    MUST(pthread_mutex_init(&b->mu, NULL));
}

void breaker_release(struct breaker *b)
{
    MUST(pthread_mutex_destroy(&b->mu));
}

static bool probe_runs_locked(const struct breaker *b, int64_t now_ms)
{
    return b->probe_ms && now_ms - b->probe_ms < BREAKER_OPEN_MAX_MS;
}

bool breaker_allow(struct breaker *b, int64_t now_ms)
{
    MUST(pthread_mutex_lock(&b->mu));
    bool allowed = b->open_until_ms == 0;
    if (!allowed && now_ms >= b->open_until_ms && !probe_runs_locked(b, now_ms)) {
        b->probe_ms = now_ms;
        allowed = true;
    }
    MUST(pthread_mutex_unlock(&b->mu));
    return allowed;
}

static void open_locked(struct breaker *b, int64_t now_ms)
{
    b->open_until_ms = now_ms + b->open_ms;
    b->open_ms =
        b->open_ms * 2 > BREAKER_OPEN_MAX_MS ? BREAKER_OPEN_MAX_MS : b->open_ms * 2;
    b->probe_ms = 0;
}

bool breaker_report(struct breaker *b, bool sick, int64_t now_ms)
{
    bool opened = false;
    MUST(pthread_mutex_lock(&b->mu));
    if (!sick) {
        b->failures = 0;
        b->open_until_ms = 0;
        b->open_ms = BREAKER_OPEN_MS;
        b->probe_ms = 0;
    } else if (b->open_until_ms == 0) {
        b->failures++;
        opened = b->failures >= BREAKER_FAILURES;
    } else {
        opened = b->probe_ms !=
                 0; /* the probe failed; stragglers from before change nothing */
    }
    if (opened) {
        open_locked(b, now_ms);
    }
    MUST(pthread_mutex_unlock(&b->mu));
    return opened;
}

void breaker_unused(struct breaker *b)
{
    MUST(pthread_mutex_lock(&b->mu));
    b->probe_ms = 0;
    MUST(pthread_mutex_unlock(&b->mu));
}

bool breaker_is_open(struct breaker *b, int64_t now_ms)
{
    MUST(pthread_mutex_lock(&b->mu));
    bool open = b->open_until_ms != 0 &&
                (now_ms < b->open_until_ms || probe_runs_locked(b, now_ms));
    MUST(pthread_mutex_unlock(&b->mu));
    return open;
}

int64_t breaker_left_ms(struct breaker *b, int64_t now_ms)
{
    MUST(pthread_mutex_lock(&b->mu));
    int64_t until_ms = b->open_until_ms;
    MUST(pthread_mutex_unlock(&b->mu));
    return until_ms == 0 ? -1 : until_ms > now_ms ? until_ms - now_ms : 0;
}
