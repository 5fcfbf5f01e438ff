#include "db/webhook.h"

#include "db/list.h"
#include "db/query.h"

static const struct db_column columns[] = {
    DB_COLUMN(DB_TEXT, struct db_webhook, id),          DB_COLUMN(DB_TEXT, struct db_webhook, url),
    DB_COLUMN(DB_TEXT, struct db_webhook, description), DB_COLUMN(DB_TEXT, struct db_webhook, product),
    DB_COLUMN(DB_TEXT, struct db_webhook, state),       DB_COLUMN(DB_FIXED, struct db_webhook, secret),
    DB_COLUMN(DB_BLOB, struct db_webhook, old_secret),  DB_COLUMN(DB_INT, struct db_webhook, old_until),
    DB_COLUMN(DB_INT, struct db_webhook, told_at),      DB_COLUMN(DB_TEXT, struct db_webhook, created_by),
    DB_COLUMN(DB_INT, struct db_webhook, created_at),   DB_COLUMN(DB_INT, struct db_webhook, revision),
};
static const struct db_shape shape = DB_SHAPE(struct db_webhook, columns);

static bool read_kinds(struct db_conn *conn, struct arena *arena, struct db_webhook *webhooks, size_t count, struct err *err) {
    for (size_t i = 0; i < count; i++) {
        struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_WEBHOOK_KINDS);

        db_query_text(stmt, 1, webhooks[i].id);
        if (!db_query_texts(stmt, arena, &webhooks[i].kinds, err))
            return false;
    }
    return true;
}

bool db_webhook_get(struct db_conn *conn, const char *id, struct arena *arena, struct db_webhook *ret_webhook, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_WEBHOOK_GET);
    struct db_webhook webhook;

    db_query_text(stmt, 1, id);
    if (!db_query_one(stmt, &shape, arena, &webhook, "webhook", id, err) || !read_kinds(conn, arena, &webhook, 1, err))
        return false;
    *ret_webhook = webhook;
    return true;
}

bool db_webhook_list(struct db_conn *conn, const struct db_list *list, struct arena *arena, struct db_webhooks *ret_page, struct err *err) {
    struct db_webhooks page = {.count = 0};
    struct db_listing listing;

    if (!db_list_begin(conn, DB_QUERY_WEBHOOK_LIST, list, &shape, arena, &listing, err))
        return false;
    if (!db_list_page(&listing, &page.items, &page.count, &page.next, err) || !read_kinds(conn, arena, page.items, page.count, err))
        return false;
    *ret_page = page;
    return true;
}

static bool write_kinds(struct db_conn *tx, const struct db_webhook *webhook, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_WEBHOOK_KIND_CLEAR);

    db_query_text(stmt, 1, webhook->id);
    if (!db_query_run(stmt, NULL, err))
        return false;
    for (size_t i = 0; i < webhook->kinds.count; i++) {
        stmt = db_query_begin(tx, DB_QUERY_WEBHOOK_KIND_INSERT);
        db_query_text(stmt, 1, webhook->id);
        db_query_text(stmt, 2, webhook->kinds.items[i]);
        if (!db_query_run(stmt, NULL, err))
            return false;
    }
    return true;
}

static bool check_room(struct db_conn *tx, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_WEBHOOK_COUNT);
    int64_t count = 0;

    if (!db_query_number(stmt, "count", &count, err))
        return false;
    return count < DB_WEBHOOKS_MAX || err_set(err, ERR_CONFLICT, "there are %d webhooks already, and more are not kept", DB_WEBHOOKS_MAX);
}

bool db_webhook_insert(struct db_conn *tx, const struct db_webhook *webhook, struct err *err) {
    struct db_stmt *stmt;

    if (!check_room(tx, err))
        return false;
    stmt = db_query_begin(tx, DB_QUERY_WEBHOOK_INSERT);
    db_query_text(stmt, 1, webhook->id);
    db_query_text(stmt, 2, webhook->url);
    db_query_text(stmt, 3, webhook->description);
    db_query_opt_text(stmt, 4, webhook->product);
    db_query_text(stmt, 5, webhook->state);
    db_query_blob(stmt, 6, webhook->secret, sizeof webhook->secret);
    db_query_text(stmt, 7, webhook->created_by);
    db_query_int(stmt, 8, webhook->created_at);
    return db_query_run(stmt, NULL, err) && write_kinds(tx, webhook, err);
}

bool db_webhook_update(struct db_conn *tx, const struct db_webhook *webhook, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_WEBHOOK_UPDATE);

    db_query_text(stmt, 1, webhook->id);
    db_query_text(stmt, 2, webhook->url);
    db_query_text(stmt, 3, webhook->description);
    db_query_opt_text(stmt, 4, webhook->product);
    db_query_text(stmt, 5, webhook->state);
    return db_query_run(stmt, NULL, err) && write_kinds(tx, webhook, err);
}

bool db_webhook_rotate(struct db_conn *tx, const char *id, const uint8_t secret[DB_WEBHOOK_SECRET_SIZE], int64_t old_until, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_WEBHOOK_ROTATE);

    db_query_text(stmt, 1, id);
    db_query_blob(stmt, 2, secret, DB_WEBHOOK_SECRET_SIZE);
    db_query_int(stmt, 3, old_until);
    return db_query_run(stmt, NULL, err);
}

bool db_webhook_delete(struct db_conn *tx, const char *id, struct err *err) {
    static const enum db_query steps[] = {DB_QUERY_DELIVERY_CLEAR, DB_QUERY_WEBHOOK_KIND_CLEAR, DB_QUERY_WEBHOOK_DELETE};

    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct db_stmt *stmt = db_query_begin(tx, steps[i]);

        db_query_text(stmt, 1, id);
        if (!db_query_run(stmt, NULL, err))
            return false;
    }
    return true;
}

bool db_webhook_told(struct db_conn *tx, const char *id, int64_t now, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_WEBHOOK_TOLD);

    db_query_text(stmt, 1, id);
    db_query_int(stmt, 2, now);
    return db_query_run(stmt, NULL, err);
}
