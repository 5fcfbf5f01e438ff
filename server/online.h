/* The two online keys: loaded with their passphrase, and refused unless they are protected and root names them. */
#ifndef PAWL_SERVER_ONLINE_H
#define PAWL_SERVER_ONLINE_H

#include "server/config.h"
#include "trust/envelope.h"

/* The first line of a file that only its owner can read; `what` is the key that names it. */
bool online_passphrase(const char *path, const char *what, struct buf *ret_passphrase, struct err *err) MUST_USE;

/* ERR_KEY, ERR_PASSPHRASE and ERR_NOT_FOUND name the file. Both are the caller's. */
bool online_load(const struct server_config *config, struct key **ret_timestamp, struct key **ret_directive, struct err *err) MUST_USE;

/* The audit key, likewise; root says nothing of it. */
bool online_load_audit(const struct server_config *config, struct key **ret_audit, struct err *err) MUST_USE;

/* A key that these signers name, out of the folder [trust] next_keys. ERR_KEY: there is none, or none that opens. The caller's. */
bool online_find(const struct server_config *config, const struct signers *signers, struct key **ret_key, struct err *err) MUST_USE;

#endif
