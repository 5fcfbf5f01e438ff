#include "db/event.h"

#include "db/query.h"

static const struct db_column columns[] = {
    DB_COLUMN(DB_INT, struct db_event, id),      DB_COLUMN(DB_INT, struct db_event, time),     DB_COLUMN(DB_TEXT, struct db_event, kind),
    DB_COLUMN(DB_TEXT, struct db_event, device), DB_COLUMN(DB_TEXT, struct db_event, product), DB_COLUMN(DB_TEXT, struct db_event, detail),
};
static const struct db_shape shape = DB_SHAPE(struct db_event, columns);

bool db_event_insert(struct db_conn *tx, int64_t now, const char *kind, const char *device, const char *detail, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_EVENT_INSERT);

    db_query_int(stmt, 1, now);
    db_query_text(stmt, 2, kind);
    db_query_opt_text(stmt, 3, device);
    db_query_text(stmt, 4, detail ? detail : "");
    return db_query_run(stmt, NULL, err);
}

bool db_event_insert_product(struct db_conn *tx, int64_t now, const char *kind, const char *product, const char *detail, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_EVENT_INSERT_PRODUCT);

    db_query_int(stmt, 1, now);
    db_query_text(stmt, 2, kind);
    db_query_text(stmt, 3, product);
    db_query_text(stmt, 4, detail ? detail : "");
    return db_query_run(stmt, NULL, err);
}

bool db_event_list(struct db_conn *conn, const struct db_event_filter *filter, int64_t after, size_t limit, struct arena *arena,
                   struct db_events *ret_page, struct err *err) {
    bool by_device = filter->device && filter->device[0], by_kind = filter->kind && filter->kind[0];
    struct db_stmt *stmt = db_query_begin(conn, by_device ? DB_QUERY_EVENT_LIST_DEVICE : by_kind ? DB_QUERY_EVENT_LIST_KIND : DB_QUERY_EVENT_LIST);
    struct db_events page = {.count = 0};
    void *items;

    db_query_int(stmt, 1, after > 0 ? after : INT64_MAX);
    db_query_int(stmt, 2, (int64_t)limit + 1);
    if (by_device || by_kind)
        db_query_opt_text(stmt, 3, filter->kind);
    if (by_device)
        db_query_text(stmt, 4, filter->device);
    db_query_opt_text(stmt, 5, filter->product);
    if (!db_query_page(stmt, &shape, limit, arena, &items, &page.count, &page.more, err))
        return false;
    page.items = items;
    *ret_page = page;
    return true;
}

bool db_event_purge(struct db_conn *tx, int64_t before, size_t *ret_removed, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_EVENT_PURGE);
    int64_t changes;

    db_query_int(stmt, 1, before);
    if (!db_query_run(stmt, &changes, err))
        return false;
    *ret_removed = (size_t)changes;
    return true;
}
