/* Secrets that are shown once: "<prefix>_<id>_<43 base64url>", of which the store has the SHA-256 of the last part. */
#ifndef PAWL_API_SECRET_H
#define PAWL_API_SECRET_H

#include "common/arena.h"
#include "common/buf.h"

enum { API_SECRET_LEN = 43 /* base64url of 32 bytes */, API_SECRET_ID_SIZE = 33 };

/* Prefixes. */
#define API_SECRET_TOKEN "pawl"
#define API_SECRET_CLAIM "pawlclaim"

/* A fresh one; id and text are in the arena. */
bool api_secret_make(struct arena *arena, const char *prefix, const char **ret_id, uint8_t ret_sha256[32], const char **ret_text,
                     struct err *err) MUST_USE;

/* Another secret under an id that is there. */
bool api_secret_renew(struct arena *arena, const char *prefix, const char *id, uint8_t ret_sha256[32], const char **ret_text,
                      struct err *err) MUST_USE;

/* Takes one apart. False: it is none with this prefix. */
bool api_secret_parse(const char *text, const char *prefix, char ret_id[API_SECRET_ID_SIZE], uint8_t ret_sha256[32]) MUST_USE;

#endif
