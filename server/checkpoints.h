/* When the audit's head is signed: every 100 rows, and when rows have waited for a while ([trust] audit_interval). The main thread's. */
#ifndef PAWL_SERVER_CHECKPOINTS_H
#define PAWL_SERVER_CHECKPOINTS_H

#include "server/server.h"

enum { CHECKPOINTS_ROWS = 100 };

/* Looks whether a checkpoint is due and hands it to the writer; never waits. */
void checkpoints_run(struct server *server, int64_t mono_ms);

/* At the end: what is not covered yet, waiting for the writer. */
void checkpoints_end(struct server *server);

#endif
