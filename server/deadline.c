#include "server/deadline.h"

#include <limits.h>
#include <stdlib.h>

bool deadlines_reserve(struct deadlines *heap, size_t count) {
    if (count <= heap->cap)
        return true;
    size_t cap = heap->cap ? heap->cap * 2 : 64;
    while (cap < count)
        cap *= 2;
    struct deadline **items = reallocarray(heap->items, cap, sizeof(struct deadline *));
    if (!items)
        return false;
    heap->items = items;
    heap->cap = cap;
    return true;
}

void deadlines_free(struct deadlines *heap) {
    free(heap->items);
    *heap = (struct deadlines){0};
}

static void place(struct deadlines *heap, size_t index, struct deadline *deadline) {
    heap->items[index] = deadline;
    deadline->slot = index + 1;
}

static void sift_up(struct deadlines *heap, size_t index, struct deadline *deadline) {
    while (index > 0 && heap->items[(index - 1) / 2]->queued_ms > deadline->queued_ms) {
        place(heap, index, heap->items[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    place(heap, index, deadline);
}

static void sift_down(struct deadlines *heap, size_t index, struct deadline *deadline) {
    for (;;) {
        size_t child = 2 * index + 1;
        if (child + 1 < heap->count && heap->items[child + 1]->queued_ms < heap->items[child]->queued_ms)
            child++;
        if (child >= heap->count || heap->items[child]->queued_ms >= deadline->queued_ms)
            break;
        place(heap, index, heap->items[child]);
        index = child;
    }
    place(heap, index, deadline);
}

void deadlines_set(struct deadlines *heap, struct deadline *deadline, int64_t at_ms) {
    deadline->at_ms = at_ms;
    if (deadline->slot && at_ms >= deadline->queued_ms)
        return;
    deadline->queued_ms = at_ms;
    sift_up(heap, deadline->slot ? deadline->slot - 1 : heap->count++, deadline);
}

void deadlines_cancel(struct deadlines *heap, struct deadline *deadline) {
    if (!deadline->slot)
        return;
    size_t index = deadline->slot - 1;
    struct deadline *last = heap->items[--heap->count];
    *deadline = (struct deadline){0};
    if (last == deadline)
        return;
    if (index > 0 && heap->items[(index - 1) / 2]->queued_ms > last->queued_ms)
        sift_up(heap, index, last);
    else
        sift_down(heap, index, last);
}

struct deadline *deadlines_due(struct deadlines *heap, int64_t now_ms) {
    while (heap->count > 0 && heap->items[0]->queued_ms <= now_ms) {
        struct deadline *first = heap->items[0];
        if (first->at_ms <= now_ms) {
            deadlines_cancel(heap, first);
            return first;
        }
        first->queued_ms = first->at_ms;
        sift_down(heap, 0, first);
    }
    return NULL;
}

int deadlines_wait_ms(const struct deadlines *heap, int64_t now_ms) {
    if (heap->count == 0)
        return -1;
    int64_t wait = heap->items[0]->queued_ms - now_ms;
    return wait < 0 ? 0 : wait > INT_MAX ? INT_MAX : (int)wait;
}
