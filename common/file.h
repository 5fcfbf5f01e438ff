/* Files: read whole with a ceiling, written so that a crash leaves the old or the new one. */
#ifndef PAWL_COMMON_FILE_H
#define PAWL_COMMON_FILE_H

#include <sys/types.h>

#include "common/buf.h"

/* Appends the file to *out; ERR_TOO_LARGE past its ceiling. */
bool file_read(const char *path, struct buf *out, struct err *err) MUST_USE;

/* For private keys, passphrases and tokens: additionally refuses (ERR_KEY) a file that group or others can read or write. */
bool file_read_secret(const char *path, struct buf *out, struct err *err) MUST_USE;

/* Temporary file in the same folder, fsync, rename, fsync of the folder; the temporary file is gone on failure. */
bool file_write_atomic(const char *path, const void *data, size_t len, mode_t mode, struct err *err) MUST_USE;

/* As above but never replaces: ERR_CONFLICT when the path exists. */
bool file_write_new(const char *path, const void *data, size_t len, mode_t mode, struct err *err) MUST_USE;

/* A rename that never replaces: -1 with errno EEXIST when the name is taken. */
int file_rename_new(const char *from, const char *to);

/* Removes from a folder what the writers above left there when their process was killed. Only for a folder that nobody else writes now. A folder that
 * is not there is empty. */
bool file_sweep_temporaries(const char *folder, struct err *err) MUST_USE;

bool file_make_dirs(const char *path, mode_t mode, struct err *err) MUST_USE; /* like mkdir -p */
bool file_sync_dir(const char *path, struct err *err) MUST_USE;
bool file_sync_parent(const char *path, struct err *err) MUST_USE;
bool file_exists(const char *path);

/* What an ordinary user may still write on the file system of path, in bytes; 0 as well when no file can be made. */
bool file_free_space(const char *path, int64_t *ret_bytes, struct err *err) MUST_USE;
bool file_write_all(int fd, const void *data, size_t len, struct err *err) MUST_USE;

/* Takes an exclusive lock on path (created 0600, held as long as the descriptor is open); ERR_BUSY when another process has it. */
bool file_lock(const char *path, int *ret_fd, struct err *err) MUST_USE;

void file_close(int *fd); /* fits CLEANUP(file_close); -1 is fine */

#endif
