#include "db/expiry.h"

#include "common/buf.h"
#include "common/clock.h"
#include "db/event.h"
#include "db/list.h"
#include "db/query.h"

enum { ARENA_BYTES = 4 * 1024 * 1024 };

static const struct db_column columns[] = {
    DB_COLUMN(DB_TEXT, struct db_expiry, device),
    DB_COLUMN(DB_TEXT, struct db_expiry, product),
    DB_COLUMN_NAME(struct db_expiry, state, db_query_parse_device_state),
    DB_COLUMN(DB_INT, struct db_expiry, expires_at),
    DB_COLUMN(DB_INT, struct db_expiry, last_seen),
};
static const struct db_shape shape = DB_SHAPE(struct db_expiry, columns);

bool db_expiry_list(struct db_conn *conn, int64_t before, const char *product, const struct db_list *list, struct arena *arena,
                    struct db_expiries *ret_page, struct err *err) {
    struct db_listing listing;

    if (!db_list_begin(conn, DB_QUERY_EXPIRY_LIST, list, &shape, arena, &listing, err))
        return false;
    db_query_int(listing.stmt, 4, before);
    db_query_opt_text(listing.stmt, 5, product);
    return db_list_page(&listing, &ret_page->items, &ret_page->count, &ret_page->next, err);
}

bool db_expiry_count(struct db_conn *conn, int64_t from, int64_t before, int64_t *ret_count, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_EXPIRY_COUNT);

    db_query_int(stmt, 1, from);
    db_query_int(stmt, 2, before);
    return db_query_number(stmt, "count", ret_count, err);
}

static bool tell(struct db_conn *tx, const struct db_expiry *expiry, int64_t now, struct err *err) {
    CLEANUP(buf_free) struct buf detail = BUF_INIT(256);
    char text[CLOCK_RFC3339_SIZE];
    struct db_stmt *stmt;

    clock_rfc3339(expiry->expires_at, text);
    buf_printf(&detail, "{\"expires_at\":\"%s\"}", text);
    if (!buf_ok(&detail, "event", err) || !db_event_insert(tx, now, "certificate-expiring", expiry->device, detail.data, err))
        return false;
    stmt = db_query_begin(tx, DB_QUERY_EXPIRY_TOLD);
    db_query_text(stmt, 1, expiry->device);
    db_query_int(stmt, 2, expiry->expires_at);
    return db_query_run(stmt, NULL, err);
}

bool db_expiry_tell(struct db_conn *tx, int64_t before, size_t limit, int64_t now, size_t *ret_told, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_EXPIRY_UNTOLD);
    const struct db_expiry *untold;
    size_t count;

    arena_init(&arena, ARENA_BYTES);
    db_query_int(stmt, 1, before);
    db_query_int(stmt, 2, (int64_t)limit);
    if (!db_query_page(stmt, &shape, limit, &arena, &untold, &count, NULL, err))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!tell(tx, &untold[i], now, err))
            return false;
    *ret_told = count;
    return true;
}
