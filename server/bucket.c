#include "server/bucket.h"

static const int64_t second_ns = 1000000000;

static int64_t burst_begin(int64_t now_ns) {
    return now_ns - (int64_t)BUCKET_BURST_MS * 1000000;
}

/* How long so many bytes take. Whole seconds apart, so that no length and no rate overflow. */
static int64_t time_of(const struct bucket *bucket, size_t len) {
    int64_t bytes = (int64_t)len, rest = bytes % bucket->bytes_per_s;
    int64_t rest_ns = rest > INT64_MAX / second_ns ? rest / (bucket->bytes_per_s / second_ns) : rest * second_ns / bucket->bytes_per_s;
    return bytes / bucket->bytes_per_s * second_ns + rest_ns;
}

int64_t bucket_reserve(struct bucket *bucket, size_t len, int64_t now_ns) {
    if (bucket->bytes_per_s <= 0)
        return now_ns;
    int64_t start = burst_begin(now_ns);
    start = bucket->free_at_ns > start ? bucket->free_at_ns : start;
    bucket->free_at_ns = start + time_of(bucket, len);
    return start;
}

void bucket_return(struct bucket *bucket, size_t len) {
    if (bucket->bytes_per_s > 0)
        bucket->free_at_ns -= time_of(bucket, len);
}

bool bucket_is_idle(const struct bucket *bucket, int64_t now_ns) {
    return bucket->free_at_ns <= burst_begin(now_ns);
}
