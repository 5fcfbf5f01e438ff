/* A token bucket told as time: when the next bytes may leave, so that a rate is kept over any longer while. Pure arithmetic. */
#ifndef PAWL_SERVER_BUCKET_H
#define PAWL_SERVER_BUCKET_H

#include "common/defs.h"

enum { BUCKET_BURST_MS = 250 }; /* what was not used is good for so long */

struct bucket {
    int64_t bytes_per_s; /* 0: no limit */
    int64_t free_at_ns;  /* monotonic: when all that was reserved has had its time */
};

/* Reserves len bytes; when they may leave, monotonic ns: now_ns or earlier is at once. */
int64_t bucket_reserve(struct bucket *bucket, size_t len, int64_t now_ns);

/* Of what was reserved, len bytes are not sent after all. */
void bucket_return(struct bucket *bucket, size_t len);

/* Nothing is left of its past: it is like a new one. */
bool bucket_is_idle(const struct bucket *bucket, int64_t now_ns);

#endif
