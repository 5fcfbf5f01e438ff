/* Files on the operator's own machine: what is wrong with one is ERR_IO, never a code that a server's refusal could have. */
#ifndef PAWL_CLI_LOCAL_H
#define PAWL_CLI_LOCAL_H

#include <sys/types.h>

#include "common/buf.h"
#include "trust/key.h"

/* Appends the file; a NUL stands behind it also when it is empty. */
bool cli_local_read(const char *path, struct buf *out, struct err *err) MUST_USE;

/* A new file; ERR_IO as well when something is there already. */
bool cli_local_write_new(const char *path, const void *data, size_t len, mode_t mode, struct err *err) MUST_USE;

/* For reading. */
bool cli_local_open(const char *path, int *ret_fd, struct err *err) MUST_USE;

/* A public key, PEM. ERR_KEY whatever is wrong with it. */
bool cli_local_public_key(const char *path, struct key **ret_key, struct err *err) MUST_USE;

#endif
