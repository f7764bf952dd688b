/* wire/http_queue: the heap against a sorted list, with calls taken out of its middle. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "wire/http_queue.h"

enum { N = 500 };

/* The soonest of those that are still in. */
static int soonest(const struct http_call *calls, const bool *in)
{
    int best = -1;
    for (int i = 0; i < N; i++) {
        if (in[i] && (best < 0 || calls[i].due_ms < calls[best].due_ms)) {
            best = i; /* equal times: the earlier order wins */
        }
    }
    return best;
}

static void http_queue__a_heap_gives_the_soonest_first(void **state)
{
    static struct http_call calls[N];
    bool in[N];
    struct http_heap heap = {0};
    uint32_t seed = 12345;
    (void)state;
    for (int i = 0; i < N; i++) {
        seed = seed * 1664525u + 1013904223u;
        calls[i].due_ms = (seed >> 16) % 100; /* many are equal */
        calls[i].order = (uint64_t)i;
        in[i] = true;
        http_heap_put(&heap, &calls[i]);
    }
    for (int i = 0; i < N; i += 3) { /* recalled */
        http_heap_remove(&heap, &calls[i]);
        in[i] = false;
    }
    while (heap.count > 0) {
        int expected = soonest(calls, in);
        assert_ptr_equal(heap.calls[0], &calls[expected]);
        http_heap_remove(&heap, &calls[expected]);
        in[expected] = false;
    }
    assert_int_equal(soonest(calls, in), -1);
    http_heap_release(&heap);
}

static void http_queue__a_list_loses_calls_anywhere(void **state)
{
    struct http_call calls[4];
    struct http_list list = {NULL, NULL};
    (void)state;
    memset(calls, 0, sizeof(calls));
    for (int i = 0; i < 4; i++) {
        http_list_append(&list, &calls[i]);
    }
    http_list_remove(&list, &calls[1]); /* the middle, the end, the head */
    http_list_remove(&list, &calls[3]);
    http_list_remove(&list, &calls[0]);
    assert_ptr_equal(http_list_pop(&list), &calls[2]);
    assert_null(http_list_pop(&list));
    http_list_append(&list, &calls[1]);
    assert_ptr_equal(http_list_pop(&list), &calls[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
