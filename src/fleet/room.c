#include "fleet/room.h"

#include <stddef.h>

#include "base/err.h"

enum { SMOOTH = 8 }; /* a call's share in the average is one in so many */

void room_init(struct room *room, int width)
{
    ASSERT(width >= 1);
    *room = (struct room){.width = width};
    MUST(pthread_mutex_init(&room->mu, NULL));
}

void room_release(struct room *room)
{
    ASSERT(room->first == NULL);
    MUST(pthread_mutex_destroy(&room->mu));
}

int room_now(struct room *room)
{
    int left = room->width + atomic_load(&room->more) - atomic_load(&room->out);
    return left > 0 ? left : 0;
}

/* Lanes are not woken for every call that ends: half of what may be handed over beyond
 * the width is still there when one is. */
static bool is_worth_a_nudge(struct room *room)
{
    int worth = atomic_load(&room->more) / 2;
    return room_now(room) >= (worth > 1 ? worth : 1);
}

void room_join(struct room *room, struct room_wait *wait, struct waitgroup *wg)
{
    MUST(pthread_mutex_lock(&room->mu));
    if (!wait->in_line) {
        *wait = (struct room_wait){.wg = wg, .in_line = true};
        if (room->last) {
            room->last->next = wait;
        } else {
            room->first = wait;
        }
        room->last = wait;
        atomic_fetch_add(&room->waiting, 1);
    }
    MUST(pthread_mutex_unlock(&room->mu));
}

static void take_out_locked(struct room *room, struct room_wait *wait)
{
    struct room_wait *before = NULL;
    for (struct room_wait *w = room->first; w != wait; w = w->next) {
        before = w;
    }
    *(before ? &before->next : &room->first) = wait->next;
    room->last = room->last == wait ? before : room->last;
    wait->in_line = false;
    atomic_fetch_sub(&room->waiting, 1);
}

void room_leave(struct room *room, struct room_wait *wait)
{
    MUST(pthread_mutex_lock(&room->mu));
    if (wait->in_line) {
        take_out_locked(room, wait);
    }
    MUST(pthread_mutex_unlock(&room->mu));
}

/* The nudge is given under the lock: whoever is in line has its waitgroup still. */
void room_pass(struct room *room)
{
    if (atomic_load(&room->waiting) == 0 || !is_worth_a_nudge(room)) {
        return;
    }
    MUST(pthread_mutex_lock(&room->mu));
    struct room_wait *wait = room->first;
    if (wait) {
        take_out_locked(room, wait);
        waitgroup_nudge(wait->wg);
    }
    MUST(pthread_mutex_unlock(&room->mu));
}

void room_taken(struct room *room)
{
    atomic_fetch_add(&room->out, 1);
}

static void learn(struct room *room, int64_t took_us)
{
    int64_t known = room->took_us;
    known = known > 0 ? known + (took_us - known) / SMOOTH : took_us;
    room->took_us = known > 0 ? known : 1;
    int64_t more = (int64_t)room->width * ROOM_AHEAD_MS * 1000 / room->took_us;
    atomic_store(&room->more, more < room->width ? (int)more : room->width);
}

void room_freed(struct room *room, int64_t took_ms)
{
    if (took_ms >= 0) {
        learn(room, took_ms * 1000);
    }
    atomic_fetch_sub(&room->out, 1);
    room_pass(room);
}
