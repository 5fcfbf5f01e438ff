/* How many connections each address and each device holds: one counting table for all workers. Thread-safe. */
#ifndef PAWL_SERVER_LIMITS_H
#define PAWL_SERVER_LIMITS_H

#include "common/defs.h"

struct limits;

/* For at most max_keys different keys at once. NULL: no memory. */
struct limits *limits_new(size_t max_keys) MUST_USE;
void limits_free(struct limits *limits);

/* One more for this key. False (and nothing counted) when it has max already, or the table is full. */
bool limits_enter(struct limits *limits, const void *key, size_t len, int64_t max) MUST_USE;

/* One less; only after a limits_enter() that was true. */
void limits_leave(struct limits *limits, const void *key, size_t len);

#endif
