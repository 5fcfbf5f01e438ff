#include "common/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BYTES = 256 };

void buf_init(struct buf *buf, size_t max_bytes) {
    *buf = (struct buf){.max = max_bytes};
}

void buf_free(struct buf *buf) {
    free(buf->data);
    *buf = (struct buf){.max = buf->max};
}

void buf_reset(struct buf *buf) {
    buf->len = 0;
    buf->failed = ERR_NONE;
    if (buf->data != NULL)
        buf->data[0] = '\0';
}

void buf_wipe(struct buf *buf) {
    if (buf->data != NULL)
        explicit_bzero(buf->data, buf->cap);
    buf_free(buf);
}

/* Room for that many further bytes and a NUL. Not by realloc(), which may leave a copy of a secret behind. */
static bool reserve(struct buf *buf, size_t more) {
    if (buf->failed != ERR_NONE)
        return false;
    if (buf->max == SIZE_MAX || more > buf->max - buf->len) {
        buf->failed = ERR_TOO_LARGE;
        return false;
    }
    size_t needed = buf->len + more + 1;
    if (buf->data != NULL && needed <= buf->cap)
        return true;
    size_t cap = buf->cap < FIRST_BYTES ? FIRST_BYTES : buf->cap;
    while (cap < needed)
        cap = cap > SIZE_MAX / 2 ? needed : cap * 2;
    if (cap > buf->max + 1)
        cap = buf->max + 1;
    char *data = malloc(cap);
    if (data == NULL) {
        buf->failed = ERR_NO_MEMORY;
        return false;
    }
    if (buf->data != NULL) {
        memcpy(data, buf->data, buf->len);
        explicit_bzero(buf->data, buf->cap);
        free(buf->data);
    }
    data[buf->len] = '\0';
    buf->data = data;
    buf->cap = cap;
    return true;
}

void buf_reserve(struct buf *buf, size_t more) {
    (void)reserve(buf, more);
}

void buf_append(struct buf *buf, const void *data, size_t len) {
    if (!reserve(buf, len))
        return;
    if (len > 0)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
}

void buf_text(struct buf *buf, const char *text) {
    buf_append(buf, text, strlen(text));
}

void buf_choice(struct buf *buf, size_t index, size_t count, const char *name) {
    buf_text(buf, index == 0 ? "" : index + 1 < count ? ", " : " or ");
    buf_text(buf, name);
}

void buf_byte(struct buf *buf, char byte) {
    buf_append(buf, &byte, 1);
}

void buf_printf(struct buf *buf, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (len < 0) {
        buf->failed = buf->failed != ERR_NONE ? buf->failed : ERR_INTERNAL;
        return;
    }
    if (!reserve(buf, (size_t)len))
        return;
    va_start(arguments, format);
    vsnprintf(buf->data + buf->len, (size_t)len + 1, format, arguments);
    va_end(arguments);
    buf->len += (size_t)len;
}

bool buf_ok(const struct buf *buf, const char *what, struct err *err) {
    switch (buf->failed) {
    case ERR_NONE:
        return true;
    case ERR_TOO_LARGE:
        return err_set(err, ERR_TOO_LARGE, "%s is larger than %zu bytes", what, buf->max);
    case ERR_NO_MEMORY:
        return err_no_memory(err);
    default:
        return err_set(err, ERR_INTERNAL, "%s could not be written", what);
    }
}
