/* How metrics are written: Prometheus text, format 0.0.4. A family's head comes once, before its samples. */
#ifndef PAWL_SERVER_EXPOSITION_H
#define PAWL_SERVER_EXPOSITION_H

#include "common/buf.h"

void exposition_head(struct buf *out, const char *name, const char *type, const char *help);

/* A family of one sample. */
void exposition_gauge(struct buf *out, const char *name, const char *help, int64_t value);
void exposition_counter(struct buf *out, const char *name, const char *help, uint64_t value); /* the name ends in _total */

/* name{label="value",…} number; pairs end with NULL. Values are escaped. */
void exposition_sample(struct buf *out, const char *name, int64_t value, ...) __attribute__((sentinel));

/* The samples of a histogram in seconds: classes[count] counts what is above the last bound. label may be NULL. */
struct exposition_histogram {
    const int64_t *bounds_us;
    const uint64_t *classes;
    size_t count; /* of bounds */
    uint64_t sum_us;
};
void exposition_histogram(struct buf *out, const char *name, const char *label, const char *value, const struct exposition_histogram *histogram);

#endif
