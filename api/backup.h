/* Backups that the server makes itself, in the folder of [store] backups. */
#ifndef PAWL_API_BACKUP_H
#define PAWL_API_BACKUP_H

#include "common/arena.h"

struct server;

struct api_backup {
    const char *name;  /* of the file */
    const char *state; /* "running", "done", "failed" */
    int64_t bytes;     /* of the file, so far */
    int64_t total_bytes;
    int64_t created_at;
    const char *error; /* why it failed, or what it lacks; NULL: nothing */
};

struct api_backups {
    size_t count;
    struct api_backup *items; /* the newest first */
};

#endif
