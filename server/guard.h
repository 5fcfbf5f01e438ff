/* Reading from a mapped file that somebody cuts short raises SIGBUS; here it is an error instead. */
#ifndef PAWL_SERVER_GUARD_H
#define PAWL_SERVER_GUARD_H

#include "common/err.h"

/* Installs the handler, once for the process. A SIGBUS outside guard_copy() kills as before. */
bool guard_start(struct err *err) MUST_USE;

/* memcpy() from a mapping. False: a page behind it is gone. Any thread. */
bool guard_copy(void *to, const void *from, size_t len) MUST_USE;

#endif
