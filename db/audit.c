#include "db/audit.h"

#include <string.h>

#include "common/text.h"
#include "db/list.h"
#include "db/query.h"

enum { AFTER_SIZE = 64 };

static const struct db_column columns[] = {
    DB_COLUMN(DB_INT, struct chain_row, seq),         DB_COLUMN(DB_INT, struct chain_row, time),        DB_COLUMN(DB_TEXT, struct chain_row, actor),
    DB_COLUMN(DB_TEXT, struct chain_row, action),     DB_COLUMN(DB_TEXT, struct chain_row, object),     DB_COLUMN(DB_TEXT, struct chain_row, detail),
    DB_COLUMN(DB_TEXT, struct chain_row, request_id), DB_COLUMN(DB_FIXED, struct chain_row, prev_hash), DB_COLUMN(DB_FIXED, struct chain_row, hash),
};
static const struct db_shape shape = DB_SHAPE(struct chain_row, columns);

/* Who came before: seq and hash are all that is read. */
static const struct db_column last_columns[] = {DB_COLUMN(DB_INT, struct chain_row, seq), DB_COLUMN(DB_FIXED, struct chain_row, hash)};
static const struct db_shape last_shape = DB_SHAPE(struct chain_row, last_columns);

static bool read_last(struct db_conn *conn, struct chain_row *ret_last, struct err *err) {
    bool row;

    *ret_last = (struct chain_row){.seq = 0};
    return db_query_maybe(db_query_begin(conn, DB_QUERY_AUDIT_LAST), &last_shape, NULL, ret_last, &row, err);
}

bool db_audit_append(struct db_conn *tx, const struct chain_row *row, struct err *err) {
    struct chain_row last, next = *row;
    struct db_stmt *stmt;

    if (!read_last(tx, &last, err))
        return false;
    next.seq = last.seq + 1;
    memcpy(next.prev_hash, last.hash, sizeof next.prev_hash);
    if (!chain_hash(&next, next.hash, err))
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

bool db_audit_list(struct db_conn *conn, const struct db_audit_filter *filter, const struct db_list *list, struct arena *arena,
                   struct db_audits *ret_page, struct err *err) {
    /* Each walks the index of its own value, the one that picks the fewest rows last, and asks the row for those before it. */
    static const enum db_query queries[] = {DB_QUERY_AUDIT_LIST, DB_QUERY_AUDIT_LIST_ACTION, DB_QUERY_AUDIT_LIST_ACTOR, DB_QUERY_AUDIT_LIST_OBJECT};
    const char *const values[] = {filter->action, filter->actor, filter->object};
    struct db_listing listing;
    size_t count = ARRAY_LEN(values);
    int64_t first;

    while (count > 0 && !(values[count - 1] && values[count - 1][0]))
        count--;
    if (!db_list_since(conn, DB_QUERY_AUDIT_SINCE, filter->since, &first, err) ||
        !db_list_begin(conn, queries[count], list, &shape, arena, &listing, err))
        return false;
    db_query_int(listing.stmt, 4, first);
    for (size_t i = 0; i < count; i++)
        db_query_opt_text(listing.stmt, 5 + (int)i, values[i]);
    return db_list_page(&listing, &ret_page->items, &ret_page->count, &ret_page->next, err);
}

bool db_audit_verify(struct db_conn *conn, int64_t *ret_rows, struct err *err) {
    static const struct db_audit_filter all = {.since = 0};
    struct chain_row last = {.seq = 0};
    struct db_audits page;
    char after[AFTER_SIZE] = "";

    do {
        CLEANUP(arena_clear) struct arena arena;

        arena_init(&arena, 64 << 20);
        if (!db_audit_list(conn, &all, &(struct db_list){.after = after, .limit = DB_MAX_PAGE}, &arena, &page, err))
            return false;
        for (size_t i = 0; i < page.count; i++) {
            if (!chain_follows(&page.items[i], &last, err))
                return false;
            last.seq = page.items[i].seq;
            memcpy(last.hash, page.items[i].hash, sizeof last.hash);
        }
        if (page.next && !text_copy(after, sizeof after, page.next))
            return err_set(err, ERR_INTERNAL, "audit: the position %.40s… is too long", page.next);
    } while (page.next);
    *ret_rows = last.seq;
    return true;
}
