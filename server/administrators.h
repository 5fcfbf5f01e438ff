/* Administrators' certificates: which CAs may sign them, and what they may do. */
#ifndef PAWL_SERVER_ADMINISTRATORS_H
#define PAWL_SERVER_ADMINISTRATORS_H

#include "api/api.h"
#include "db/token.h"
#include "server/config.h"

enum { ADMINISTRATORS_MAX_SCOPES = 64 };

/* The grants of "[admin] certificate_scopes", in the arena; none for NULL. ERR_CONFIG names the word at fault. */
bool administrators_scopes(struct arena *arena, const char *text, struct db_token *ret_grants, struct err *err) MUST_USE;

/* ERR_CONFIG unless devices', factories' and administrators' CAs have nothing to do with each other. Reads the files. */
bool administrators_check_authorities(const struct server_config *config, struct err *err) MUST_USE;

/* The connection's certificate becomes the operator. ERR_UNAUTHENTICATED when it has ended meanwhile; ERR_FORBIDDEN for a change that a page of
 * another origin made the browser send: a browser shows the certificate unasked. */
bool administrators_admit(struct api_call *call, const struct db_token *grants, struct err *err) MUST_USE;

#endif
