/* TUF metadata as received, byte for byte. */
#ifndef PAWL_DB_METADATA_H
#define PAWL_DB_METADATA_H

#include "db/db.h"

struct db_metadata {
    const char *role; /* "root", "targets", "snapshot", "timestamp" */
    int64_t version;
    const void *data;
    size_t len;
    char sha256[DB_SHA256_SIZE]; /* of data, for the ETag */
    int64_t stored_at;
    bool current;
};

/* ERR_NOT_FOUND. */
bool db_metadata_current(struct db_conn *conn, const char *role, struct arena *arena, struct db_metadata *ret_metadata, struct err *err) MUST_USE;
bool db_metadata_get(struct db_conn *conn, const char *role, int64_t version, struct arena *arena, struct db_metadata *ret_metadata,
                     struct err *err) MUST_USE;

/* The delegated roles that have a current file, by name. */
bool db_metadata_delegated(struct db_conn *conn, struct arena *arena, struct db_texts *ret_roles, struct err *err) MUST_USE;

/* The role has no current file any more; what was stored stays. */
bool db_metadata_retire(struct db_conn *tx, const char *role, struct err *err) MUST_USE;

/* Becomes the current one of its role. ERR_ROLLBACK: the version is not above the current one (root: not exactly one above).
 * Of timestamp only the last 8 are kept; all others stay. */
bool db_metadata_insert(struct db_conn *tx, const char *role, int64_t version, const void *data, size_t len, int64_t now, struct err *err) MUST_USE;

#endif
