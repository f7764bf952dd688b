#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/now.h"
#include "fleet/room.h"

/* A lane, as far as a room knows it. */
struct sleeper {
    struct waitgroup wg;
    struct room_wait wait;
};

static void sleeper_init(struct sleeper *s)
{
    memset(s, 0, sizeof *s);
    waitgroup_init(&s->wg);
    waitgroup_add(&s->wg, 1);
}

static void sleeper_release(struct sleeper *s)
{
    waitgroup_done(&s->wg);
    waitgroup_release(&s->wg);
}

/* Uses the nudge up. */
static bool was_nudged(struct sleeper *s)
{
    return waitgroup_wait(&s->wg, now_ms()) == -EAGAIN;
}

static void fill(struct room *room)
{
    while (room_now(room) > 0) {
        room_taken(room);
    }
}

static void room__is_as_wide_as_it_was_made(void **state)
{
    (void)state;
    struct room room;
    room_init(&room, 4);
    for (int left = 4; left > 0; left--) {
        assert_int_equal(room_now(&room), left);
        room_taken(&room);
    }
    assert_int_equal(room_now(&room), 0);
    room_taken(&room);
    assert_int_equal(room_now(&room), 0);
    room_release(&room);
}

static void room__quick_calls_may_wait_ahead_of_their_start(void **state)
{
    (void)state;
    struct room room;
    room_init(&room, 10);
    room_taken(&room);
    room_freed(&room, 1);
    assert_int_equal(room_now(&room), 20); /* never more than the width again */
    room_release(&room);
}

static void room__slow_calls_may_hardly_wait(void **state)
{
    (void)state;
    struct room room;
    room_init(&room, 10);
    room_taken(&room);
    room_freed(&room, ROOM_AHEAD_MS * 5);
    assert_int_equal(room_now(&room), 12);
    room_release(&room);
}

static void room__forgets_how_long_calls_took_before(void **state)
{
    (void)state;
    struct room room;
    room_init(&room, 10);
    for (int i = 0; i < 200; i++) {
        room_taken(&room);
        room_freed(&room, i < 100 ? 1 : ROOM_AHEAD_MS * 20);
    }
    assert_int_equal(room_now(&room), 10);
    room_release(&room);
}

static void room__a_call_that_never_started_teaches_nothing(void **state)
{
    (void)state;
    struct room room;
    room_init(&room, 10);
    room_taken(&room);
    room_freed(&room, -1);
    assert_int_equal(room_now(&room), 10);
    room_release(&room);
}

static void room__nudges_in_the_order_of_the_line(void **state)
{
    (void)state;
    struct room room;
    struct sleeper first;
    struct sleeper second;
    room_init(&room, 2);
    sleeper_init(&first);
    sleeper_init(&second);
    fill(&room);
    room_join(&room, &first.wait, &first.wg);
    room_join(&room, &second.wait, &second.wg);
    room_join(&room, &first.wait, &first.wg); /* stays where it is */
    room_freed(&room, -1);
    assert_true(was_nudged(&first));
    assert_false(was_nudged(&second));
    room_freed(&room, -1);
    assert_false(was_nudged(&first));
    assert_true(was_nudged(&second));
    sleeper_release(&first);
    sleeper_release(&second);
    room_release(&room);
}

static void room__passes_on_what_a_lane_left_over(void **state)
{
    (void)state;
    struct room room;
    struct sleeper second;
    room_init(&room, 2);
    sleeper_init(&second);
    room_join(&room, &second.wait, &second.wg);
    assert_false(was_nudged(&second));
    room_pass(&room);
    assert_true(was_nudged(&second));
    sleeper_release(&second);
    room_release(&room);
}

static void room__who_left_the_line_is_not_touched(void **state)
{
    (void)state;
    struct room room;
    struct sleeper first;
    struct sleeper second;
    room_init(&room, 1);
    sleeper_init(&first);
    sleeper_init(&second);
    fill(&room);
    room_join(&room, &first.wait, &first.wg);
    room_join(&room, &second.wait, &second.wg);
    room_leave(&room, &first.wait);
    room_leave(&room, &first.wait);
    sleeper_release(&first);
    room_freed(&room, -1);
    assert_true(was_nudged(&second));
    room_leave(&room, &second.wait);
    sleeper_release(&second);
    room_release(&room);
}

static void room__waits_until_a_nudge_is_worth_it(void **state)
{
    (void)state;
    struct room room;
    struct sleeper lane;
    room_init(&room, 8);
    sleeper_init(&lane);
    room_taken(&room);
    room_freed(&room, 1); /* eight more from now on */
    fill(&room);
    room_join(&room, &lane.wait, &lane.wg);
    for (int i = 0; i < 3; i++) {
        room_freed(&room, 1);
        assert_false(was_nudged(&lane));
    }
    room_freed(&room, 1);
    assert_true(was_nudged(&lane));
    sleeper_release(&lane);
    room_release(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
