/* A growing byte buffer that is born with a ceiling. The first failure sticks: append freely, ask buf_ok() once at the end. */
#ifndef PAWL_COMMON_BUF_H
#define PAWL_COMMON_BUF_H

#include <stdarg.h>

#include "common/err.h"

struct buf {
    char *data; /* NUL behind the last byte whenever non-NULL; owned */
    size_t len;
    size_t cap;
    size_t max;
    enum err_code failed; /* ERR_TOO_LARGE or ERR_NO_MEMORY once an append did not fit */
};

#define BUF_INIT(max_bytes)                                                                                                                          \
    { .max = (max_bytes) }

void buf_init(struct buf *buf, size_t max_bytes);
void buf_free(struct buf *buf);  /* fits CLEANUP(buf_free) */
void buf_reset(struct buf *buf); /* length 0, failure forgotten, memory kept */
void buf_wipe(struct buf *buf);  /* for secrets: overwrites, then frees */

void buf_reserve(struct buf *buf, size_t more); /* makes room at once for what is to come; needed never */
void buf_append(struct buf *buf, const void *data, size_t len);
void buf_text(struct buf *buf, const char *text);
void buf_byte(struct buf *buf, char byte);
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
/* The index-th of count names in a sentence: "a, b or c". */
void buf_choice(struct buf *buf, size_t index, size_t count, const char *name);

/* False and *err (ERR_TOO_LARGE naming the ceiling, or ERR_NO_MEMORY) when an append failed. */
bool buf_ok(const struct buf *buf, const char *what, struct err *err) MUST_USE;

#endif
