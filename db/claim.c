#include "db/claim.h"

#include "db/list.h"
#include "db/product.h"
#include "db/query.h"

static const struct db_column columns[] = {
    DB_COLUMN(DB_TEXT, struct db_claim, id),         DB_COLUMN(DB_FIXED, struct db_claim, secret_sha256),
    DB_COLUMN(DB_TEXT, struct db_claim, device),     DB_COLUMN(DB_TEXT, struct db_claim, product),
    DB_COLUMN(DB_TEXT, struct db_claim, note),       DB_COLUMN(DB_TEXT, struct db_claim, created_by),
    DB_COLUMN(DB_INT, struct db_claim, created_at),  DB_COLUMN(DB_INT, struct db_claim, expires_at),
    DB_COLUMN(DB_INT, struct db_claim, revoked_at),  DB_COLUMN(DB_INT, struct db_claim, spent_at),
    DB_COLUMN(DB_FIXED, struct db_claim, spent_key), DB_COLUMN(DB_TEXT, struct db_claim, spent_device),
    DB_COLUMN(DB_INT, struct db_claim, revision),
};
static const struct db_shape shape = DB_SHAPE(struct db_claim, columns);

bool db_claim_get(struct db_conn *conn, const char *id, struct arena *arena, struct db_claim *ret_claim, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_CLAIM_GET);

    db_query_text(stmt, 1, id);
    return db_query_one(stmt, &shape, arena, ret_claim, "claim", id, err);
}

bool db_claim_list(struct db_conn *conn, const struct db_claim_filter *filter, const struct db_list *list, struct arena *arena,
                   struct db_claims *ret_page, struct err *err) {
    bool by_device = filter->device && filter->device[0], by_product = filter->product && filter->product[0];
    enum db_query query = by_device ? DB_QUERY_CLAIM_LIST_DEVICE : by_product ? DB_QUERY_CLAIM_LIST_PRODUCT : DB_QUERY_CLAIM_LIST;
    struct db_listing listing;

    if (!db_list_begin(conn, query, list, &shape, arena, &listing, err))
        return false;
    if (by_device)
        db_query_text(listing.stmt, 4, filter->device);
    if (by_device || by_product)
        db_query_opt_text(listing.stmt, 5, filter->product);
    return db_list_page(&listing, &ret_page->items, &ret_page->count, &ret_page->next, err);
}

bool db_claim_insert(struct db_conn *tx, const struct db_claim *claim, struct err *err) {
    struct db_stmt *stmt;
    int64_t changes;

    if (!db_product_check(tx, claim->product, err))
        return false;
    stmt = db_query_begin(tx, DB_QUERY_CLAIM_INSERT);
    db_query_text(stmt, 1, claim->id);
    db_query_blob(stmt, 2, claim->secret_sha256, sizeof claim->secret_sha256);
    db_query_opt_text(stmt, 3, claim->device);
    db_query_opt_text(stmt, 4, claim->product);
    db_query_text(stmt, 5, claim->note);
    db_query_text(stmt, 6, claim->created_by);
    db_query_int(stmt, 7, claim->created_at);
    db_query_int(stmt, 8, claim->expires_at);
    if (!db_query_run(stmt, &changes, err))
        return false;
    return changes == 1 || err_set(err, ERR_CONFLICT, "claim '%s' exists", claim->id);
}

bool db_claim_revoke(struct db_conn *tx, const char *id, int64_t now, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_CLAIM_REVOKE);
    int64_t changes;

    db_query_text(stmt, 1, id);
    db_query_int(stmt, 2, now);
    if (!db_query_run(stmt, &changes, err))
        return false;
    return changes == 1 || err_set(err, ERR_CONFLICT, "claim '%s' is revoked already", id);
}

bool db_claim_spend(struct db_conn *tx, const char *id, const char *device, const uint8_t spki_sha256[DB_PIN_SIZE], int64_t now, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_CLAIM_SPEND);
    int64_t changes;

    db_query_text(stmt, 1, id);
    db_query_int(stmt, 2, now);
    db_query_blob(stmt, 3, spki_sha256, DB_PIN_SIZE);
    db_query_text(stmt, 4, device);
    if (!db_query_run(stmt, &changes, err))
        return false;
    return changes == 1 || err_set(err, ERR_CONFLICT, "claim '%s' was spent already", id);
}

bool db_claim_purge(struct db_conn *tx, int64_t before, size_t *ret_removed, struct err *err) {
    return db_query_purge(db_query_begin(tx, DB_QUERY_CLAIM_PURGE), before, ret_removed, err);
}
