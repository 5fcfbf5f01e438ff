#include "agent/backoff.h"

/* Uniform enough in [0, bound]: the bounds are tiny beside 2^64. */
static int64_t pick(int64_t bound, uint64_t random) {
    return (int64_t)(random % ((uint64_t)bound + 1));
}

int64_t agent_backoff_ms(int64_t failures, int64_t min_ms, int64_t max_ms, int64_t floor_ms, uint64_t random) {
    int64_t ceiling = min_ms < max_ms ? min_ms : max_ms;
    for (int64_t i = 1; i < failures && ceiling < max_ms; i++)
        ceiling = ceiling > max_ms / 2 ? max_ms : ceiling * 2;
    int64_t wait = pick(ceiling, random);
    return wait > floor_ms ? wait : floor_ms;
}

int64_t agent_backoff_asked_ms(int64_t asked_s, int64_t max_s) {
    return 1000 * (asked_s < max_s ? asked_s : max_s);
}

int64_t agent_backoff_poll_ms(int64_t poll_after_ms, int64_t interval_ms, int64_t max_ms, uint64_t random) {
    int64_t wait = poll_after_ms > 0 ? poll_after_ms : interval_ms;
    if (wait > max_ms)
        wait = max_ms;
    return wait + pick(wait / 10, random);
}
