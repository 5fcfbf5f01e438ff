/* The two online keys: loaded with their passphrase, and refused unless they are protected and root names them. */
#ifndef PAWL_SERVER_ONLINE_H
#define PAWL_SERVER_ONLINE_H

#include "server/config.h"
#include "trust/key.h"

/* ERR_KEY, ERR_PASSPHRASE and ERR_NOT_FOUND name the file. Both are the caller's. */
bool online_load(const struct server_config *config, struct key **ret_timestamp, struct key **ret_directive, struct err *err) MUST_USE;

#endif
