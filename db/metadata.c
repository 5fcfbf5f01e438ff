#include "db/metadata.h"

#include <stdio.h>
#include <string.h>

#include "common/hash.h"
#include "db/query.h"

enum { KEPT_TIMESTAMPS = 8 };

static const struct db_column columns[] = {
    DB_COLUMN(DB_TEXT, struct db_metadata, role),     DB_COLUMN(DB_INT, struct db_metadata, version),
    DB_COLUMN(DB_BLOB, struct db_metadata, data),     DB_COLUMN_AS(DB_LEN, struct db_metadata, len, "data"),
    DB_COLUMN(DB_CHARS, struct db_metadata, sha256),  DB_COLUMN(DB_BOOL, struct db_metadata, current),
    DB_COLUMN(DB_INT, struct db_metadata, stored_at),
};
static const struct db_shape shape = DB_SHAPE(struct db_metadata, columns);

bool db_metadata_current(struct db_conn *conn, const char *role, struct arena *arena, struct db_metadata *ret_metadata, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_METADATA_CURRENT);

    db_query_text(stmt, 1, role);
    return db_query_one(stmt, &shape, arena, ret_metadata, "metadata", role, err);
}

bool db_metadata_get(struct db_conn *conn, const char *role, int64_t version, struct arena *arena, struct db_metadata *ret_metadata,
                     struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_METADATA_GET);
    char which[DB_ID_SIZE + 24];

    snprintf(which, sizeof which, "%lld.%s", (long long)version, role);
    db_query_text(stmt, 1, role);
    db_query_int(stmt, 2, version);
    return db_query_one(stmt, &shape, arena, ret_metadata, "metadata", which, err);
}

bool db_metadata_delegated(struct db_conn *conn, struct arena *arena, struct db_texts *ret_roles, struct err *err) {
    return db_query_texts(db_query_begin(conn, DB_QUERY_METADATA_DELEGATED), arena, ret_roles, err);
}

bool db_metadata_retire(struct db_conn *tx, const char *role, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_METADATA_RETIRE);

    db_query_text(stmt, 1, role);
    return db_query_run(stmt, NULL, err);
}

/* Versions go up; root by exactly one, from 1. */
static bool check_version(struct db_conn *tx, const char *role, int64_t version, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_METADATA_CURRENT);
    int64_t current = 0;

    db_query_text(stmt, 1, role);
    if (!db_query_number(stmt, "version", &current, err))
        return false;
    if (version <= current)
        return err_set(err, ERR_ROLLBACK, "%s version %lld is not above the stored %lld", role, (long long)version, (long long)current);
    if (strcmp(role, "root") == 0 && version != current + 1)
        return err_set(err, ERR_ROLLBACK, "root version %lld where %lld must come next", (long long)version, (long long)current + 1);
    return true;
}

bool db_metadata_insert(struct db_conn *tx, const char *role, int64_t version, const void *data, size_t len, int64_t now, struct err *err) {
    char sha256[SHA256_HEX_SIZE];
    struct db_stmt *stmt;

    if (!check_version(tx, role, version, err) || !hash_sha256_hex(data, len, sha256, err))
        return false;
    if (!db_metadata_retire(tx, role, err))
        return false;
    stmt = db_query_begin(tx, DB_QUERY_METADATA_INSERT);
    db_query_text(stmt, 1, role);
    db_query_int(stmt, 2, version);
    db_query_blob(stmt, 3, data, len);
    db_query_text(stmt, 4, sha256);
    db_query_int(stmt, 5, now);
    if (!db_query_run(stmt, NULL, err))
        return false;
    if (strcmp(role, "timestamp") != 0)
        return true;
    stmt = db_query_begin(tx, DB_QUERY_METADATA_PRUNE);
    db_query_text(stmt, 1, role);
    db_query_int(stmt, 2, KEPT_TIMESTAMPS);
    return db_query_run(stmt, NULL, err);
}
