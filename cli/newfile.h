/* A file that gets its name only when all of it is there, and that never replaces another. */
#ifndef PAWL_CLI_NEWFILE_H
#define PAWL_CLI_NEWFILE_H

#include <sys/types.h>

#include "common/arena.h"
#include "common/err.h"

/* Zero with fd −1: none is open. */
struct cli_newfile {
    const char *path;
    const char *temporary; /* beside it; NULL: it has its name, or is gone */
    int fd;
};

/* ERR_IO: something is there already, or it cannot be made. */
bool cli_newfile_open(struct arena *arena, const char *path, mode_t mode, struct cli_newfile *ret_file, struct err *err) MUST_USE;

/* Syncs it and gives it its name. ERR_IO when that was taken meanwhile. */
bool cli_newfile_keep(struct cli_newfile *file, struct err *err) MUST_USE;

void cli_newfile_drop(struct cli_newfile *file); /* fits CLEANUP; what was kept stays */

#endif
