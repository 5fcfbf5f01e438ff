/* Bearer tokens "pawl_<id>_<secret>": made here, taken apart here. */
#ifndef PAWL_API_TOKEN_H
#define PAWL_API_TOKEN_H

#include "common/arena.h"
#include "db/token.h"

enum { API_TOKEN_EXPIRY_S = 90 * 86400, API_TOKEN_EXPIRY_MAX_S = 365 * 86400 };

/* Fills id and secret_sha256 of the token; *ret_text (arena) is what its owner keeps. */
bool api_token_make(struct arena *arena, struct db_token *token, const char **ret_text, struct err *err) MUST_USE;

/* False: it does not look like one of ours. */
bool api_token_parse(const char *text, char ret_id[DB_TOKEN_ID_SIZE], uint8_t ret_secret_sha256[32]) MUST_USE;

#endif
