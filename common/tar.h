/* Tar archives (POSIX ustar) in the one form that Pawl writes: regular files under short names. Reading takes that form and nothing else. */
#ifndef PAWL_COMMON_TAR_H
#define PAWL_COMMON_TAR_H

#include "common/err.h"

enum { TAR_BLOCK = 512, TAR_NAME_SIZE = 101 };

struct tar_entry {
    char name[TAR_NAME_SIZE];
    int64_t length; /* bytes */
};

/* Writes the head of a file of mode 0600. Past 8 GiB the length is in base 256, as GNU tar, libarchive and Python write and read it. */
bool tar_write_head(int fd, const struct tar_entry *entry, int64_t modified_at, struct err *err) MUST_USE;

/* Fills the last block of an entry of this length. */
bool tar_write_padding(int fd, int64_t length, struct err *err) MUST_USE;

/* The two empty blocks behind the last entry. */
bool tar_write_end(int fd, struct err *err) MUST_USE;

/* The next head; *ret_end: there is none, and the two empty blocks were there. ERR_FORMAT: not such an archive, or cut short. */
bool tar_read_head(int fd, struct tar_entry *ret_entry, bool *ret_end, struct err *err) MUST_USE;
bool tar_read_padding(int fd, int64_t length, struct err *err) MUST_USE;

/* Exactly len bytes, or ERR_FORMAT. */
bool tar_read(int fd, void *ret_data, size_t len, struct err *err) MUST_USE;

#endif
