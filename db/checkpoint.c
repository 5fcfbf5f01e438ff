#include "db/checkpoint.h"

#include "db/query.h"

static const struct db_column columns[] = {
    DB_COLUMN(DB_INT, struct db_checkpoint, seq),        DB_COLUMN(DB_FIXED, struct db_checkpoint, hash),
    DB_COLUMN(DB_INT, struct db_checkpoint, time),       DB_COLUMN(DB_TEXT, struct db_checkpoint, key_id),
    DB_COLUMN(DB_BLOB, struct db_checkpoint, signature), DB_COLUMN_AS(DB_LEN, struct db_checkpoint, signature_len, "signature"),
};
static const struct db_shape shape = DB_SHAPE(struct db_checkpoint, columns);

static const struct db_column row_columns[] = {DB_COLUMN(DB_INT, struct chain_row, seq), DB_COLUMN(DB_FIXED, struct chain_row, hash)};
static const struct db_shape row_shape = DB_SHAPE(struct chain_row, row_columns);

bool db_checkpoint_row(struct db_conn *conn, int64_t seq, struct chain_row *ret_row, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, seq == 0 ? DB_QUERY_AUDIT_LAST : DB_QUERY_AUDIT_HASH);
    struct chain_row row = {.seq = 0};
    bool found;

    if (seq != 0)
        db_query_int(stmt, 1, seq);
    if (!db_query_maybe(stmt, &row_shape, NULL, &row, &found, err))
        return false;
    if (!found && seq != 0)
        return err_set(err, ERR_NOT_FOUND, "audit: there is no row %lld", (long long)seq);
    *ret_row = row;
    return true;
}

bool db_checkpoint_insert(struct db_conn *tx, const struct db_checkpoint *checkpoint, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_AUDIT_CHECKPOINT_INSERT);

    db_query_int(stmt, 1, checkpoint->seq);
    db_query_blob(stmt, 2, checkpoint->hash, sizeof checkpoint->hash);
    db_query_int(stmt, 3, checkpoint->time);
    db_query_text(stmt, 4, checkpoint->key_id);
    db_query_blob(stmt, 5, checkpoint->signature, checkpoint->signature_len);
    return db_query_run(stmt, NULL, err);
}

bool db_checkpoint_last(struct db_conn *conn, struct arena *arena, struct db_checkpoint *ret_checkpoint, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_AUDIT_CHECKPOINT_LAST);
    struct db_checkpoint checkpoint = {.seq = 0};
    bool found;

    if (!db_query_maybe(stmt, &shape, arena, &checkpoint, &found, err))
        return false;
    *ret_checkpoint = checkpoint;
    return true;
}
