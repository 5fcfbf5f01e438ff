#include "db/delivery.h"

#include <stdio.h>
#include <string.h>

#include "db/list.h"
#include "db/query.h"
#include "db/webhook.h"

static const struct db_column columns[] = {
    DB_COLUMN(DB_TEXT, struct db_delivery, webhook), DB_COLUMN(DB_INT, struct db_delivery, event),
    DB_COLUMN(DB_TEXT, struct db_delivery, state),   DB_COLUMN(DB_INT, struct db_delivery, attempts),
    DB_COLUMN(DB_INT, struct db_delivery, next_at),  DB_COLUMN(DB_INT, struct db_delivery, created_at),
    DB_COLUMN(DB_INT, struct db_delivery, last_at),  DB_COLUMN(DB_INT, struct db_delivery, status),
    DB_COLUMN(DB_TEXT, struct db_delivery, error),
};
static const struct db_shape shape = DB_SHAPE(struct db_delivery, columns);

/* Events about webhooks go to none: one that is dead would make the next. */
bool db_delivery_fan_out(struct db_conn *tx, const char *kind, const char *product, int64_t now, struct err *err) {
    struct db_stmt *stmt;

    if (strncmp(kind, "webhook-", 8) == 0)
        return true;
    stmt = db_query_begin(tx, DB_QUERY_DELIVERY_FAN_OUT);
    db_query_text(stmt, 1, kind);
    db_query_opt_text(stmt, 2, product);
    db_query_int(stmt, 3, now);
    return db_query_run(stmt, NULL, err);
}

bool db_delivery_add(struct db_conn *tx, const char *webhook, int64_t now, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_DELIVERY_INSERT);

    db_query_text(stmt, 1, webhook);
    db_query_int(stmt, 2, now);
    return db_query_run(stmt, NULL, err);
}

bool db_delivery_get(struct db_conn *conn, const char *webhook, int64_t event, struct arena *arena, struct db_delivery *ret_delivery,
                     struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_DELIVERY_GET);
    char which[24];

    snprintf(which, sizeof which, "%lld", (long long)event);
    db_query_text(stmt, 1, webhook);
    db_query_int(stmt, 2, event);
    return db_query_one(stmt, &shape, arena, ret_delivery, "delivery of event", which, err);
}

bool db_delivery_list(struct db_conn *conn, const char *webhook, const char *state, const struct db_list *list, struct arena *arena,
                      struct db_deliveries *ret_page, struct err *err) {
    struct db_listing listing;

    if (!db_list_begin(conn, DB_QUERY_DELIVERY_LIST, list, &shape, arena, &listing, err))
        return false;
    db_query_text(listing.stmt, 4, webhook);
    db_query_opt_text(listing.stmt, 5, state);
    return db_list_page(&listing, &ret_page->items, &ret_page->count, &ret_page->next, err);
}

bool db_delivery_due(struct db_conn *conn, const char *webhook, int64_t now, struct arena *arena, bool *ret_due, struct db_delivery *ret_delivery,
                     struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_DELIVERY_DUE);

    db_query_text(stmt, 1, webhook);
    db_query_int(stmt, 2, now);
    return db_query_maybe(stmt, &shape, arena, ret_delivery, ret_due, err);
}

bool db_delivery_outcome(struct db_conn *tx, const struct db_delivery_outcome *outcome, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_DELIVERY_OUTCOME);

    db_query_text(stmt, 1, outcome->webhook);
    db_query_int(stmt, 2, outcome->event);
    db_query_text(stmt, 3, outcome->state);
    db_query_int(stmt, 4, outcome->next_at);
    db_query_int(stmt, 5, outcome->at);
    db_query_opt_int(stmt, 6, outcome->status != 0, outcome->status);
    db_query_text(stmt, 7, outcome->error);
    return db_query_run(stmt, NULL, err);
}

bool db_delivery_retry(struct db_conn *tx, const char *webhook, int64_t event, int64_t now, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_DELIVERY_RETRY);
    int64_t changes;

    db_query_text(stmt, 1, webhook);
    db_query_int(stmt, 2, event);
    db_query_int(stmt, 3, now);
    if (!db_query_run(stmt, &changes, err))
        return false;
    return changes == 1 || err_set(err, ERR_CONFLICT, "delivery of event %lld: it is waiting already", (long long)event);
}

static bool purge_state(struct db_conn *tx, const char *state, int64_t before, int64_t *total, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_DELIVERY_PURGE);
    int64_t changes;

    db_query_text(stmt, 1, state);
    db_query_int(stmt, 2, before);
    if (!db_query_run(stmt, &changes, err))
        return false;
    *total += changes;
    return true;
}

static bool overflow(struct db_conn *tx, int64_t *total, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_webhooks page;

    arena_init(&arena, 4 << 20);
    if (!db_webhook_list(tx, &(struct db_list){.limit = DB_WEBHOOKS_MAX}, &arena, &page, err))
        return false;
    for (size_t i = 0; i < page.count; i++) {
        struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_DELIVERY_OVERFLOW);
        int64_t changes;

        db_query_text(stmt, 1, page.items[i].id);
        db_query_int(stmt, 2, DB_DELIVERY_WAITING_MAX);
        if (!db_query_run(stmt, &changes, err))
            return false;
        *total += changes;
    }
    return true;
}

bool db_delivery_purge(struct db_conn *tx, int64_t before, size_t *ret_changed, struct err *err) {
    int64_t total = 0;

    if (!purge_state(tx, "delivered", before, &total, err) || !purge_state(tx, "dead", before, &total, err) || !overflow(tx, &total, err))
        return false;
    *ret_changed = (size_t)total;
    return true;
}

bool db_delivery_count(struct db_conn *conn, struct db_delivery_counts *ret_counts, struct err *err) {
    struct row {
        char state[16];
        int64_t count;
    };
    static const struct db_column count_columns[] = {DB_COLUMN(DB_CHARS, struct row, state), DB_COLUMN(DB_INT, struct row, count)};
    static const struct db_shape count_shape = DB_SHAPE(struct row, count_columns);
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_DELIVERY_COUNTS);
    struct db_delivery_counts counts = {.waiting = 0};

    for (bool found = true; found;) {
        struct row row;
        if (!db_query_next(stmt, &found, err) || (found && !db_query_read(stmt, &count_shape, NULL, &row, err)))
            return false;
        if (found)
            *(strcmp(row.state, "waiting") == 0 ? &counts.waiting : strcmp(row.state, "dead") == 0 ? &counts.dead : &counts.delivered) = row.count;
    }
    *ret_counts = counts;
    return true;
}
