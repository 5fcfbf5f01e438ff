#include "db/product.h"

#include "db/list.h"
#include "db/query.h"
#include "db/store.h"

static const struct db_column columns[] = {
    DB_COLUMN(DB_TEXT, struct db_product, name),
    DB_COLUMN(DB_TEXT, struct db_product, description),
    DB_COLUMN_NAME(struct db_product, policy, db_query_parse_policy),
    DB_COLUMN(DB_INT, struct db_product, created_at),
    DB_COLUMN(DB_INT, struct db_product, revision),
};
static const struct db_shape shape = DB_SHAPE(struct db_product, columns);

bool db_product_get(struct db_conn *conn, const char *name, struct arena *arena, struct db_product *ret_product, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_PRODUCT_GET);

    db_query_text(stmt, 1, name);
    return db_query_one(stmt, &shape, arena, ret_product, "product", name, err);
}

bool db_product_check(struct db_conn *conn, const char *name, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_product product;

    arena_init(&arena, 16384);
    return !name || !name[0] || db_product_get(conn, name, &arena, &product, err);
}

bool db_product_list(struct db_conn *conn, const struct db_list *list, struct arena *arena, struct db_products *ret_page, struct err *err) {
    struct db_listing listing;

    if (!db_list_begin(conn, DB_QUERY_PRODUCT_LIST, list, &shape, arena, &listing, err))
        return false;
    return db_list_page(&listing, &ret_page->items, &ret_page->count, &ret_page->next, err);
}

bool db_product_insert(struct db_conn *tx, const struct db_product *product, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_PRODUCT_INSERT);
    int64_t changes;

    db_query_text(stmt, 1, product->name);
    db_query_text(stmt, 2, product->description ? product->description : "");
    db_query_text(stmt, 3, fleet_policy_name(product->policy));
    db_query_int(stmt, 4, product->created_at);
    if (!db_query_run(stmt, &changes, err))
        return false;
    if (changes == 0)
        return err_set(err, ERR_CONFLICT, "product '%s' exists", product->name);
    return db_catalog_touch(tx, err);
}

bool db_product_update(struct db_conn *tx, const struct db_product *product, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_PRODUCT_UPDATE);
    int64_t changes;

    db_query_text(stmt, 1, product->name);
    db_query_text(stmt, 2, product->description ? product->description : "");
    db_query_text(stmt, 3, fleet_policy_name(product->policy));
    db_query_int(stmt, 4, product->revision);
    if (!db_query_run(stmt, &changes, err))
        return false;
    if (changes == 1)
        return db_catalog_touch(tx, err);
    return db_product_check(tx, product->name, err) && err_set(err, ERR_PRECONDITION, "product '%s' was changed meanwhile", product->name);
}
