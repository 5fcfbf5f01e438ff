#include "db/idempotency.h"

#include "db/query.h"

enum { KEPT_S = 24 * 3600 };

static const struct db_column columns[] = {
    DB_COLUMN(DB_TEXT, struct db_idempotency, actor),
    DB_COLUMN(DB_TEXT, struct db_idempotency, key),
    DB_COLUMN(DB_FIXED, struct db_idempotency, request_sha256),
    DB_COLUMN(DB_INT, struct db_idempotency, status),
    DB_COLUMN(DB_TEXT, struct db_idempotency, content_type),
    DB_COLUMN(DB_TEXT, struct db_idempotency, location),
    DB_COLUMN(DB_TEXT, struct db_idempotency, etag),
    DB_COLUMN(DB_BLOB, struct db_idempotency, body),
    DB_COLUMN_AS(DB_LEN, struct db_idempotency, body_len, "body"),
    DB_COLUMN(DB_INT, struct db_idempotency, created_at),
};
static const struct db_shape shape = DB_SHAPE(struct db_idempotency, columns);

bool db_idempotency_get(struct db_conn *conn, const char *actor, const char *key, struct arena *arena, struct db_idempotency *ret_reply,
                        struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_IDEMPOTENCY_GET);

    db_query_text(stmt, 1, actor);
    db_query_text(stmt, 2, key);
    return db_query_one(stmt, &shape, arena, ret_reply, "idempotency key", key, err);
}

bool db_idempotency_insert(struct db_conn *tx, const struct db_idempotency *reply, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_IDEMPOTENCY_INSERT);
    int64_t changes;

    db_query_text(stmt, 1, reply->actor);
    db_query_text(stmt, 2, reply->key);
    db_query_blob(stmt, 3, reply->request_sha256, sizeof reply->request_sha256);
    db_query_int(stmt, 4, reply->status);
    db_query_text(stmt, 5, reply->content_type ? reply->content_type : "");
    db_query_text(stmt, 6, reply->location ? reply->location : "");
    db_query_text(stmt, 7, reply->etag ? reply->etag : "");
    db_query_blob(stmt, 8, reply->body ? reply->body : "", reply->body ? reply->body_len : 0);
    db_query_int(stmt, 9, reply->created_at);
    if (!db_query_run(stmt, &changes, err))
        return false;
    if (changes == 0)
        return err_set(err, ERR_CONFLICT, "idempotency key '%s' is used already", reply->key);
    return true;
}

bool db_idempotency_purge(struct db_conn *tx, int64_t now, size_t *ret_removed, struct err *err) {
    return db_query_purge(db_query_begin(tx, DB_QUERY_IDEMPOTENCY_PURGE), now - KEPT_S, ret_removed, err);
}
