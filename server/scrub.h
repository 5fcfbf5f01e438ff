/* What `pawld scrub` found, made into events and figures. */
#ifndef PAWL_SERVER_SCRUB_H
#define PAWL_SERVER_SCRUB_H

#include "server/server.h"

/* Takes what a run left in the store, if anything. Main thread; never waits for the writer. */
void scrub_collect(struct server *server);

#endif
