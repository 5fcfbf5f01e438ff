/* How long to wait: after a failure, and until the next poll. Pure: randomness comes in as a number. */
#ifndef PAWL_AGENT_BACKOFF_H
#define PAWL_AGENT_BACKOFF_H

#include "common/defs.h"

/* Exponential with full jitter: a time in [0, min(max, min × 2^(failures − 1))], but never below `floor_ms` (Retry-After). `random` is any 64 bits.
 * failures counts from 1. */
int64_t agent_backoff_ms(int64_t failures, int64_t min_ms, int64_t max_ms, int64_t floor_ms, uint64_t random);

/* What the server asks for (Retry-After, Poll-After; 0: nothing), never longer than max_s: an answer that nobody signed must not silence a device. */
int64_t agent_backoff_asked_ms(int64_t asked_s, int64_t max_s);

/* Poll-After (0: not said, `interval_ms` counts), at most max_ms, and up to a tenth more. */
int64_t agent_backoff_poll_ms(int64_t poll_after_ms, int64_t interval_ms, int64_t max_ms, uint64_t random);

#endif
