/* Backups made by the running server, one at a time, on a thread of their own. */
#ifndef PAWL_SERVER_BACKUPS_H
#define PAWL_SERVER_BACKUPS_H

#include "server/server.h"

/* Makes the folder, before the sandbox closes. */
bool backups_begin(struct server *server, struct err *err) MUST_USE;

/* ERR_CONFLICT: [store] backups is not set. ERR_BUSY: one is being made. Any thread. */
bool backups_start(struct server *server, struct arena *arena, int64_t now, struct api_backup *ret_backup, struct err *err) MUST_USE;

/* What lies in the folder, and the one that is being made or failed last. */
bool backups_list(struct server *server, struct arena *arena, struct api_backups *ret_backups, struct err *err) MUST_USE;

/* Stops the one that is being made, which then leaves nothing behind. */
void backups_end(struct server *server);

#endif
