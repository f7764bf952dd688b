#include "wire/redis_queue.h"

#include "base/err.h"
#include "base/mem.h"

void redis_fifo_append(struct redis_fifo *fifo, struct redis_link *link)
{
    ASSERT(!link->fifo);
    link->fifo = fifo;
    link->prev = fifo->tail;
    link->next = NULL;
    if (fifo->tail) {
        fifo->tail->next = link;
    } else {
        fifo->head = link;
    }
    fifo->tail = link;
    fifo->count++;
}

void redis_fifo_prepend(struct redis_fifo *fifo, struct redis_link *link)
{
    ASSERT(!link->fifo);
    link->fifo = fifo;
    link->prev = NULL;
    link->next = fifo->head;
    if (fifo->head) {
        fifo->head->prev = link;
    } else {
        fifo->tail = link;
    }
    fifo->head = link;
    fifo->count++;
}

void redis_fifo_unlink(struct redis_link *link)
{
    struct redis_fifo *fifo = link->fifo;
    if (!fifo) {
        return;
    }
    if (link->prev) {
        link->prev->next = link->next;
    } else {
        fifo->head = link->next;
    }
    if (link->next) {
        link->next->prev = link->prev;
    } else {
        fifo->tail = link->prev;
    }
    fifo->count--;
    link->fifo = NULL;
    link->prev = NULL;
    link->next = NULL;
}

struct redis_node *redis_fifo_pop(struct redis_fifo *fifo)
{
    struct redis_link *link = fifo->head;
    if (!link) {
        return NULL;
    }
    redis_fifo_unlink(link);
    return link->node;
}

void redis_fifo_move(struct redis_fifo *to, struct redis_fifo *from)
{
    struct redis_node *node = redis_fifo_pop(from);
    while (node) {
        redis_fifo_append(to, &node->queue);
        node = redis_fifo_pop(from);
    }
}

static void place(struct redis_heap *heap, size_t i, struct redis_node *node)
{
    heap->items[i] = node;
    node->heap_slot = i + 1;
}

static void sift_up(struct redis_heap *heap, size_t i, struct redis_node *node)
{
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (heap->items[parent]->due_ms <= node->due_ms) {
            break;
        }
        place(heap, i, heap->items[parent]);
        i = parent;
    }
    place(heap, i, node);
}

static void sift_down(struct redis_heap *heap, size_t i, struct redis_node *node)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= heap->count) {
            break;
        }
        if (child + 1 < heap->count &&
            heap->items[child + 1]->due_ms < heap->items[child]->due_ms) {
            child++;
        }
        if (heap->items[child]->due_ms >= node->due_ms) {
            break;
        }
        place(heap, i, heap->items[child]);
        i = child;
    }
    place(heap, i, node);
}

void redis_heap_put(struct redis_heap *heap, struct redis_node *node)
{
    ASSERT(node->heap_slot == 0);
    if (heap->count == heap->cap) {
        heap->cap = heap->cap ? heap->cap * 2 : 64;
        heap->items = mem_resize(heap->items, heap->cap * sizeof(void *));
    }
    heap->count++;
    sift_up(heap, heap->count - 1, node);
}

void redis_heap_remove(struct redis_heap *heap, struct redis_node *node)
{
    if (node->heap_slot == 0) {
        return;
    }
    size_t i = node->heap_slot - 1;
    struct redis_node *last = heap->items[heap->count - 1];
    node->heap_slot = 0;
    heap->count--;
    if (last == node) {
        return;
    }
    if (i > 0 && heap->items[(i - 1) / 2]->due_ms > last->due_ms) {
        sift_up(heap, i, last);
    } else {
        sift_down(heap, i, last);
    }
}
