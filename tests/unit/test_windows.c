#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../producer/dice.h"
#include "../../producer/windows.h"

static const int64_t lengths[] = {100, 1000};

static void add_all(struct windows *w, const int64_t *stamps, size_t n)
{
    windows_init(w, lengths, 2);
    for (size_t i = 0; i < n; i++) {
        windows_add(w, stamps[i]);
    }
}

static void windows__counts_the_densest_stretch(void **state)
{
    (void)state;
    static const int64_t stamps[] = {0, 150, 160, 170, 400, 900, 2000, 2050};
    struct windows w;
    add_all(&w, stamps, 8);
    assert_int_equal(w.most[0], 3); /* 150 160 170 */
    assert_int_equal(w.most[1], 6); /* 0 to 900 */
    assert_false(w.overflown);
    windows_release(&w);
}

static void windows__leaves_out_what_is_a_whole_length_away(void **state)
{
    (void)state;
    static const int64_t stamps[] = {0, 100, 200};
    struct windows w;
    add_all(&w, stamps, 3);
    assert_int_equal(w.most[0], 1);
    windows_release(&w);
    static const int64_t nearer[] = {0, 99, 198};
    add_all(&w, nearer, 3);
    assert_int_equal(w.most[0], 2);
    windows_release(&w);
}

static void windows__begins_anew_when_cleared(void **state)
{
    (void)state;
    static const int64_t stamps[] = {1, 2, 3};
    struct windows w;
    add_all(&w, stamps, 3);
    windows_clear(&w);
    windows_add(&w, 4);
    assert_int_equal(w.most[0], 1);
    assert_int_equal(w.most[1], 1);
    windows_release(&w);
}

static void windows__says_when_a_window_outgrew_the_ring(void **state)
{
    (void)state;
    struct windows w;
    windows_init(&w, lengths, 2);
    for (int i = 0; i < WINDOWS_STAMPS_MAX; i++) {
        windows_add(&w, 5);
    }
    assert_false(w.overflown);
    windows_add(&w, 5);
    assert_true(w.overflown);
    assert_int_equal(w.most[0], WINDOWS_STAMPS_MAX);
    windows_release(&w);
}

/* The same as looking at every window by hand. */
static void windows__agrees_with_brute_force(void **state)
{
    (void)state;
    enum { N = 400 };
    struct dice dice = dice_new(1);
    for (int round = 0; round < 20; round++) {
        int64_t stamps[N];
        int64_t at = 0;
        for (int i = 0; i < N; i++) {
            at += (int64_t)dice_below(&dice, 60);
            stamps[i] = at;
        }
        struct windows w;
        add_all(&w, stamps, N);
        for (int length = 0; length < 2; length++) {
            uint64_t most = 0;
            for (int i = 0; i < N; i++) {
                uint64_t inside = 0;
                for (int k = 0; k <= i; k++) {
                    inside += stamps[i] - stamps[k] < lengths[length];
                }
                most = inside > most ? inside : most;
            }
            assert_int_equal(w.most[length], most);
        }
        windows_release(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
