#include "wire/http_queue.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

void http_list_append(struct http_list *list, struct http_call *call)
{
    call->next = NULL;
    call->prev = list->last;
    if (list->last == NULL) {
        list->first = call;
    } else {
        list->last->next = call;
    }
    list->last = call;
}

void http_list_remove(struct http_list *list, struct http_call *call)
{
    if (call->prev == NULL) {
        list->first = call->next;
    } else {
        call->prev->next = call->next;
    }
    if (call->next == NULL) {
        list->last = call->prev;
    } else {
        call->next->prev = call->prev;
    }
    call->next = NULL;
    call->prev = NULL;
}

struct http_call *http_list_pop(struct http_list *list)
{
    struct http_call *call = list->first;
    if (call != NULL) {
        http_list_remove(list, call);
    }
    return call;
}

static bool is_sooner(const struct http_call *a, const struct http_call *b)
{
    if (a->due_ms != b->due_ms) {
        return a->due_ms < b->due_ms;
    }
    return a->order < b->order;
}

static void heap_set(struct http_heap *heap, size_t i, struct http_call *call)
{
    heap->calls[i] = call;
    call->heap_index = (int)i;
}

static void heap_up(struct http_heap *heap, size_t i)
{
    struct http_call *call = heap->calls[i];
    while (i > 0 && is_sooner(call, heap->calls[(i - 1) / 2])) {
        heap_set(heap, i, heap->calls[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_set(heap, i, call);
}

static void heap_down(struct http_heap *heap, size_t i)
{
    struct http_call *call = heap->calls[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= heap->count) {
            break;
        }
        if (child + 1 < heap->count &&
            is_sooner(heap->calls[child + 1], heap->calls[child])) {
            child++;
        }
        if (!is_sooner(heap->calls[child], call)) {
            break;
        }
        heap_set(heap, i, heap->calls[child]);
        i = child;
    }
    heap_set(heap, i, call);
}

void http_heap_put(struct http_heap *heap, struct http_call *call)
{
    if (heap->count == heap->cap) {
        heap->cap = heap->cap == 0 ? 64 : heap->cap * 2;
        heap->calls = mem_resize(heap->calls, heap->cap * sizeof(struct http_call *));
    }
    heap->calls[heap->count] = call;
    heap_up(heap, heap->count++);
}

void http_heap_remove(struct http_heap *heap, struct http_call *call)
{
    size_t i = (size_t)call->heap_index;
    ASSERT(i < heap->count && heap->calls[i] == call);
    struct http_call *last = heap->calls[--heap->count];
    if (last != call) {
        heap_set(heap, i, last);
        heap_up(heap, i);
        heap_down(heap, (size_t)last->heap_index);
    }
}

void http_heap_release(struct http_heap *heap)
{
    free(heap->calls);
}
