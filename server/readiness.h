/* Whether this process can do its work. */
#ifndef PAWL_SERVER_READINESS_H
#define PAWL_SERVER_READINESS_H

#include "server/server.h"

/* ERR_BUSY says what is missing: the process is ending, the store failed, or its file system has less than [store] free_min left. Asks the kernel,
 * writes nothing. */
bool readiness_check(struct server *server, int64_t *ret_free_bytes, struct err *err) MUST_USE;

/* What is free for the store; -1: the kernel does not say. */
int64_t readiness_free_bytes(const struct server *server);

#endif
