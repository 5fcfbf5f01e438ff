/* Replies remembered for Idempotency-Key, for 24 hours (fleet.md §4). */
#ifndef PAWL_DB_IDEMPOTENCY_H
#define PAWL_DB_IDEMPOTENCY_H

#include "db/db.h"

struct db_idempotency {
    const char *actor;
    const char *key;
    uint8_t request_sha256[32]; /* of method, path and body */
    int64_t status;
    const char *content_type;
    const char *location; /* "": none */
    const char *etag;     /* "": none */
    const void *body;
    size_t body_len;
    int64_t created_at;
};

/* ERR_NOT_FOUND: not used (or forgotten). */
bool db_idempotency_get(struct db_conn *conn, const char *actor, const char *key, struct arena *arena, struct db_idempotency *ret_reply,
                        struct err *err) MUST_USE;

/* In the effect's own transaction. ERR_CONFLICT: the key is used. */
bool db_idempotency_insert(struct db_conn *tx, const struct db_idempotency *reply, struct err *err) MUST_USE;

/* Removes up to 1,000 that are older than 24 hours. */
bool db_idempotency_purge(struct db_conn *tx, int64_t now, size_t *ret_removed, struct err *err) MUST_USE;

#endif
