#include "db/expiry.h"

#include "common/buf.h"
#include "common/clock.h"
#include "db/event.h"
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

struct counted {
    int64_t count;
};

static const struct db_column count_columns[] = {DB_COLUMN(DB_INT, struct counted, count)};
static const struct db_shape count_shape = DB_SHAPE(struct counted, count_columns);

static bool read_page(struct db_stmt *stmt, size_t limit, struct arena *arena, struct db_expiries *ret_page, struct err *err) {
    struct db_expiries page = {.count = 0};
    void *items;

    if (!db_query_page(stmt, &shape, limit, arena, &items, &page.count, &page.more, err))
        return false;
    page.items = items;
    *ret_page = page;
    return true;
}

bool db_expiry_list(struct db_conn *conn, int64_t before, const char *product, const struct db_expiry_position *after, size_t limit,
                    struct arena *arena, struct db_expiries *ret_page, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_EXPIRY_LIST);

    db_query_int(stmt, 1, before);
    db_query_int(stmt, 2, after->expires_at);
    db_query_text(stmt, 3, after->device ? after->device : "");
    db_query_opt_text(stmt, 4, product);
    db_query_int(stmt, 5, (int64_t)limit + 1);
    return read_page(stmt, limit, arena, ret_page, err);
}

bool db_expiry_count(struct db_conn *conn, int64_t from, int64_t before, int64_t *ret_count, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_EXPIRY_COUNT);
    struct counted counted;

    db_query_int(stmt, 1, from);
    db_query_int(stmt, 2, before);
    if (!db_query_one(stmt, &count_shape, NULL, &counted, "count", "", err))
        return false;
    *ret_count = counted.count;
    return true;
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
    struct db_expiries page;
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_EXPIRY_UNTOLD);

    arena_init(&arena, ARENA_BYTES);
    db_query_int(stmt, 1, before);
    db_query_int(stmt, 2, (int64_t)limit + 1);
    if (!read_page(stmt, limit, &arena, &page, err))
        return false;
    for (size_t i = 0; i < page.count; i++)
        if (!tell(tx, &page.items[i], now, err))
            return false;
    *ret_told = page.count;
    return true;
}
