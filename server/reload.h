/* SIGHUP: the configuration read again and replaced whole. What a reload cannot change keeps the value of the start, and is named. */
#ifndef PAWL_SERVER_RELOAD_H
#define PAWL_SERVER_RELOAD_H

#include "server/server.h"

struct reload;

/* Reads file, environment, certificates and CAs again, puts them in force for every thread, and logs what became of it. A configuration that is no
 * good, or names files that are none, changes nothing; the files of the old one are read again all the same. The main thread's. */
void reload_run(struct server *server);

void reload_free(struct reload *newest); /* and all before it; NULL is fine */

/* What the handlers work with. */
void reload_settings(const struct server_config *config, struct api_settings *settings);

#endif
