/* The thread that lets rollouts run: each second, and whenever an operator moved one (db/rollout_run.h). */
#ifndef PAWL_SERVER_ROLLOUTS_H
#define PAWL_SERVER_ROLLOUTS_H

#include "server/server.h"

enum { ROLLOUTS_TICK_MS = 1000, ROLLOUTS_QUIET_MS = 60 * 1000 };

bool rollouts_start(struct server *server, struct err *err) MUST_USE;

/* Waits for the round that is under way. Fine when it was never started. */
void rollouts_stop(struct server *server);

#endif
