#include "db/audit.h"

#include <stdio.h>
#include <string.h>

#include "common/hash.h"
#include "db/query.h"

static const struct db_column columns[] = {
    DB_COLUMN(DB_INT, struct db_audit, seq),         DB_COLUMN(DB_INT, struct db_audit, time),        DB_COLUMN(DB_TEXT, struct db_audit, actor),
    DB_COLUMN(DB_TEXT, struct db_audit, action),     DB_COLUMN(DB_TEXT, struct db_audit, object),     DB_COLUMN(DB_TEXT, struct db_audit, detail),
    DB_COLUMN(DB_TEXT, struct db_audit, request_id), DB_COLUMN(DB_FIXED, struct db_audit, prev_hash), DB_COLUMN(DB_FIXED, struct db_audit, hash),
};
static const struct db_shape shape = DB_SHAPE(struct db_audit, columns);

/* Who came before: seq and hash are all that is read. */
static const struct db_column last_columns[] = {DB_COLUMN(DB_INT, struct db_audit, seq), DB_COLUMN(DB_FIXED, struct db_audit, hash)};
static const struct db_shape last_shape = DB_SHAPE(struct db_audit, last_columns);

static bool add_text(struct hash *hash, const char *text, struct err *err) {
    size_t len = text ? strlen(text) : 0;
    char prefix[24];
    int prefix_len = snprintf(prefix, sizeof prefix, "%zu:", len);

    return hash_update(hash, prefix, (size_t)prefix_len, err) && (len == 0 || hash_update(hash, text, len, err)) && hash_update(hash, ",", 1, err);
}

static bool add_int(struct hash *hash, int64_t value, struct err *err) {
    char text[24];

    snprintf(text, sizeof text, "%lld", (long long)value);
    return add_text(hash, text, err);
}

bool db_audit_hash(const struct db_audit *row, uint8_t ret_hash[32], struct err *err) {
    CLEANUP(hash_free) struct hash hash = {.context = NULL};

    return hash_sha256_begin(&hash, err) && hash_update(&hash, row->prev_hash, sizeof row->prev_hash, err) && add_int(&hash, row->seq, err) &&
           add_int(&hash, row->time, err) && add_text(&hash, row->actor, err) && add_text(&hash, row->action, err) &&
           add_text(&hash, row->object, err) && add_text(&hash, row->detail, err) && add_text(&hash, row->request_id, err) &&
           hash_sha256_end(&hash, ret_hash, err);
}

static bool read_last(struct db_conn *conn, struct db_audit *ret_last, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_AUDIT_LAST);
    struct db_audit last = {.seq = 0};
    bool row;

    if (!db_query_next(stmt, &row, err) || (row && !db_query_read(stmt, &last_shape, NULL, &last, err)))
        return false;
    db_query_end(stmt);
    *ret_last = last;
    return true;
}

bool db_audit_append(struct db_conn *tx, const struct db_audit *row, struct err *err) {
    struct db_audit last, next = *row;
    struct db_stmt *stmt;

    if (!read_last(tx, &last, err))
        return false;
    next.seq = last.seq + 1;
    memcpy(next.prev_hash, last.hash, sizeof next.prev_hash);
    if (!db_audit_hash(&next, next.hash, err))
        return false;
    stmt = db_query_begin(tx, DB_QUERY_AUDIT_INSERT);
    db_query_int(stmt, 1, next.seq);
    db_query_int(stmt, 2, next.time);
    db_query_text(stmt, 3, next.actor);
    db_query_text(stmt, 4, next.action);
    db_query_text(stmt, 5, next.object);
    db_query_text(stmt, 6, next.detail ? next.detail : "");
    db_query_text(stmt, 7, next.request_id ? next.request_id : "");
    db_query_blob(stmt, 8, next.prev_hash, sizeof next.prev_hash);
    db_query_blob(stmt, 9, next.hash, sizeof next.hash);
    return db_query_run(stmt, NULL, err);
}

bool db_audit_list(struct db_conn *conn, int64_t after, size_t limit, struct arena *arena, struct db_audits *ret_page, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_AUDIT_LIST);
    struct db_audits page = {.count = 0};
    void *items;

    db_query_int(stmt, 1, after);
    db_query_int(stmt, 2, (int64_t)limit + 1);
    if (!db_query_page(stmt, &shape, limit, arena, &items, &page.count, &page.more, err))
        return false;
    page.items = items;
    *ret_page = page;
    return true;
}

static bool check_row(const struct db_audit *row, const struct db_audit *last, struct err *err) {
    uint8_t hash[32];

    if (row->seq != last->seq + 1)
        return err_set(err, ERR_INVALID, "audit: row %lld follows row %lld", (long long)row->seq, (long long)last->seq);
    if (!hash_equal(row->prev_hash, last->hash, sizeof hash))
        return err_set(err, ERR_INVALID, "audit: row %lld does not continue the chain", (long long)row->seq);
    if (!db_audit_hash(row, hash, err))
        return false;
    if (!hash_equal(row->hash, hash, sizeof hash))
        return err_set(err, ERR_INVALID, "audit: row %lld was changed", (long long)row->seq);
    return true;
}

bool db_audit_verify(struct db_conn *conn, int64_t *ret_rows, struct err *err) {
    struct db_audit last = {.seq = 0};
    struct db_audits page;

    do {
        CLEANUP(arena_clear) struct arena arena;

        arena_init(&arena, 64 << 20);
        if (!db_audit_list(conn, last.seq, DB_MAX_PAGE, &arena, &page, err))
            return false;
        for (size_t i = 0; i < page.count; i++) {
            if (!check_row(&page.items[i], &last, err))
                return false;
            last.seq = page.items[i].seq;
            memcpy(last.hash, page.items[i].hash, sizeof last.hash);
        }
    } while (page.more);
    *ret_rows = last.seq;
    return true;
}
