/* Deadlines of one worker: a binary heap of moments on the monotonic clock. Not thread-safe. */
#ifndef PAWL_SERVER_DEADLINE_H
#define PAWL_SERVER_DEADLINE_H

#include "common/defs.h"

/* One moment; lives inside what it belongs to. All zero: not set. */
struct deadline {
    int64_t at_ms;     /* when it is due */
    int64_t queued_ms; /* its place in the heap: at_ms or earlier, because putting a deadline off does not touch the heap */
    size_t slot;       /* 1 + index in the heap; 0: not set */
};

struct deadlines {
    struct deadline **items;
    size_t count;
    size_t cap;
};

/* Room for one more: after it, deadlines_set() of that one cannot fail. */
bool deadlines_reserve(struct deadlines *heap, size_t count) MUST_USE;
void deadlines_free(struct deadlines *heap);

/* Sets or moves. Only so many may be set at once as were reserved. */
void deadlines_set(struct deadlines *heap, struct deadline *deadline, int64_t at_ms);
void deadlines_cancel(struct deadlines *heap, struct deadline *deadline);

/* The next one that is due, taken out; NULL: none. */
struct deadline *deadlines_due(struct deadlines *heap, int64_t now_ms);

/* How long until something may be due, for epoll_wait(); -1: nothing is set. */
int deadlines_wait_ms(const struct deadlines *heap, int64_t now_ms);

#endif
