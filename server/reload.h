/* SIGHUP: the configuration read again and replaced whole. What a reload cannot change keeps the value of the start, and is named. */
#ifndef PAWL_SERVER_RELOAD_H
#define PAWL_SERVER_RELOAD_H

#include "server/server.h"

/* One reading. All of them stay until the process ends: threads may be looking at any. */
struct reload {
    struct reload *before;
    struct server_config config;
    struct db_token grants; /* [admin] certificate_scopes */
    struct arena arena;     /* what grants points to */
};

/* Reads file and environment. *ret_ignored: "[listen] device, [store] data": keys that changed and need a restart; "": none. NULL: the reading is no
 * good, *err says why. */
struct reload *reload_read(struct server *server, struct buf *ignored, struct err *err);

/* Puts it in force, for every thread. The server keeps it. */
void reload_take(struct server *server, struct reload *reload);

void reload_free(struct reload *reload); /* and all before it */

/* What the handlers work with. */
void reload_settings(const struct server_config *config, struct api_settings *settings);

#endif
