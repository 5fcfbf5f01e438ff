#include "db/event.h"

#include <stdio.h>

#include "db/delivery.h"
#include "db/list.h"
#include "db/query.h"
#include "db/store.h"

static const struct db_column columns[] = {
    DB_COLUMN(DB_INT, struct db_event, id),      DB_COLUMN(DB_INT, struct db_event, time),     DB_COLUMN(DB_TEXT, struct db_event, kind),
    DB_COLUMN(DB_TEXT, struct db_event, device), DB_COLUMN(DB_TEXT, struct db_event, product), DB_COLUMN(DB_TEXT, struct db_event, detail),
};
static const struct db_shape shape = DB_SHAPE(struct db_event, columns);

static void tell(struct db *db, void *arg, bool committed) {
    (void)arg;
    if (committed)
        db->event_told(db->event_context);
}

/* What the new row has become: its id, and the product that was found for it. */
struct added {
    int64_t id;
    const char *product;
};
static const struct db_column added_columns[] = {DB_COLUMN(DB_INT, struct added, id), DB_COLUMN(DB_TEXT, struct added, product)};
static const struct db_shape added_shape = DB_SHAPE(struct added, added_columns);

bool db_event_add(struct db_conn *tx, const struct db_event_new *event, int64_t *ret_id, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_EVENT_INSERT);
    struct added added;

    arena_init(&arena, 4096);
    db_query_int(stmt, 1, event->time);
    db_query_text(stmt, 2, event->kind);
    db_query_opt_text(stmt, 3, event->device);
    db_query_text(stmt, 4, event->detail ? event->detail : "");
    db_query_opt_text(stmt, 5, event->product);
    if (!db_query_one(stmt, &added_shape, &arena, &added, "event", event->kind, err) ||
        !db_delivery_fan_out(tx, event->kind, added.product, event->time, err))
        return false;
    if (ret_id)
        *ret_id = added.id;
    return !db_conn_db(tx)->event_told || db_on_commit(tx, tell, NULL, err);
}

bool db_event_insert(struct db_conn *tx, int64_t now, const char *kind, const char *device, const char *detail, struct err *err) {
    const struct db_event_new event = {.time = now, .kind = kind, .device = device, .detail = detail};

    return db_event_add(tx, &event, NULL, err);
}

void db_event_listen(struct db *db, void (*told)(void *context), void *context) {
    db->event_context = context;
    db->event_told = told;
}

bool db_event_get(struct db_conn *conn, int64_t id, struct arena *arena, struct db_event *ret_event, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_EVENT_GET);
    char which[24];

    snprintf(which, sizeof which, "%lld", (long long)id);
    db_query_int(stmt, 1, id);
    return db_query_one(stmt, &shape, arena, ret_event, "event", which, err);
}

bool db_event_newest(struct db_conn *conn, int64_t *ret_id, struct err *err) {
    return db_query_number(db_query_begin(conn, DB_QUERY_EVENT_NEWEST), "id", ret_id, err);
}

bool db_event_after(struct db_conn *conn, int64_t after, size_t limit, struct arena *arena, struct db_events *ret_page, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_EVENT_AFTER);

    db_query_int(stmt, 1, after);
    db_query_int(stmt, 2, (int64_t)limit + 1);
    return db_query_page(stmt, &shape, limit, arena, &ret_page->items, &ret_page->count, &ret_page->more, err);
}

bool db_event_insert_product(struct db_conn *tx, int64_t now, const char *kind, const char *product, const char *detail, struct err *err) {
    const struct db_event_new event = {.time = now, .kind = kind, .product = product, .detail = detail};

    return db_event_add(tx, &event, NULL, err);
}

bool db_event_list(struct db_conn *conn, const struct db_event_filter *filter, const struct db_list *list, struct arena *arena,
                   struct db_events *ret_page, struct err *err) {
    bool by_device = filter->device && filter->device[0], by_kind = filter->kind && filter->kind[0],
         by_product = filter->product && filter->product[0];
    enum db_query query = by_device               ? DB_QUERY_EVENT_LIST_DEVICE
                          : by_kind && by_product ? DB_QUERY_EVENT_LIST_KIND_PRODUCT
                          : by_kind               ? DB_QUERY_EVENT_LIST_KIND
                          : by_product            ? DB_QUERY_EVENT_LIST_PRODUCT
                                                  : DB_QUERY_EVENT_LIST;
    struct db_events page = {.count = 0};
    struct db_listing listing;
    int64_t first;

    if (!db_list_since(conn, DB_QUERY_EVENT_SINCE, filter->since, &first, err))
        return false;
    if (!db_list_begin(conn, query, list, &shape, arena, &listing, err))
        return false;
    db_query_int(listing.stmt, 7, first);
    if (by_kind || by_device)
        db_query_opt_text(listing.stmt, 4, filter->kind);
    if (by_device)
        db_query_text(listing.stmt, 5, filter->device);
    if (by_product || by_device)
        db_query_opt_text(listing.stmt, 6, filter->product);
    if (!db_list_page(&listing, &page.items, &page.count, &page.next, err))
        return false;
    page.more = page.next;
    *ret_page = page;
    return true;
}

bool db_event_purge(struct db_conn *tx, int64_t before, size_t *ret_removed, struct err *err) {
    return db_query_purge(db_query_begin(tx, DB_QUERY_EVENT_PURGE), before, ret_removed, err);
}
